"""Amounts as Compose files write them."""

from __future__ import annotations

import re

MB = 1024 * 1024
_MEMORY = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<gap> ?)(?P<unit>[kKmMgGtTpP]?)(?P<tail>[iI]?[bB]?)")
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4, "p": 1024**5}


def parse_memory(written: str) -> int | None:
    """Return the bytes of `512m`, `2G`, `1.5gb`, `536870912`; None when it is no such amount."""
    found = _MEMORY.fullmatch(written.strip())
    return round(float(found["number"]) * _UNITS[found["unit"].casefold()]) if found else None


def format_memory_like(written: str, limit_bytes: int) -> str:
    """Return the amount in the unit of `written`, or in the largest smaller unit in which it is whole."""
    found = _MEMORY.fullmatch(written.strip())
    if found is None:
        return f"{limit_bytes // MB}m"
    unit, tail, gap = found["unit"], found["tail"], found["gap"]
    if not unit:
        return f"{limit_bytes}{gap}{tail}"
    is_small = unit.islower()
    names = list(_UNITS)
    for name in reversed(names[1 : names.index(unit.casefold()) + 1]):
        if limit_bytes % _UNITS[name] == 0:
            return f"{limit_bytes // _UNITS[name]}{gap}{name if is_small else name.upper()}{tail}"
    return f"{limit_bytes}{gap}b"


def format_duration(seconds: float) -> str:
    """Return seconds as Compose writes them: `90s` (not `1m30s`), `500ms`."""
    milliseconds = round(seconds * 1000)
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"


def format_decimal(number: float) -> str:
    """Return a number without superfluous digits: 2, 0.5."""
    return f"{number:.3f}".rstrip("0").rstrip(".")
