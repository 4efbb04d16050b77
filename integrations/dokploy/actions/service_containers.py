"""Container state of applications and databases, asked directly because Dokploy hides failed starts and stops."""

from __future__ import annotations

import asyncio

from core.deployments.platform import ManagedResource
from integrations.dokploy.actions.dokploy_deps import DokployDeps

TASK_PAUSES_S = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Pauses between looks: Swarm takes some seconds to start or end a task."""


async def has_running_task(parts: DokployDeps, managed: ManagedResource) -> bool:
    """Return whether any task of its Swarm service runs."""
    found = await parts.dokploy.containers.running_of_app(managed.app_name, "swarm", server_id=managed.server)
    return any(one.state == "running" for one in found)


async def wait_until_settled(parts: DokployDeps, managed: ManagedResource, *, is_wanted: bool) -> bool:
    """Wait some seconds until it runs (`is_wanted`) or has stopped; return whether it got there."""
    for pause_s in TASK_PAUSES_S:
        await asyncio.sleep(pause_s)
        if await has_running_task(parts, managed) is is_wanted:
            return True
    return False
