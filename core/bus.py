"""Typed publish/subscribe inside one process, for news only: an event may be lost, so work belongs in a run."""

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
    """An event and its listener."""

    event: type
    listener: Callable[..., Awaitable[None]]


def on(event: type[E], listener: Listener[E]) -> Reaction:
    """Return one entry of an event table, with the listener checked against the event."""
    return Reaction(event, listener)


class Bus:
    """Passes each event to the listeners of its class, in the order of their subscription.

    A failing listener is logged and does not stop the others: the publisher has already committed the facts.
    """

    def __init__(self) -> None:
        self._listeners: dict[type, list[Callable[..., Awaitable[None]]]] = defaultdict(list)

    def subscribe(self, event: type[E], listener: Listener[E]) -> None:
        """Call `listener` for every event of exactly that class."""
        self._listeners[event].append(listener)

    async def publish(self, event: object) -> None:
        """Call every listener, one after the other, and return when all are done."""
        for listener in tuple(self._listeners[type(event)]):
            try:
                await listener(event)
            except Exception:  # one listener must not keep the others from hearing
                log.exception("a listener failed", about=type(event).__name__)
