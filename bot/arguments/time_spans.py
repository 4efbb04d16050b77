"""Parses time spans as people type them."""

from __future__ import annotations

import re
from datetime import timedelta

_SPAN = re.compile(r"(?P<count>\d{1,5})\s?(?P<unit>s|m|min|h|d|w)", re.IGNORECASE)
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_time_span(words: str) -> timedelta | None:
    """Parse `2h`, `30m`, `1d` or `1w`; None: it is no span."""
    match = _SPAN.fullmatch(words.strip())
    if match is None or not int(match["count"]):
        return None
    return timedelta(seconds=int(match["count"]) * _UNITS[match["unit"].lower()])


def take_time_span(words: list[str]) -> tuple[timedelta | None, list[str]]:
    """Take the first span out of the words; returns it (None: there is none) and the other words."""
    for place, word in enumerate(words):
        found = parse_time_span(word)
        if found is not None:
            return found, [*words[:place], *words[place + 1 :]]
    return None, words
