"""Images, build cache, networks and registries of the simulated host."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from core.errors import NotFound
from core.monitoring.inventory import Container
from integrations.docker_engine import image_references
from integrations.docker_engine.actions.published_ports import port_bindings
from integrations.docker_engine.client.json_fields import JsonAnswer
from integrations.docker_engine.image_store import (
    PULL_LIMIT_S,
    REGISTRY_LIMIT_S,
    BuildCacheEntry,
    Image,
    Network,
    OnPullProgress,
    PortBinding,
    PullProgress,
    StoredSpace,
)
from integrations.docker_engine.refusals import RefusalReason, registry_refusal_error
from integrations.docker_engine.simulated.container_spec import MIB

ORDER_TAKES_S = 0.002
LAYERS = 5
LAYER_TAKES_S = 0.05
RUNNING_IMAGE_AGE = timedelta(days=40)
"""Age of the running images; a newer one in the registry is younger."""
BASE_LAYERS_SHARE = 0.6
"""Share of an image that is its base, which other images share."""


@dataclass(frozen=True, kw_only=True)
class SimulatedImageContents:
    """Contents of the disk besides the containers' images, and of the registries."""

    built_here: frozenset[str] = frozenset()
    """References that no registry has."""
    newer: frozenset[str] = frozenset()
    """References under which the registry has a newer image."""
    refused: Mapping[str, RefusalReason] = field(default_factory=dict)
    """Reason for a registry's refusal, by reference or by registry."""
    images: tuple[Image, ...] = ()
    cache: tuple[BuildCacheEntry, ...] = ()
    networks: tuple[Network, ...] = ()


class SimulatedImageStore:
    """See `ImageStore`."""

    def __init__(
        self,
        host: str,
        containers: Callable[[], Sequence[tuple[Container, JsonAnswer]]],
        now: Callable[[], datetime],
        stored: SimulatedImageContents,
    ) -> None:
        self._host = host
        self._containers = containers
        self._now = now
        self._stored = stored
        self._images = {one.id: replace(one, host=host) for one in stored.images}
        self._seen: set[str] = set()
        self._cache = list(stored.cache)
        self._networks = {one.id: one for one in stored.networks}
        self._published: dict[str, int] = dict.fromkeys(stored.newer, 1)

    # -- images ----------------------------------------------------------------------------------------------------

    async def images(self) -> list[Image]:
        """Return all images with their users."""
        await asyncio.sleep(ORDER_TAKES_S)
        return self._all()

    def _all(self) -> list[Image]:
        users: dict[str, list[str]] = {}
        for container, _ in self._containers():
            users.setdefault(container.image_id, []).append(container.name)
            if container.image_id not in self._seen:
                self._seen.add(container.image_id)
                self._images[container.image_id] = self._made(
                    container.image, container.image_id, "", RUNNING_IMAGE_AGE
                )
        return [replace(one, used_by=tuple(sorted(users.get(one.id, ())))) for one in self._images.values()]

    def _made(self, reference: str, image_id: str, digest: str, age: timedelta) -> Image:
        name = image_references.parse_image_reference(reference)
        is_local = reference in self._stored.built_here
        size = (80 + int(image_id[7:11], 16) % 900) * MIB
        return Image(
            host=self._host,
            id=image_id,
            tags=(name.full,) if not name.digest else (),
            digests=() if is_local else (f"{name.name}@{digest or _digest(reference)}",),
            size_bytes=size,
            unique_bytes=int(size * (1 - BASE_LAYERS_SHARE)),
            created_at=self._now() - age,
            named_at=self._now() - age / 2,
        )

    async def image(self, reference: str) -> Image | None:
        """Return the image of a name, digest reference or id."""
        asked = (
            reference
            if image_references.is_image_id(reference)
            else image_references.parse_image_reference(reference).full
        )
        for one in await self.images():
            is_id = image_references.is_image_id(asked) and one.id[7:].startswith(asked.removeprefix("sha256:"))
            if is_id or asked in one.tags or asked in one.digests:
                return one
        return None

    async def tag(self, image_id: str, reference: str) -> None:
        """Point a name at that image."""
        found = await self.image(image_id)
        if found is None:
            raise NotFound(f"tag {image_id!r} as {reference!r}: {self._host!r} has no such image")
        self._name(found.id, image_references.parse_image_reference(reference).full)

    def _name(self, image_id: str, name: str) -> None:
        for one in tuple(self._images.values()):
            self._images[one.id] = replace(one, tags=tuple(tag for tag in one.tags if tag != name))
        owner = self._images[image_id]
        self._images[image_id] = replace(owner, tags=tuple(sorted({*owner.tags, name})), named_at=self._now())

    async def remove_image(self, image_id: str) -> bool:
        """Remove an image, unless a container uses it."""
        found = await self.image(image_id)
        if found is None or found.used_by:
            return False
        return self._images.pop(found.id, None) is not None

    # -- registries ------------------------------------------------------------------------------------------------

    async def pull(
        self, reference: str, on_step: OnPullProgress | None = None, *, time_limit_s: float = PULL_LIMIT_S
    ) -> Image:
        """Pull the image that the registry has under that name now."""
        name = image_references.parse_image_reference(reference)
        digest = await self.distribution(reference)
        known = await self.image(f"{name.name}@{digest}")
        total = 300 * MIB
        for layer in range(1, LAYERS + 1) if known is None else ():
            await asyncio.sleep(LAYER_TAKES_S)
            if on_step is not None:
                done = total * layer // LAYERS
                on_step(PullProgress(layers=LAYERS, layers_done=layer, bytes_done=done, bytes_total=total))
        if known is None:
            image_id = "sha256:" + hashlib.sha256(f"{name.name}@{digest}".encode()).hexdigest()
            known = self._made(name.full, image_id, digest, timedelta(hours=20))
            self._images[image_id] = replace(known, tags=())
        if not name.digest:
            self._name(known.id, name.full)
        return await self.image(known.id) or known

    async def distribution(self, reference: str, *, time_limit_s: float = REGISTRY_LIMIT_S) -> str:
        """Return the registry's present digest of that name."""
        await asyncio.sleep(ORDER_TAKES_S)
        name = image_references.parse_image_reference(reference)
        trouble = self._stored.refused.get(name.full) or self._stored.refused.get(name.registry)
        if trouble is None and name.full in self._stored.built_here:
            trouble = RefusalReason.REGISTRY_LOGIN
        if trouble is not None:
            what = f"ask for {name.full!r}"
            raise registry_refusal_error(trouble, name.full, name.registry, "the registry gives nothing", what)
        return name.digest or _digest(name.full, self._published.get(name.full, 0))

    def publish(self, reference: str) -> None:
        """Push a newer image under that name."""
        name = image_references.parse_image_reference(reference).full
        self._published[name] = self._published.get(name, 0) + 1

    def put(self, image: Image) -> None:
        """Add an image to the disk."""
        self._images[image.id] = replace(image, host=self._host)

    # -- space -----------------------------------------------------------------------------------------------------

    async def space(self) -> StoredSpace:
        """Return images and build cache with the size that each takes alone."""
        await asyncio.sleep(ORDER_TAKES_S)
        images = self._all()
        base = max((int(one.size_bytes * BASE_LAYERS_SHARE) for one in images), default=0)
        layers = base + sum(one.unique_bytes or 0 for one in images)
        return StoredSpace(layers_bytes=layers, images=tuple(images), cache=tuple(self._cache))

    async def prune_build_cache(self, unused_for_h: float) -> int:
        """Remove build cache unused for this long."""
        await asyncio.sleep(ORDER_TAKES_S)
        before = self._now() - timedelta(hours=unused_for_h)
        old = [one for one in self._cache if not one.is_in_use and (one.used_at is None or one.used_at < before)]
        self._cache = [one for one in self._cache if one not in old]
        return sum(one.size_bytes for one in old if not one.is_shared)

    async def networks(self) -> list[Network]:
        """Return all networks."""
        await asyncio.sleep(ORDER_TAKES_S)
        return list(self._networks.values())

    async def remove_network(self, network_id: str) -> bool:
        """Remove a network."""
        await asyncio.sleep(ORDER_TAKES_S)
        return self._networks.pop(network_id, None) is not None

    async def bindings(self) -> list[PortBinding]:
        """Return every published port of every container, including those that stopped ones would publish."""
        await asyncio.sleep(ORDER_TAKES_S)
        return [one for container, answer in self._containers() for one in port_bindings(container, answer)]


def demo_image_contents(now: datetime | None = None) -> SimulatedImageContents:
    """Return leftovers on the disk of the demo's host, and newer images in its registries."""
    at = now or datetime.now(UTC)
    earlier = [
        Image(
            host="",
            id="sha256:" + hashlib.sha256(f"granada/api build {number}".encode()).hexdigest(),
            size_bytes=640 * MIB,
            unique_bytes=210 * MIB,
            created_at=at - timedelta(days=3 * number),
            named_at=at - timedelta(days=3 * number),
        )
        for number in range(1, 5)
    ]
    unused = Image(
        host="",
        id="sha256:" + hashlib.sha256(b"postgres:15.7").hexdigest(),
        tags=("postgres:15.7",),
        digests=(f"postgres@{_digest('postgres:15.7')}",),
        size_bytes=430 * MIB,
        unique_bytes=290 * MIB,
        created_at=at - timedelta(days=90),
        named_at=at - timedelta(days=60),
    )
    cache = [
        BuildCacheEntry(id=f"step{number}", size_bytes=180 * MIB, used_at=at - timedelta(days=number))
        for number in range(9)
    ]
    network = Network(
        id=hashlib.sha256(b"old").hexdigest(),
        name="oldshop_default",
        is_local=True,
        created_at=at - timedelta(days=70),
        labels={"com.docker.compose.network": "default", "com.docker.compose.project": "oldshop"},
    )
    return SimulatedImageContents(
        built_here=frozenset({"granada/api:2.4.1", "granada/frontend:2.4.0"}),
        newer=frozenset({"redis:7.4", "n8nio/n8n:1.64.0"}),
        images=(*earlier, unused),
        cache=tuple(cache),
        networks=(network,),
    )


def _digest(reference: str, turn: int = 0) -> str:
    """Return the registry's digest for a name after this many pushes."""
    return "sha256:" + hashlib.sha256(f"registry {reference} {turn}".encode()).hexdigest()
