"""Lets deployments keep, restore and pull images."""

from __future__ import annotations

from collections.abc import Mapping

from integrations.docker_engine.actions.container_lookup import EngineLookup
from integrations.docker_engine.engine import Engine


class DeployImageStore:
    """See `core.deployments.deploys.Images`. Raises NotFound for a host that is not watched."""

    def __init__(self, engines: Mapping[str, Engine]) -> None:
        self._engines = EngineLookup(engines)

    async def tag(self, host: str, image_id: str, reference: str) -> None:
        """Point a reference at an image that is on the host."""
        await self._engines.one(host).store.tag(image_id, reference)

    async def has(self, host: str, image_id: str) -> bool:
        """Return whether the image is on the host; also takes `name@sha256:…`."""
        return await self._engines.one(host).store.image(image_id) is not None

    async def id_of(self, host: str, reference: str) -> str | None:
        """Return the id of the image that a reference means there; None when it is missing."""
        found = await self._engines.one(host).store.image(reference)
        return found.id if found is not None else None

    async def pull(self, host: str, reference: str) -> str:
        """Pull the image that the registry has under that reference now; returns its id."""
        return (await self._engines.one(host).store.pull(reference)).id
