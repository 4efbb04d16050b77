"""What every engine's store must do. Subclass it in a test module and give it a `shelf` fixture."""

from __future__ import annotations

import socket
from typing import Protocol

import pytest

from core.errors import NotFound
from integrations.docker_engine.engine import Engine
from integrations.docker_engine.image_store import PullProgress
from integrations.docker_engine.refusals import EngineNotFound, RefusalReason

NOTHING = "sha256:" + "0" * 64


class Shelf(Protocol):
    """Images on an engine and in a registry, of one test alone."""

    @property
    def engine(self) -> Engine:
        """The engine under test."""
        ...

    @property
    def missing(self) -> str:
        """A name that the registry does not have."""
        ...

    def runs(self, *, port: int | None = None, start: bool = True) -> tuple[str, str]:
        """A container of an image that its registry has; its name, and the image's.

        `port`: it wants this one of its host's 127.0.0.1 or wider, for 8000/tcp.
        """
        ...

    def publish(self, name: str) -> None:
        """Somebody else pushes a newer image under that name; the engine does not have it."""
        ...

    def nameless(self) -> str:
        """An image of the engine that has no name and no container; its id."""
        ...


class StoreContract:
    """The suite; see the module's docstring."""

    async def test_an_image_is_found_by_name_id_and_digest(self, shelf: Shelf) -> None:
        store = shelf.engine.store
        container, name = shelf.runs()
        found = await store.image(name)
        assert found is not None
        assert (name in found.tags, found.used_by, found.host) == (True, (container,), shelf.engine.name)
        assert found.created_at is not None
        assert found.size_bytes > 0
        for other in (found.id, found.id[7:19], found.digests[0]):
            same = await store.image(other)
            assert same is not None
            assert same.id == found.id
        assert found.id in {one.id for one in await store.images()}
        assert await store.image("nobody/has-this:1") is None
        assert await store.image(NOTHING) is None

    async def test_the_registry_is_asked_and_a_pull_brings_what_it_has(self, shelf: Shelf) -> None:
        store = shelf.engine.store
        container, name = shelf.runs()
        old = await store.image(name)
        assert old is not None
        repository = name.rpartition(":")[0]
        assert f"{repository}@{await store.distribution(name)}" in old.digests

        shelf.publish(name)
        newest = f"{repository}@{await store.distribution(name)}"
        assert newest not in old.digests
        assert await store.image(newest) is None, "asking fetches nothing"
        steps: list[PullProgress] = []
        new = await store.pull(name, steps.append)
        assert (newest in new.digests, new.id != old.id, bool(steps)) == (True, True, True)
        after = await store.image(old.id)
        assert after is not None
        assert (after.used_by, name in after.tags) == ((container,), False)
        assert (await store.pull(name)).id == new.id

        await store.tag(old.id, name)
        named = await store.image(name)
        assert named is not None
        assert named.id == old.id

    async def test_a_missing_image_is_named(self, shelf: Shelf) -> None:
        store = shelf.engine.store
        with pytest.raises(NotFound):
            await store.tag(NOTHING, "nobody/has-this:1")
        for ask in (store.distribution, store.pull):
            with pytest.raises(EngineNotFound) as caught:
                await ask(shelf.missing)
            assert caught.value.trouble is RefusalReason.IMAGE_NOT_FOUND
        with pytest.raises(NotFound, match="isn't a valid image name"):
            await store.pull("../images/json")

    async def test_an_image_in_use_is_not_removed(self, shelf: Shelf) -> None:
        store = shelf.engine.store
        _, name = shelf.runs()
        used = await store.image(name)
        assert used is not None
        assert not await store.remove_image(used.id)
        free = shelf.nameless()
        assert free in {one.id for one in (await store.space()).images if not one.tags and not one.used_by}
        assert await store.remove_image(free)
        assert await store.image(free) is None
        assert not await store.remove_image(free)
        assert await store.image(name) == used

    async def test_ports_of_running_and_stopped_containers_are_listed(self, shelf: Shelf) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        running, _ = shelf.runs(port=port)
        waiting, _ = shelf.runs(port=port, start=False)
        found = {
            one.container.rpartition("/")[2]: one
            for one in await shelf.engine.store.bindings()
            if one.container.rpartition("/")[2] in (running, waiting)
        }
        assert (found[running].port, found[running].inside, found[running].protocol) == (port, 8000, "tcp")
        assert (found[running].is_open, found[waiting].is_open) == (True, False)
        assert (found[waiting].port, found[waiting].state) == (port, "created")
