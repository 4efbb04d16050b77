"""Reads an engine's messages during a pull: its progress, and errors."""

from __future__ import annotations

import json
from collections.abc import Iterator

from integrations.docker_engine.client.json_fields import JsonAnswer, json_int, json_object, json_string
from integrations.docker_engine.image_store import PullProgress

PULL_LINE_LIMIT = 64 * 1024
_HAS_COME = frozenset({"Download complete", "Pull complete", "Already exists"})
_IS_DONE = frozenset({"Pull complete", "Already exists"})
_IS_LAYER = frozenset({"Pulling fs layer", "Waiting", "Downloading", "Verifying Checksum", "Extracting"}) | _HAS_COME


class PullProgressReader:
    """Reads the answer of `/images/create` piece by piece."""

    def __init__(self) -> None:
        self._rest = b""
        self._layers: dict[str, tuple[int, int]] = {}
        self._done: set[str] = set()
        self.problem = ""
        """The engine's error message; empty: none."""

    def feed(self, chunk: bytes) -> PullProgress | None:
        """Read a piece; returns the progress when it has changed."""
        before = self.step
        for raw in self._lines(chunk):
            self._read(raw)
        return self.step if self.step != before else None

    @property
    def step(self) -> PullProgress:
        """Return the progress so far."""
        return PullProgress(
            layers=len(self._layers),
            layers_done=len(self._done),
            bytes_done=sum(done for done, _ in self._layers.values()),
            bytes_total=sum(total for _, total in self._layers.values()),
        )

    def _lines(self, chunk: bytes) -> Iterator[JsonAnswer]:
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > PULL_LINE_LIMIT:
            self._rest = b""
        for line in whole:
            try:
                yield json_object(json.loads(line))
            except ValueError:
                continue

    def _read(self, raw: JsonAnswer) -> None:
        problem = json_string(raw.get("error")) or json_string(json_object(raw.get("errorDetail")).get("message"))
        if problem:
            self.problem = problem
            return
        layer, status = json_string(raw.get("id")), json_string(raw.get("status"))
        if not layer or status not in _IS_LAYER:
            return
        done, total = self._layers.get(layer, (0, 0))
        if status == "Downloading":
            detail = json_object(raw.get("progressDetail"))
            done, total = json_int(detail.get("current")), json_int(detail.get("total")) or total
        elif status in _HAS_COME:
            done = total
        self._layers[layer] = (done, total)
        if status in _IS_DONE:
            self._done.add(layer)
