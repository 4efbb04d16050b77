"""Selects things that can be removed and pulled or built again: never a volume, a container, or anything in use."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from integrations.docker_engine.engine import Engine
from integrations.docker_engine.image_store import BuildCacheEntry, Image, Network
from integrations.docker_engine.registry_lookup import RegistryLookup

DAY_H = 24.0
WEEK_H = 168.0
COMPOSE_NETWORK_LABEL = "com.docker.compose.network"
"""Label of networks that Compose recreates; nobody would recreate one made by hand."""
REGISTRY_CHECKS_LIMIT = 40
"""Images whose registry is asked in one run; the rest waits for the next run."""
REGISTRY_CHECKS_LIMIT_S = 12.0
INSPECTS_AT_ONCE = 8


class PruneTarget(StrEnum):
    """Kind of thing that can be removed."""

    DANGLING = "dangling"
    """Images without a name that no container uses."""
    UNUSED = "unused_images"
    """Images with a name that no container uses, and that their registry still has."""
    CACHE = "build_cache"
    NETWORKS = "networks"
    """Networks made by Compose that no container uses."""


@dataclass(frozen=True, kw_only=True)
class PruneRequest:
    """Targets, age and label of a prune."""

    parts: frozenset[PruneTarget] = frozenset(PruneTarget)
    older_than_h: float | None = None
    """Hours; None: a day, and a week for images with a name."""
    label: str = ""
    """`name` or `name=value`; empty: any label."""

    def span(self, part: PruneTarget) -> timedelta:
        """Return the minimum age for this target."""
        usual = WEEK_H if part is PruneTarget.UNUSED else DAY_H
        return timedelta(hours=usual if self.older_than_h is None else self.older_than_h)

    def fits(self, labels: Mapping[str, str]) -> bool:
        """Return whether the labels match."""
        name, equals, value = self.label.partition("=")
        return not name or (name in labels and (not equals or labels[name] == value))


@dataclass(frozen=True, kw_only=True)
class PruneSelection:
    """Things that a prune would remove."""

    dangling: tuple[Image, ...] = ()
    unused: tuple[Image, ...] = ()
    cache: tuple[BuildCacheEntry, ...] = ()
    networks: tuple[Network, ...] = ()
    kept: tuple[Image, ...] = ()
    """Unused images that stay: their registry no longer has them, or could not be asked."""
    layers_bytes: int = 0
    """Size of all images on the engine before the prune."""

    @property
    def images(self) -> tuple[Image, ...]:
        """Images with and without a name."""
        return self.dangling + self.unused

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to remove."""
        return not (self.images or self.cache or self.networks)

    def bytes_of(self, part: PruneTarget) -> int:
        """Return the bytes freed at least; layers shared only among the removed images come on top."""
        images = {PruneTarget.DANGLING: self.dangling, PruneTarget.UNUSED: self.unused}.get(part, ())
        cache = self.cache if part is PruneTarget.CACHE else ()
        return sum(one.unique_bytes or 0 for one in images) + sum(one.size_bytes for one in cache if not one.is_shared)

    @property
    def bytes(self) -> int:
        """Bytes freed at least, all targets together."""
        return sum(self.bytes_of(part) for part in PruneTarget)

    @property
    def basis(self) -> str:
        """Digest of the selection, to recognise a change."""
        named = sorted([*(one.id for one in self.images), *(one.id for one in self.networks)])
        return hashlib.sha256("\n".join([*named, str(bool(self.cache))]).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class PruneResult:
    """Things that a prune removed."""

    images: tuple[Image, ...] = ()
    networks: tuple[Network, ...] = ()
    images_bytes: int = 0
    cache_bytes: int = 0
    left: tuple[str, ...] = ()
    """Selected but not removed: used or changed in the meantime."""


async def select_prunable(
    engine: Engine, wish: PruneRequest, registries: RegistryLookup, *, now: datetime, keep: Collection[str] = ()
) -> PruneSelection:
    """Select the things to remove. `keep`: ids and digest references of images that must stay, as for a rollback."""
    space = await engine.store.space()
    free = [
        one
        for one in space.images
        if not one.used_by and wish.fits(one.labels) and one.id not in keep and not {*one.digests} & {*keep}
    ]
    dangling = [one for one in free if not one.tags] if PruneTarget.DANGLING in wish.parts else []
    named = [one for one in free if one.tags and one.digests] if PruneTarget.UNUSED in wish.parts else []
    old_dangling = await _old(engine, dangling, now - wish.span(PruneTarget.DANGLING))
    old_named = await _old(engine, named, now - wish.span(PruneTarget.UNUSED))
    there = await _still_in_registry(engine, old_named[:REGISTRY_CHECKS_LIMIT], registries)
    before = now - wish.span(PruneTarget.CACHE)
    has_cache = PruneTarget.CACHE in wish.parts and not wish.label
    cache = [one for one in space.cache if not one.is_in_use and (one.used_at is None or one.used_at < before)]
    return PruneSelection(
        dangling=tuple(old_dangling),
        unused=tuple(one for one in old_named if one.id in there),
        cache=tuple(cache) if has_cache else (),
        networks=tuple(await _free_networks(engine, wish, now)) if PruneTarget.NETWORKS in wish.parts else (),
        kept=tuple(one for one in old_named if one.id not in there),
        layers_bytes=space.layers_bytes,
    )


async def remove_selected(engine: Engine, choice: PruneSelection, wish: PruneRequest) -> PruneResult:
    """Remove exactly the selection, one by one and never by force; then measure the space freed.

    That is the loss in layers meanwhile, but at least the unshared bytes of these images: others may have pulled
    images at the same time.
    """
    images = [one for one in choice.images if await engine.store.remove_image(one.id)]
    networks = [one for one in choice.networks if await engine.store.remove_network(one.id)]
    hours = wish.span(PruneTarget.CACHE).total_seconds() / 3600
    cache_bytes = await engine.store.prune_build_cache(hours) if choice.cache else 0
    after = (await engine.store.space()).layers_bytes if images else choice.layers_bytes
    gone = {one.id for one in images} | {one.id for one in networks}
    return PruneResult(
        images=tuple(images),
        networks=tuple(networks),
        images_bytes=max(choice.layers_bytes - after, sum(one.unique_bytes or 0 for one in images)),
        cache_bytes=cache_bytes,
        left=tuple(one.title for one in choice.images if one.id not in gone)
        + tuple(one.name for one in choice.networks if one.id not in gone),
    )


async def _old(engine: Engine, images: Sequence[Image], before: datetime) -> list[Image]:
    """Return the images built and last named before then; an image pulled today may be about to be used."""
    built = [one for one in images if one.created_at is None or one.created_at < before]
    gate = asyncio.Semaphore(INSPECTS_AT_ONCE)

    async def is_old(one: Image) -> bool:
        async with gate:
            found = await engine.store.image(one.id)
        return found is not None and (found.named_at is None or found.named_at < before)

    answers = await asyncio.gather(*map(is_old, built))
    return [one for one, old in zip(built, answers, strict=True) if old]


async def _still_in_registry(engine: Engine, images: Sequence[Image], registries: RegistryLookup) -> set[str]:
    """Return the ids of images that their registry still has, as far as it answers in time."""
    there: set[str] = set()

    async def check(one: Image) -> None:
        for reference in one.digests:
            answer = await registries.ask(engine, reference)
            if answer.digest and answer.digest == reference.partition("@")[2]:
                there.add(one.id)
                return

    try:
        async with asyncio.timeout(REGISTRY_CHECKS_LIMIT_S):
            await asyncio.gather(*map(check, images))
    except TimeoutError:
        return there
    return there


async def _free_networks(engine: Engine, wish: PruneRequest, now: datetime) -> list[Network]:
    taken = {name for one in await engine.containers() for name in one.networks}
    before = now - wish.span(PruneTarget.NETWORKS)
    return [
        one
        for one in await engine.store.networks()
        if one.is_local
        and COMPOSE_NETWORK_LABEL in one.labels
        and one.name not in taken
        and wish.fits(one.labels)
        and one.created_at is not None
        and one.created_at < before
    ]
