"""Makes a unified diff readable on a phone: no file names, no line numbers, no shared indentation."""

from __future__ import annotations

from collections.abc import Sequence

GAP = "⋯"


def phone_diff(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the diff's lines for a phone; lines that are no diff are returned as they are."""
    if not is_diff(lines):
        return tuple(lines)
    kept = [one for one in lines if not one.startswith(("---", "+++"))]
    kept = [GAP if one.startswith("@@") else one.rstrip() for one in kept]
    while kept and kept[0] in (GAP, ""):
        kept.pop(0)
    shared = min((len(one[1:]) - len(one[1:].lstrip()) for one in kept if one != GAP and one[1:].strip()), default=0)
    return tuple(one if one == GAP else f"{one[:1]} {one[1 + shared :]}".rstrip() for one in kept)


def is_diff(lines: Sequence[str]) -> bool:
    """Return whether these are lines of a diff."""
    return any(one[:1] in ("+", "-") for one in lines) and all(one[:1] in ("+", "-", " ", "@", "") for one in lines)
