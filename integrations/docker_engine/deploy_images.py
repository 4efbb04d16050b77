"""The port through which deploys keep and put back images."""

from __future__ import annotations

from collections.abc import Mapping

from integrations.docker_engine.actions.container_lookup import Engines
from integrations.docker_engine.engine import Engine


class EngineImages:
    """See `core.deploys.Images`. A host that is not watched: NotFound."""

    def __init__(self, engines: Mapping[str, Engine]) -> None:
        self._engines = Engines(engines)

    async def tag(self, host: str, image_id: str, reference: str) -> None:
        """Let a reference mean an image that is there."""
        await self._engines.one(host).store.tag(image_id, reference)

    async def has(self, host: str, image_id: str) -> bool:
        """Whether the image is there; also takes `name@sha256:…`."""
        return await self._engines.one(host).store.image(image_id) is not None

    async def id_of(self, host: str, reference: str) -> str | None:
        """The id of what a reference means there."""
        found = await self._engines.one(host).store.image(reference)
        return found.id if found is not None else None

    async def pull(self, host: str, reference: str) -> str:
        """Fetch what the registry has under that reference now."""
        return (await self._engines.one(host).store.pull(reference)).id
