"""Reads the engine's event stream."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from core.monitoring.snapshot import EngineEvent, EventKind
from integrations.docker_engine.client.json_fields import JsonAnswer, json_int, json_object, json_string

EVENT_LINE_LIMIT_BYTES = 1024 * 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def event_filters() -> str:
    """Return the event filter: containers only; noisy events of probes (`exec_*`, `top`, `attach` …) are left out."""
    return json.dumps({"type": ["container"], "event": [kind.value for kind in EventKind]})


def parse_event(raw: JsonAnswer) -> EngineEvent | None:
    """Read one event; None for a kind that was not asked for (old engines filter loosely)."""
    action, _, detail = json_string(raw.get("Action") or raw.get("status")).partition(":")
    actor = json_object(raw.get("Actor"))
    attributes = json_object(actor.get("Attributes"))
    try:
        kind = EventKind(action)
    except ValueError:
        return None
    exit_code = json_string(attributes.get("exitCode"))
    return EngineEvent(
        at=_at(raw),
        kind=kind,
        container_id=json_string(actor.get("ID") or raw.get("id")),
        name=json_string(attributes.get("name")).removeprefix("/"),
        signal=_signal(json_string(attributes.get("signal"))) if kind is EventKind.KILL else None,
        exit_code=json_int(exit_code) if kind is EventKind.DIE and exit_code else None,
        health=detail.strip() or None if kind is EventKind.HEALTH else None,
    )


def _at(raw: JsonAnswer) -> datetime:
    nanoseconds = json_int(raw.get("timeNano"))
    microseconds = nanoseconds // 1000 if nanoseconds else json_int(raw.get("time")) * 1_000_000
    return _EPOCH + timedelta(microseconds=microseconds)


def _signal(text: str) -> int | None:
    """Return the signal's number from `15`, or from `SIGTERM` as some engines write it; None when unknown."""
    if text.isdigit():
        return int(text)
    try:
        return int(signal.Signals[text if text.startswith("SIG") else f"SIG{text}"])
    except KeyError:
        return None


class JsonLineSplitter:
    """Splits a stream of JSON objects, one per line; drops a line that is not one."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[JsonAnswer]:
        """Yield the objects completed by this chunk."""
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > EVENT_LINE_LIMIT_BYTES:
            self._rest = b""
        for line in whole:
            try:
                yield json_object(json.loads(line))
            except ValueError:
                continue
