"""Pruning on a real engine, bounded by a label to what the test has made: the engine is everybody's."""

from __future__ import annotations

import io
import os
import secrets
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import docker
import pytest
from docker.errors import ImageNotFound

from core.actions.catalog import Catalog, Outcome, Preview, Risk, Role
from core.actions.policy import Actor, ActorKind, Decision, Facts, decide
from core.settings import Autonomy, PolicySettings
from integrations.docker_engine.actions.toolsets import docker_toolsets
from integrations.docker_engine.client.real_engine import RealEngine
from integrations.docker_engine.refusals import EngineNotFound
from knowledge.config.text_files import load_texts
from tests.integrations.docker_engine.image_stage import Workshop, run, says, workshop
from tests.testbed import engine as engines
from tests.testbed.registry import Registry
from tests.testbed.stack import Stack

LABEL = "infraguardian.prune"


@dataclass(frozen=True, kw_only=True)
class Yard:
    """Things of one test, told by their label."""

    client: docker.DockerClient
    shop: Workshop
    mark: str

    @property
    def label(self) -> str:
        """As the action takes it."""
        return f"{LABEL}={self.mark}"

    def image(self) -> str:
        """An image without a name."""
        return self.shop.build({LABEL: self.mark})

    def network(self, *, is_composes: bool = True) -> str:
        """A network that nothing uses; its name."""
        labels = {LABEL: self.mark} | ({"com.docker.compose.network": "default"} if is_composes else {})
        return str(self.client.networks.create(f"net-{secrets.token_hex(4)}", labels=labels).name)

    def volume(self) -> str:
        """A volume that nothing uses; its name."""
        return str(self.client.volumes.create(f"vol-{secrets.token_hex(4)}", labels={LABEL: self.mark}).name)

    def has_image(self, image: str) -> bool:
        """Whether the engine has it."""
        try:
            self.client.images.get(image)
        except ImageNotFound:
            return False
        return True

    @property
    def networks(self) -> set[str]:
        """Those that are left."""
        return {str(one.name) for one in self.client.networks.list(filters={"label": self.label})}

    @property
    def volumes(self) -> set[str]:
        """Those that are left."""
        return {str(one.name) for one in self.client.volumes.list(filters={"label": self.label})}

    def clear(self) -> None:
        """Remove what is left."""
        for network in self.client.networks.list(filters={"label": self.label}):
            engines.remove(network.remove)
        for volume in self.client.volumes.list(filters={"label": self.label}):
            engines.remove(partial(volume.remove, force=True))


@pytest.fixture
def shop(docker_client: docker.DockerClient, testbed_image: str, registry: Registry) -> Iterator[Workshop]:
    with workshop(docker_client, testbed_image, registry) as made:
        yield made


@pytest.fixture
def yard(docker_client: docker.DockerClient, shop: Workshop) -> Iterator[Yard]:
    made = Yard(client=docker_client, shop=shop, mark=secrets.token_hex(4))
    yield made
    made.clear()


@pytest.fixture
def kept() -> set[str]:
    """What no prune may take."""
    return set()


@pytest.fixture
def catalog(engine: RealEngine, kept: set[str]) -> Catalog:
    async def keep() -> set[str]:
        return kept

    return Catalog(docker_toolsets({"local": engine}, str, keep=keep))


async def preview(catalog: Catalog, **raw: object) -> Preview:
    action = catalog.get("docker.prune")
    assert action.preview is not None
    return await action.preview(action.parse(raw))


async def test_prune_removes_only_what_can_be_pulled_or_built_again(
    catalog: Catalog, kept: set[str], yard: Yard, stack: Stack
) -> None:
    nameless, needed, wanted = yard.image(), yard.image(), yard.image()
    stack.service("job", ["true"], image=needed, start=False)
    kept.add(wanted)
    pushed = yard.shop.push(fetchable := yard.image())
    built = f"{yard.shop.name}-local:1"
    yard.client.images.get(yard.image()).tag(*built.split(":"))
    lost = yard.shop.push(yard.image(), "lost")
    yard.shop.lose("lost")
    free, by_hand, volume = yard.network(), yard.network(is_composes=False), yard.volume()

    shown = await preview(catalog, label=yard.label, older_than_h=0)
    assert sorted(line.partition("  #")[0] for line in shown.lines) == sorted(
        [f"docker image rm {nameless[7:19]}", f"docker image rm {pushed}", f"docker network rm {free}"]
    )
    english = [load_texts().render(one, "en") for one in shown.warnings]
    assert english[0].startswith("Frees about 0")
    assert "Keeping 1 unused image:" in english[-1]

    result = await run(catalog, "docker.prune", label=yard.label, older_than_h=0)
    assert result.outcome is Outcome.OK
    assert result.data["images"] == [nameless[7:19], pushed]
    assert (result.data["networks"], result.data["left"]) == ([free], [])
    assert not yard.has_image(nameless)
    assert not yard.has_image(fetchable)
    assert all(yard.has_image(one) for one in (needed, wanted, built, lost))
    assert (yard.networks, yard.volumes) == ({by_hand}, {volume})

    again = await run(catalog, "docker.prune", label=yard.label, older_than_h=0)
    assert says(again) == "Nothing on local can be removed that could be pulled or built again."
    with pytest.raises(EngineNotFound, match="nothing on 'local'"):
        await preview(catalog, label=yard.label, older_than_h=0)


async def test_prune_touches_only_the_chosen_parts(catalog: Catalog, yard: Yard) -> None:
    nameless, network = yard.image(), yard.network()
    await run(catalog, "docker.prune", label=yard.label, older_than_h=0, parts=["networks"])
    assert (yard.has_image(nameless), yard.networks) == (True, set())
    await run(catalog, "docker.prune", label=yard.label, older_than_h=0, parts=["dangling"])
    assert not yard.has_image(nameless)
    assert network not in yard.networks


async def test_prune_keeps_recent_images(engine: RealEngine, yard: Yard) -> None:
    nameless, network = yard.image(), yard.network()
    pushed = yard.shop.push(yard.image())

    async def left_after(span: timedelta) -> tuple[bool, bool, bool]:
        catalog = Catalog(docker_toolsets({"local": engine}, str, now=lambda: datetime.now(UTC) + span))
        await run(catalog, "docker.prune", label=yard.label)
        return yard.has_image(nameless), network in yard.networks, yard.has_image(pushed)

    assert await left_after(timedelta(hours=23)) == (True, True, True)
    assert await left_after(timedelta(hours=25)) == (False, False, True)
    assert await left_after(timedelta(days=8)) == (False, False, False)


async def test_prune_removes_exactly_what_its_preview_showed(catalog: Catalog, yard: Yard, stack: Stack) -> None:
    first = yard.image()
    shown = await preview(catalog, label=yard.label, older_than_h=0)
    assert (await preview(catalog, label=yard.label, older_than_h=0)).basis == shown.basis
    second = yard.image()
    assert (await preview(catalog, label=yard.label, older_than_h=0)).basis != shown.basis
    stack.service("job", ["true"], image=second, start=False)
    assert (await preview(catalog, label=yard.label, older_than_h=0)).basis == shown.basis
    action = catalog.get("docker.prune")
    assert action.outcome is not None
    parsed = action.parse({"label": yard.label, "older_than_h": 0})
    assert await action.outcome(parsed, datetime.now(UTC)) is Outcome.FAILED
    await run(catalog, "docker.prune", label=yard.label, older_than_h=0)
    assert await action.outcome(parsed, datetime.now(UTC)) is Outcome.OK
    assert not yard.has_image(first)


async def test_freed_bytes_are_measured(catalog: Catalog, yard: Yard) -> None:
    container = yard.client.containers.create(yard.shop.base, ["true"])
    try:
        container.put_archive("/", _big_file(8))
        yard.shop.made.append(str(container.commit(changes=[f'LABEL "{LABEL}"="{yard.mark}"']).id))
    finally:
        container.remove(force=True)
    shown = await preview(catalog, label=yard.label, older_than_h=0)
    assert shown.lines[0].endswith("# 8.0 MB")
    result = await run(catalog, "docker.prune", label=yard.label, older_than_h=0)
    freed = result.data["images_mb"]
    assert isinstance(freed, float)
    assert freed >= 8
    assert result.data["freed_mb"] == freed, "the cache is nobody's who has that label"


async def test_an_image_in_use_is_never_forced(engine: RealEngine, yard: Yard, stack: Stack) -> None:
    used = yard.image()
    stack.service("job", ["true"], image=used, start=False)
    assert not await engine.store.remove_image(used)
    assert not await engine.store.remove_image("sha256:" + "0" * 64)
    network = stack.client.networks.list(names=[stack.network])[0]
    stack.service("api")
    assert not await engine.store.remove_network(str(network.id))
    assert yard.has_image(used)


async def test_an_image_with_names_in_several_repositories_goes_whole(engine: RealEngine, yard: Yard) -> None:
    image = yard.image()
    yard.shop.push(image, "1")
    yard.shop.push(image, "2")
    yard.shop.registry.push(yard.client, image, f"{yard.shop.name}-too", "1")
    assert await engine.store.remove_image(image)
    assert not yard.has_image(image)


async def test_an_image_that_others_are_built_upon_keeps_its_name(engine: RealEngine, yard: Yard) -> None:
    name = yard.shop.push(below := yard.image())
    above = Workshop(client=yard.client, base=name, registry=yard.shop.registry)
    child = above.build({LABEL: yard.mark})
    try:
        assert not await engine.store.remove_image(below)
        found = await engine.store.image(name)
        assert found is not None
        assert found.id == below
        assert await engine.store.remove_image(child)
        assert await engine.store.remove_image(below)
    finally:
        above.clear()


async def test_the_build_cache_can_be_asked_for(engine: RealEngine) -> None:
    a_year_h = 24.0 * 365
    assert await engine.store.prune_build_cache(a_year_h) == 0


@pytest.mark.parametrize("autonomy", list(Autonomy))
def test_automation_never_prunes_on_its_own(catalog: Catalog, autonomy: Autonomy) -> None:
    action = catalog.get("docker.prune")
    assert (action.risk, action.role) == (Risk.DESTRUCTIVE, Role.ADMIN)
    for kind in (ActorKind.RUNBOOK, ActorKind.MODEL):
        actor = Actor(kind=kind, id="one", name="one")
        facts = Facts(autonomy=autonomy, is_proven=True)
        assert decide(action.risk, action.role, actor, facts, PolicySettings()).decision is not Decision.ALLOW
    ada = Actor(kind=ActorKind.PERSON, id="tg:1", name="Ada", role=Role.ADMIN)
    assert decide(action.risk, action.role, ada, Facts(), PolicySettings()).decision is Decision.ASK


def _big_file(size_mb: int) -> bytes:
    out, body = io.BytesIO(), os.urandom(size_mb * 1024 * 1024)
    with tarfile.open(fileobj=out, mode="w") as tar:
        entry = tarfile.TarInfo("big")
        entry.size = len(body)
        tar.addfile(entry, io.BytesIO(body))
    return out.getvalue()
