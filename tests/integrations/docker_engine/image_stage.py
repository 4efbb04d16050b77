"""Images for tests: built in a blink by committing a container, pushed to the registry on loopback."""

from __future__ import annotations

import http.client
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import docker
from docker.errors import APIError

from core.actions.catalog import Catalog, Result
from core.text import LANGUAGES
from knowledge.config.text_files import load_texts
from tests.testbed.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """Makes images that nobody else has, and removes them."""

    client: docker.DockerClient
    base: str
    registry: Registry
    made: list[str] = field(default_factory=list)
    name: str = field(default_factory=lambda: f"d-{secrets.token_hex(4)}/api")
    """A repository of the registry for this test alone."""

    def build(self, labels: Mapping[str, str] | None = None) -> str:
        """An image unlike any other, without a name; its id."""
        held = {"build": secrets.token_hex(4), **(labels or {})}
        container = self.client.containers.create(self.base, ["true"])
        try:
            image = container.commit(changes=[f'LABEL "{key}"="{value}"' for key, value in held.items()])
        finally:
            container.remove(force=True)
        self.made.append(str(image.id))
        return str(image.id)

    def push(self, image_id: str, tag: str = "1") -> str:
        """Give the registry an image; the name under which it has it, and the engine too."""
        return self.registry.push(self.client, image_id, self.name, tag)

    def push_only(self, image_id: str, tag: str, *, here: str) -> str:
        """As if somebody else had pushed it: on the engine the name goes on to mean `here`, and the image is gone."""
        reference = self.push(image_id, tag)
        self.client.images.get(here).tag(*reference.rsplit(":", 1))
        self.client.api.remove_image(image_id, force=True)
        return reference

    def lose(self, tag: str) -> None:
        """Let the registry forget what a tag stands for, and every other tag of the same image."""
        connection = http.client.HTTPConnection("127.0.0.1", self.registry.port, timeout=10)
        try:
            connection.request("DELETE", f"/v2/{self.name}/manifests/{self.registry.digest(self.name, tag)}")
            assert connection.getresponse().status == 202
        finally:
            connection.close()

    def clear(self) -> None:
        """Remove what was built."""
        for image_id in self.made:
            with suppress(APIError):
                self.client.api.remove_image(image_id, force=True)


@contextmanager
def workshop(client: docker.DockerClient, base: str, registry: Registry) -> Iterator[Workshop]:
    """Give one, and clear it up."""
    made = Workshop(client=client, base=base, registry=registry)
    try:
        yield made
    finally:
        made.clear()


async def run(catalog: Catalog, name: str, **raw: object) -> Result:
    """Run an action as the gateway does; its message must be whole in every language."""
    action = catalog.get(name)
    result = await action.run(action.parse(raw))
    for language in LANGUAGES:
        sentence = load_texts().render(result.message, language)
        assert sentence
        assert "docker." not in sentence
        assert "–" not in sentence, "a gap was not filled"
    return result


def says(result: Result, language: str = "en") -> str:
    """Its sentence for people."""
    return load_texts().render(result.message, "es" if language == "es" else "en")
