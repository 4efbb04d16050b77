"""Interface to the images, build cache and networks of an engine, and to the registries it asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

PULL_LIMIT_S = 600.0
REGISTRY_LIMIT_S = 10.0
"""Time for a registry to name a digest."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image on an engine."""

    host: str
    id: str
    """sha256:…"""
    tags: tuple[str, ...] = ()
    """`shop/api:1.2`; empty: the image has no name (dangling)."""
    digests: tuple[str, ...] = ()
    """`shop/api@sha256:…` per registry that it was pulled from or pushed to; empty: it was built here."""
    size_bytes: int = 0
    unique_bytes: int | None = None
    """Size not shared with any other image; None: not measured."""
    created_at: datetime | None = None
    """Build time."""
    named_at: datetime | None = None
    """Last time it got a name here, by build or tag (engines may omit pulls); None: not asked, or not recorded."""
    used_by: tuple[str, ...] = ()
    """Names of the containers created from it, stopped ones too."""
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """A name for it, or its short id."""
        return self.tags[0] if self.tags else self.id.removeprefix("sha256:")[:12]


@dataclass(frozen=True, kw_only=True)
class BuildCacheEntry:
    """One step kept in the build cache."""

    id: str
    size_bytes: int
    is_in_use: bool = False
    is_shared: bool = False
    """True when an image holds these bytes too."""
    used_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network of an engine."""

    id: str
    name: str
    is_local: bool
    """False for a swarm's network that spans several machines."""
    created_at: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StoredSpace:
    """Everything stored that can be pulled or built again."""

    layers_bytes: int
    """Size of all images, shared layers counted once."""
    images: tuple[Image, ...] = ()
    cache: tuple[BuildCacheEntry, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PullProgress:
    """Progress of a pull."""

    layers: int
    layers_done: int
    bytes_done: int
    bytes_total: int
    """Size of the layers whose size is known so far."""


OnPullProgress = Callable[[PullProgress], None]


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
    """Port on the host; 0: any free one at start."""
    inside: int
    protocol: str
    is_open: bool
    """True when published now; False when only configured."""


class ImageStore(Protocol):
    """Images of one engine. Raises as `Engine` does; a refusing registry raises EngineRefused or EngineNotFound."""

    async def images(self) -> list[Image]:
        """Return all images with their users; sizes only of whole images."""
        ...

    async def image(self, reference: str) -> Image | None:
        """Return the image of a name, digest reference or id, with `named_at`; None: it is not there."""
        ...

    async def tag(self, image_id: str, reference: str) -> None:
        """Point a name at that image; raises NotFound when the image is not there."""
        ...

    async def pull(
        self, reference: str, on_step: OnPullProgress | None = None, *, time_limit_s: float = PULL_LIMIT_S
    ) -> Image:
        """Pull the image that the registry has under that name now. Cancelling ends the pull; finished layers stay."""
        ...

    async def distribution(self, reference: str, *, time_limit_s: float = REGISTRY_LIMIT_S) -> str:
        """Return the registry's present digest (sha256:…) of that name, asked by the engine; nothing is pulled."""
        ...

    async def remove_image(self, image_id: str) -> bool:
        """Remove an image with its names, never by force; False: it was gone, or a container uses it."""
        ...

    async def space(self) -> StoredSpace:
        """Return images and build cache with the size that each takes alone."""
        ...

    async def prune_build_cache(self, unused_for_h: float) -> int:
        """Remove build cache unused for this long; returns the bytes freed."""
        ...

    async def networks(self) -> list[Network]:
        """Return all networks."""
        ...

    async def remove_network(self, network_id: str) -> bool:
        """Remove a network; False: it was gone, or a container uses it."""
        ...

    async def bindings(self) -> list[PortBinding]:
        """Return every published port of every container, including those that stopped ones would publish."""
        ...
