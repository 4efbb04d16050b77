"""Schedule of looks: one at a time for each container, none delayed by another's."""

from __future__ import annotations

import math
from collections.abc import Iterator

EVERYTHING = ""
"""Name of a look at all containers."""
DEBOUNCE_S = 0.01
GAP_S = 0.5
"""Minimum time between two looks at one container, unless urgent: a flood of events must not cause a flood of looks."""
IN_FLIGHT_LIMIT = 16
LATER_LIMIT = 20
BEGAN_LIMIT = 2000


class PollSchedule:
    """Looks that are due or running. Times are the loop's. A running look covers only requests made before it began."""

    def __init__(self) -> None:
        self._due: dict[str, set[float]] = {}
        self._in_flight: set[str] = set()
        self._began: dict[str, float] = {}

    def want(self, name: str, now: float, *, is_urgent: bool = True) -> None:
        """Schedule a look at `name` at once; several requests of the same moment are one look."""
        due = now + DEBOUNCE_S
        if not is_urgent:
            due = max(due, self._began.get(name, -math.inf) + GAP_S)
        own = self._due.setdefault(name, set())
        if not any(when <= due for when in own):
            own.add(due)

    def want_later(self, name: str, now: float, after_s: float) -> None:
        """Schedule a look at `name` after a delay, whatever is seen until then."""
        own = self._due.setdefault(name, set())
        due = now + after_s
        if len(own) < LATER_LIMIT and not any(abs(when - due) < DEBOUNCE_S for when in own):
            own.add(due)

    def take(self, now: float) -> list[str]:
        """Return the looks to begin now, those that have waited longest first; each counts as running until `done`."""
        ready = sorted((min(own), name) for name, own in self._waiting() if min(own) <= now)
        taken = [name for _, name in ready[: max(0, IN_FLIGHT_LIMIT - len(self._in_flight))]]
        for name in taken:
            self._in_flight.add(name)
            self._began[name] = now
            self._due[name] = {when for when in self._due[name] if when > now}
        self._due = {name: own for name, own in self._due.items() if own}
        if len(self._began) > BEGAN_LIMIT:
            self._began = {name: began for name, began in self._began.items() if now - began < GAP_S}
        return taken

    def done(self, name: str) -> None:
        """Record the end of a look."""
        self._in_flight.discard(name)

    def next_due(self) -> float:
        """Return the time of the next look, if nothing else happens; infinity: not before a running one has ended."""
        if len(self._in_flight) >= IN_FLIGHT_LIMIT:
            return math.inf
        return min((min(own) for _, own in self._waiting()), default=math.inf)

    def _waiting(self) -> Iterator[tuple[str, set[float]]]:
        return ((name, own) for name, own in self._due.items() if own and name not in self._in_flight)
