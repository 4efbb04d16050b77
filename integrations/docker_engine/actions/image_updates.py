"""Compares the images of running containers with the present ones in their registries."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from core.actions.catalog import JsonObject
from core.errors import NotFound
from core.monitoring.inventory import Container
from integrations.docker_engine import image_references
from integrations.docker_engine.engine import Engine
from integrations.docker_engine.image_references import ImageReference
from integrations.docker_engine.image_store import Image
from integrations.docker_engine.registry_lookup import RegistryLookup

DAY_S = 86_400.0


class UncheckableReason(StrEnum):
    """Reason that a newer image cannot be looked for, besides a registry's refusal."""

    BUILT_HERE = "built_here"
    PINNED = "pinned"
    NO_NAME = "no_name"
    IMAGE_GONE = "image_gone"


@dataclass(frozen=True, kw_only=True)
class ImageFreshness:
    """An image that containers of a host run, compared with its registry."""

    host: str
    image: str
    """Name in the containers' configuration."""
    image_id: str
    containers: tuple[Container, ...]
    running_digest: str = ""
    """The registry's digest of the running image; empty: it has none."""
    registry_digest: str = ""
    is_newer: bool | None = None
    """True when the registry has another image under that name; None: unknown, see `why`."""
    is_fetched: bool = False
    """True when the newer image is already on the host: the containers only need to be recreated."""
    why: str = ""
    """An UnknownFreshness or RefusalReason; its sentence is `docker.untold.<why>`."""
    created_at: datetime | None = None

    def facts(self, now: datetime) -> JsonObject:
        """Return plain JSON; the age is that of the running image."""
        age = (now - self.created_at).total_seconds() / DAY_S if self.created_at else None
        return {
            "host": self.host,
            "image": self.image,
            "image_id": self.image_id,
            "containers": [one.ref for one in self.containers],
            "stacks": [*sorted({one.stack for one in self.containers if one.stack})],
            "services": [*sorted({one.service for one in self.containers})],
            "running_digest": self.running_digest or None,
            "registry_digest": self.registry_digest or None,
            "is_newer": self.is_newer,
            "is_fetched": self.is_fetched,
            "why": self.why or None,
            "age_days": round(age, 1) if age is not None else None,
        }


async def check_freshness(
    engine: Engine, containers: Sequence[Container], registries: RegistryLookup, *, fresh: bool = False
) -> list[ImageFreshness]:
    """Return one entry for each image that these containers of one engine run."""
    stored = await engine.store.images()
    by_id = {one.id: one for one in stored}
    groups: dict[tuple[str, str], list[Container]] = {}
    for one in containers:
        groups.setdefault((one.image, one.image_id), []).append(one)

    async def compare(image: str, image_id: str, users: Sequence[Container]) -> ImageFreshness:
        found = ImageFreshness(host=engine.name, image=image, image_id=image_id, containers=tuple(users))
        return await _compared(engine, found, by_id.get(image_id), stored, registries, fresh=fresh)

    return list(await asyncio.gather(*(compare(*key, users) for key, users in groups.items())))


def outdated_first(found: Sequence[ImageFreshness]) -> list[ImageFreshness]:
    """Sort outdated ones first, then unknown ones, then the rest; each by name."""
    rank = {True: 0, None: 1, False: 2}
    return sorted(found, key=lambda one: (rank[one.is_newer], one.image, one.host))


async def _compared(
    engine: Engine,
    found: ImageFreshness,
    image: Image | None,
    stored: Sequence[Image],
    registries: RegistryLookup,
    *,
    fresh: bool,
) -> ImageFreshness:
    try:
        name = image_references.parse_image_reference(found.image)
    except NotFound:
        return replace(found, why=UncheckableReason.NO_NAME, created_at=image.created_at if image else None)
    if image is None:
        return replace(found, why=UncheckableReason.IMAGE_GONE)
    running = _digests_under(image, name)
    found = replace(found, created_at=image.created_at, running_digest=running[0] if running else "")
    if found.image.startswith("sha256:") or image_references.is_image_id(found.image):
        return replace(found, why=UncheckableReason.NO_NAME)
    if name.digest:
        return replace(found, why=UncheckableReason.PINNED, running_digest=name.digest)
    if not running:
        return replace(found, why=UncheckableReason.BUILT_HERE)
    answer = await registries.ask(engine, name.full, fresh=fresh)
    if answer.trouble is not None:
        return replace(found, why=answer.trouble)
    is_newer = answer.digest not in running
    return replace(
        found,
        registry_digest=answer.digest,
        running_digest=running[0] if is_newer else answer.digest,
        is_newer=is_newer,
        is_fetched=is_newer and any(answer.digest in _digests_under(one, name) for one in stored),
    )


def _digests_under(image: Image, name: ImageReference) -> list[str]:
    """Return the image's digests in that very repository."""
    return [digest for held, _, digest in (one.partition("@") for one in image.digests) if held == name.name]
