"""The engine's events of the last minutes, bounded however many come."""

from __future__ import annotations

from collections import deque
from datetime import timedelta

from core.monitoring.snapshot import EngineEvent

WINDOW = timedelta(minutes=5)
PER_CONTAINER = 200
"""So that one noisy container does not push out what the others did."""
LIMIT = 10_000


class EventBuffer:
    """Keeps the newest events, each once: a stream that begins anew repeats some."""

    def __init__(self, *, window: timedelta = WINDOW, limit: int = LIMIT, per_container: int = PER_CONTAINER) -> None:
        self._window = window
        self._limit = limit
        self._per_container = per_container
        self._events: dict[str, deque[EngineEvent]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, event: EngineEvent) -> bool:
        """Take an event; False: it is known."""
        own = self._events.setdefault(event.container_id, deque())
        if any(event == known for known in own if known.at == event.at):
            return False
        if len(own) >= self._per_container:
            own.popleft()
            self._count -= 1
        own.append(event)
        self._count += 1
        if self._count > self._limit:
            self._drop_oldest()
        return True

    def all(self) -> tuple[EngineEvent, ...]:
        """What is still in the window before the newest event, oldest first."""
        self._forget()
        return tuple(sorted((event for own in self._events.values() for event in own), key=lambda event: event.at))

    def _forget(self) -> None:
        newest = max((own[-1].at for own in self._events.values() if own), default=None)
        if newest is None:
            return
        for container_id, own in tuple(self._events.items()):
            while own and newest - own[0].at > self._window:
                own.popleft()
                self._count -= 1
            if not own:
                del self._events[container_id]

    def _drop_oldest(self) -> None:
        """Make room: first what is out of the window, then the oldest tenth of all."""
        self._forget()
        if self._count <= self._limit:
            return
        kept = self.all()[self._limit // 10 :]
        self._events = {}
        for event in kept:
            self._events.setdefault(event.container_id, deque()).append(event)
        self._count = len(kept)
