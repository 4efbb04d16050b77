"""What an engine stores beside containers: images, build cache, networks; and how it asks a registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

PULL_LIMIT_S = 600.0
REGISTRY_LIMIT_S = 10.0
"""How long a registry may take to name a digest."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image on an engine."""

    host: str
    id: str
    """sha256:…"""
    tags: tuple[str, ...] = ()
    """`shop/api:1.2`; none: nobody can name it (dangling)."""
    digests: tuple[str, ...] = ()
    """`shop/api@sha256:…` for each registry that it was fetched from or pushed to; none: it was built here."""
    size_bytes: int = 0
    unique_bytes: int | None = None
    """What it shares with no other image; None: not measured."""
    created_at: datetime | None = None
    """When it was built."""
    named_at: datetime | None = None
    """When it last got a name here, by build or tag (engines may leave pulls out); None: not asked, or not noted."""
    used_by: tuple[str, ...] = ()
    """Names of the containers made from it, stopped ones too."""
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """A name for it."""
        return self.tags[0] if self.tags else self.id.removeprefix("sha256:")[:12]


@dataclass(frozen=True, kw_only=True)
class CacheEntry:
    """One step kept by the builder."""

    id: str
    size_bytes: int
    is_in_use: bool = False
    is_shared: bool = False
    """Its bytes are an image's too."""
    used_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network of one engine."""

    id: str
    name: str
    is_local: bool
    """Not one that a swarm spans over several machines."""
    created_at: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StoredSpace:
    """Everything stored that could be fetched or made again."""

    layers_bytes: int
    """All images together, shared layers counted once."""
    images: tuple[Image, ...] = ()
    cache: tuple[CacheEntry, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PullStep:
    """How far a pull is."""

    layers: int
    layers_done: int
    bytes_done: int
    bytes_total: int
    """Of the layers whose size is known so far."""


OnStep = Callable[[PullStep], None]


@dataclass(frozen=True, kw_only=True)
class PortBinding:
    """A port that a container publishes on its host, or will when it starts."""

    container: str
    """host/name"""
    stack: str | None
    service: str
    image: str
    state: str
    address: str
    """0.0.0.0 or :: for every address of the machine."""
    port: int
    """On the host; 0: whichever is free at the start."""
    inside: int
    protocol: str
    is_open: bool
    """Published now; else only wished for."""


class ImageStore(Protocol):
    """Images of one engine. Raises as `Engine` does; registries that refuse: EngineRefused, EngineLacks."""

    async def images(self) -> list[Image]:
        """All images with their users; sizes only as the image's whole."""
        ...

    async def image(self, reference: str) -> Image | None:
        """The image of a name, digest reference or id, with `named_at`; None: it is not there."""
        ...

    async def tag(self, image_id: str, reference: str) -> None:
        """Let a name mean that image; raises NotFound where the image is not there."""
        ...

    async def pull(self, reference: str, on_step: OnStep | None = None, *, time_limit_s: float = PULL_LIMIT_S) -> Image:
        """Fetch what the registry has under that name now. A cancelled pull ends; finished layers stay."""
        ...

    async def distribution(self, reference: str, *, time_limit_s: float = REGISTRY_LIMIT_S) -> str:
        """The registry's digest (sha256:…) of that name now, asked by the engine; nothing is fetched."""
        ...

    async def remove_image(self, image_id: str) -> bool:
        """Take its names away and remove it, never by force; False: it was gone, or somebody uses it."""
        ...

    async def space(self) -> StoredSpace:
        """Images and build cache with what each one alone takes."""
        ...

    async def prune_build_cache(self, unused_for_h: float) -> int:
        """Remove cache that was not used for so long; returns the bytes freed."""
        ...

    async def networks(self) -> list[Network]:
        """All networks."""
        ...

    async def remove_network(self, network_id: str) -> bool:
        """Remove a network; False: it was gone, or somebody uses it."""
        ...

    async def bindings(self) -> list[PortBinding]:
        """Every published port of every container, also those that stopped ones would take."""
        ...
