"""Reads values out of an action's result data, which is plain JSON."""

from __future__ import annotations

from core.actions.catalog import JsonObject


def list_in(data: JsonObject, name: str) -> list[object]:
    """The list under a name; empty where there is none."""
    found = data.get(name)
    return list(found) if isinstance(found, list) else []


def objects_in(data: JsonObject, name: str) -> list[JsonObject]:
    """The objects of the list under a name; everything else in it is skipped."""
    return [one for one in list_in(data, name) if isinstance(one, dict)]


def number_in(data: JsonObject, name: str) -> float | None:
    """The number under a name; None where there is none (true and false are none)."""
    found = data.get(name)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None
