"""Reads an engine's messages during a pull: its progress, and errors."""

from __future__ import annotations

import json
from collections.abc import Iterator

from integrations.docker_engine.client.json_fields import JsonAnswer, count, mapping, string
from integrations.docker_engine.image_store import PullStep

LONGEST_LINE = 64 * 1024
_HAS_COME = frozenset({"Download complete", "Pull complete", "Already exists"})
_IS_DONE = frozenset({"Pull complete", "Already exists"})
_IS_LAYER = frozenset({"Pulling fs layer", "Waiting", "Downloading", "Verifying Checksum", "Extracting"}) | _HAS_COME


class PullReader:
    """Reads the answer of `/images/create` piece by piece."""

    def __init__(self) -> None:
        self._rest = b""
        self._layers: dict[str, tuple[int, int]] = {}
        self._done: set[str] = set()
        self.problem = ""
        """The engine's error message; empty: none."""

    def feed(self, chunk: bytes) -> PullStep | None:
        """Read a piece; returns the progress when it has changed."""
        before = self.step
        for raw in self._lines(chunk):
            self._read(raw)
        return self.step if self.step != before else None

    @property
    def step(self) -> PullStep:
        """Return the progress so far."""
        return PullStep(
            layers=len(self._layers),
            layers_done=len(self._done),
            bytes_done=sum(done for done, _ in self._layers.values()),
            bytes_total=sum(total for _, total in self._layers.values()),
        )

    def _lines(self, chunk: bytes) -> Iterator[JsonAnswer]:
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            self._rest = b""
        for line in whole:
            try:
                yield mapping(json.loads(line))
            except ValueError:
                continue

    def _read(self, raw: JsonAnswer) -> None:
        problem = string(raw.get("error")) or string(mapping(raw.get("errorDetail")).get("message"))
        if problem:
            self.problem = problem
            return
        layer, status = string(raw.get("id")), string(raw.get("status"))
        if not layer or status not in _IS_LAYER:
            return
        done, total = self._layers.get(layer, (0, 0))
        if status == "Downloading":
            detail = mapping(raw.get("progressDetail"))
            done, total = count(detail.get("current")), count(detail.get("total")) or total
        elif status in _HAS_COME:
            done = total
        self._layers[layer] = (done, total)
        if status in _IS_DONE:
            self._done.add(layer)
