"""Typed publish/subscribe inside one process: tells, never carries work (an event may be lost, a run may not)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog

E = TypeVar("E")
Listener = Callable[[E], Awaitable[None]]
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Reaction:
    """An event and who hears of it."""

    event: type
    listener: Callable[..., Awaitable[None]]


def on(event: type[E], listener: Listener[E]) -> Reaction:
    """A line of a table of events; the listener must take that event."""
    return Reaction(event, listener)


class Bus:
    """Hands each event to the listeners of its class, in the order they subscribed.

    A listener that fails is logged and does not stop the others: whoever published has already committed its facts.
    """

    def __init__(self) -> None:
        self._listeners: dict[type, list[Callable[..., Awaitable[None]]]] = defaultdict(list)

    def subscribe(self, event: type[E], listener: Listener[E]) -> None:
        """Call `listener` for every event of exactly that class."""
        self._listeners[event].append(listener)

    async def publish(self, event: object) -> None:
        """Tell every listener; returns when all have been told."""
        for listener in tuple(self._listeners[type(event)]):
            try:
                await listener(event)
            except Exception:
                log.exception("a listener failed", about=type(event).__name__)
