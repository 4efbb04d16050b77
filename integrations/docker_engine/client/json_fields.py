"""Reads an engine's JSON without trusting its shape: a missing value or one of another type becomes empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

JsonAnswer = Mapping[str, object]


def json_object(value: object) -> JsonAnswer:
    """Return an object, or an empty one."""
    return value if isinstance(value, dict) else {}


def json_list(value: object) -> Sequence[object]:
    """Return a list, or an empty one."""
    return value if isinstance(value, list) else ()


def json_string(value: object) -> str:
    """Return a string, or an empty one."""
    return value if isinstance(value, str) else ""


def json_int(value: object) -> int:
    """Return a whole number, also from its digits; else 0."""
    if isinstance(value, int | float):
        return int(value)
    try:
        return int(json_string(value))
    except ValueError:
        return 0


def json_time(value: object) -> datetime | None:
    """Return an engine's time (nanoseconds cut to microseconds) in UTC; None for its zero time, year 1."""
    text = json_string(value)
    if not text or text.startswith("0001-"):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo is not None else at.replace(tzinfo=UTC)


def epoch_text(at: datetime) -> str:
    """Return a time as the engine's `since` and `until` expect it: seconds with microseconds."""
    whole = int(at.timestamp())
    return f"{whole}.{at.microsecond:06d}"
