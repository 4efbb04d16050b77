"""All toolsets for Docker engines; they share one cache of registry answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from core.actions.catalog import Toolset
from integrations.docker_engine.actions.container_actions import ContainerToolset
from integrations.docker_engine.actions.container_facts import RedactText
from integrations.docker_engine.actions.image_actions import ImageToolset
from integrations.docker_engine.actions.space_actions import ImagesToKeep, SpaceToolset, keep_no_images
from integrations.docker_engine.engine import Engine
from integrations.docker_engine.registry_lookup import RegistryLookup


def _utc_now() -> datetime:
    return datetime.now(UTC)


def docker_toolsets(
    engines: Mapping[str, Engine],
    redact: RedactText,
    *,
    now: Callable[[], datetime] = _utc_now,
    keep: ImagesToKeep = keep_no_images,
) -> list[Toolset]:
    """Return the toolsets. `keep`: images that no prune may remove, such as those of versions to roll back to."""
    registries = RegistryLookup(now)
    return [
        ContainerToolset(engines, redact, now=now),
        ImageToolset(engines, redact, now=now, registries=registries),
        SpaceToolset(engines, redact, now=now, registries=registries, keep=keep),
    ]
