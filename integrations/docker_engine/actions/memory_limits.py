"""Checks a new memory limit for a container."""

from __future__ import annotations

from core.errors import InvalidParams
from core.monitoring.inventory import Container
from core.text import Text, text
from integrations.docker_engine.actions.container_facts import MB, to_mb
from integrations.docker_engine.actions.container_params import MIN_LIMIT_MB, MemoryParams
from integrations.docker_engine.engine import Engine

RESERVE_SHARE = 0.05
MIN_RESERVE_BYTES = 256 * MB
"""Memory the host keeps free, or RESERVE_SHARE of its memory if that is more."""
IN_USE_MARGIN = 1.05
"""Factor over the memory in use: a lower limit would kill at once."""


def new_limit_bytes(params: MemoryParams, held_bytes: int) -> int:
    """Return the new limit in bytes, whole MB; raises InvalidParams for a multiple when there is no limit."""
    if params.limit_mb is not None:
        return params.limit_mb * MB
    if held_bytes == 0:
        raise InvalidParams("docker.update_memory", f"{params.container!r} has no limit to multiply; give limit_mb")
    return max(MIN_LIMIT_MB, round(held_bytes * (params.factor or 1.0) / MB)) * MB


async def limit_problem(engine: Engine, container: Container, new_bytes: int) -> Text | None:
    """Return the reason against the limit, or None: it must fit the host and the memory the container uses now."""
    host = await engine.info()
    reserve = max(MIN_RESERVE_BYTES, int(host.memory_total_bytes * RESERVE_SHARE))
    held = container.memory_limit_bytes
    # what runs has its present limit already; what is stopped will need all of it
    growth = new_bytes - (held or new_bytes) if container.is_running else new_bytes
    free = host.memory_free_bytes
    room = free - reserve if free is not None else host.memory_total_bytes - reserve
    needed = growth if free is not None else new_bytes
    if needed > 0 and needed > room:
        room_mb = max(0.0, to_mb(room))
        return text("docker.no_headroom", container=container.ref, new_mb=to_mb(new_bytes), room_mb=room_mb)
    if container.is_running and (held == 0 or new_bytes < held):
        sample = (await engine.sample()).get(container.name)
        if sample is not None and sample.memory_bytes * IN_USE_MARGIN > new_bytes:
            used_mb = to_mb(sample.memory_bytes)
            return text("docker.in_use", container=container.ref, new_mb=to_mb(new_bytes), used_mb=used_mb)
    return None
