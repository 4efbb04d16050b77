"""Waits until a started container has proved that it keeps running."""

from __future__ import annotations

import asyncio
from datetime import datetime

from core.monitoring.inventory import Container, ContainerState
from core.monitoring.snapshot import EventKind
from integrations.docker_engine.engine import Engine

START_TIMEOUT_S = 10.0
STABLE_RUN_S = 0.5
"""Time a container must run without a break to count as up."""
START_POLL_S = 0.1
EVENTS_TIMEOUT_S = 2.0


async def wait_until_up(engine: Engine, name: str) -> Container | None:
    """Return the container once it stays up, has ended for good, or UP_WITHIN_S is over; None: it is gone."""
    clock = asyncio.get_running_loop().time
    give_up = clock() + START_TIMEOUT_S
    started_at: datetime | None = None
    since = clock()
    while True:
        found = await engine.containers(only=[name])
        if not found:
            return None
        now = found[0]
        if not now.is_running or now.started_at != started_at:
            started_at, since = now.started_at if now.is_running else None, clock()
        holds = now.is_running and clock() - since >= STABLE_RUN_S
        has_ended = now.state in (ContainerState.EXITED, ContainerState.DEAD)
        if holds or has_ended or clock() > give_up:
            return now
        await asyncio.sleep(START_POLL_S)


async def has_event_since(engine: Engine, name: str, kind: EventKind, since: datetime) -> bool:
    """Return whether the engine still has such an event; engines keep about the last 256."""
    try:
        async with asyncio.timeout(EVENTS_TIMEOUT_S):
            async for event in engine.events(since):
                if event.name == name and event.kind is kind:
                    return True
    except TimeoutError:
        return False
    return False
