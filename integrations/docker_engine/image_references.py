"""Reads the names of images: registry, repository, tag and digest of `ghcr.io/shop/api:1.2@sha256:…`."""

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
LONGEST = 400


@dataclass(frozen=True, kw_only=True)
class ImageReference:
    """The name of an image, taken apart."""

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
        """The host that holds it."""
        first, slash, _ = self.name.partition("/")
        return first if slash and ("." in first or ":" in first or first == "localhost") else DOCKER_HUB

    @property
    def what(self) -> str:
        """What the registry is asked for: the digest where one is given, else the tag."""
        return self.digest or self.tag or DEFAULT_TAG

    @property
    def full(self) -> str:
        """With its tag, also where that is the default one."""
        return f"{self.name}@{self.digest}" if self.digest else f"{self.name}:{self.tag or DEFAULT_TAG}"


def is_id(text: str) -> bool:
    """Whether it is an image's id, whole or at least its first twelve digits."""
    return bool(_ID.fullmatch(text))


def parse(text: str) -> ImageReference:
    """Take a name apart; raises NotFound for what no image can be called: it must not reach another page."""
    found = _REFERENCE.fullmatch(text.strip()) if len(text) <= LONGEST else None
    if found is None:
        raise NotFound(f"{text!r} isn't a valid image name; use one like shop/api:1.2 or ghcr.io/shop/api:1.2")
    name = found["name"]
    for prefix in ("index.docker.io/", f"{DOCKER_HUB}/"):
        name = name.removeprefix(prefix)
    return ImageReference(name=name.removeprefix("library/"), tag=found["tag"], digest=found["digest"])
