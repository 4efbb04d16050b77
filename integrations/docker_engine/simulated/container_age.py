"""Gives a simulated container a past: it ran well for a while before the simulation began."""

from __future__ import annotations

from datetime import timedelta

from core.monitoring.inventory import ContainerState, Health
from integrations.docker_engine.simulated.simulated_container import SimulatedContainer


def with_age(container: SimulatedContainer, age_s: float) -> SimulatedContainer:
    """Return the container as if it had run well for that long."""
    container.state = ContainerState.RUNNING
    container.created_at = container.created_at - timedelta(seconds=age_s + 3)
    container.started_at = container.created_at + timedelta(seconds=3)
    container.health = Health.HEALTHY if container.recipe.health else Health.NONE
    for line in container.recipe.greeting:
        container.lines.append(("stdout", container.started_at, line.encode()))
    for position in range(min(60, int(age_s / container.recipe.chatter_s)) if container.recipe.chatter else 0):
        at = container.world.now() - timedelta(seconds=(60 - position) * container.recipe.chatter_s)
        line = container.recipe.chatter[position % len(container.recipe.chatter)]
        container.lines.append(("stdout", max(at, container.started_at), line.encode()))
    return container
