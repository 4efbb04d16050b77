"""Formats moments and time spans for people."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo


def clock_time(at: datetime, now: datetime, zone: tzinfo, *, seconds: bool = False) -> str:
    """Return the time of day in a zone, with the date if it is another day."""
    local, today = at.astimezone(zone), now.astimezone(zone).date()
    clock = local.strftime("%H:%M:%S" if seconds else "%H:%M")
    return clock if local.date() == today else f"{local.date().isoformat()} {clock}"


def duration(span: timedelta) -> str:
    """Return a time span in its two largest units: `1 min 40 s`, `2 h 5 min`, `3 d`."""
    left = max(0, round(span.total_seconds()))
    parts: list[str] = []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or (name == "s" and not parts):
            parts.append(f"{count} {name}")
        elif parts:
            break
    return " ".join(parts[:2])
