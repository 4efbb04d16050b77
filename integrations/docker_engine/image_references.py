"""Parses image names: registry, repository, tag and digest of `ghcr.io/shop/api:1.2@sha256:…`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.errors import NotFound

DOCKER_HUB = "docker.io"
DEFAULT_TAG = "latest"
# The grammar of https://github.com/distribution/reference
_DOMAIN = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::\d{1,5})?/)?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<name>{_DOMAIN}{_PART}(?:/{_PART})*)(?::(?P<tag>\w[\w.-]{{0,127}}))?(?:@(?P<digest>sha256:[0-9a-f]{{64}}))?"
)
_ID = re.compile(r"(?:sha256:)?[0-9a-f]{12,64}")
REFERENCE_LENGTH_LIMIT = 400


@dataclass(frozen=True, kw_only=True)
class ImageReference:
    """An image name in its parts."""

    name: str
    """Registry and repository, short as Docker shows it: `redis`, `shop/api`, `ghcr.io/shop/api`."""
    tag: str | None = None
    digest: str | None = None
    """`sha256:…`"""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}" + (f"@{self.digest}" if self.digest else "")

    @property
    def registry(self) -> str:
        """The registry's host."""
        first, slash, _ = self.name.partition("/")
        return first if slash and ("." in first or ":" in first or first == "localhost") else DOCKER_HUB

    @property
    def what(self) -> str:
        """The digest if there is one, else the tag: the part that a registry is asked for."""
        return self.digest or self.tag or DEFAULT_TAG

    @property
    def full(self) -> str:
        """The name with its digest, or else its tag, even the default one."""
        return f"{self.name}@{self.digest}" if self.digest else f"{self.name}:{self.tag or DEFAULT_TAG}"


def is_image_id(text: str) -> bool:
    """Return whether the text is an image id, whole or at least its first twelve digits."""
    return bool(_ID.fullmatch(text))


def parse_image_reference(text: str) -> ImageReference:
    """Parse an image name; raises NotFound for an impossible one, which must not reach another API path."""
    found = _REFERENCE.fullmatch(text.strip()) if len(text) <= REFERENCE_LENGTH_LIMIT else None
    if found is None:
        raise NotFound(f"{text!r} isn't a valid image name; use one like shop/api:1.2 or ghcr.io/shop/api:1.2")
    name = found["name"]
    for prefix in ("index.docker.io/", f"{DOCKER_HUB}/"):
        name = name.removeprefix(prefix)
    return ImageReference(name=name.removeprefix("library/"), tag=found["tag"], digest=found["digest"])
