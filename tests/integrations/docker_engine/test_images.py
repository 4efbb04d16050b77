"""Images on a real engine and a real registry: what is newer, fetching it, and going back."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import docker
import pytest
from pydantic import JsonValue

from core.actions.catalog import Catalog, Outcome, Result
from core.deployments.deploys import Images
from core.errors import ActionFailed, InvalidParams, NotFound
from integrations.docker_engine.actions.toolsets import docker_toolsets
from integrations.docker_engine.client.real_engine import RealEngine
from integrations.docker_engine.deploy_images import DeployImageStore
from integrations.docker_engine.image_references import parse_image_reference
from integrations.docker_engine.image_store import PullProgress
from integrations.docker_engine.refusals import EngineNotFound, EngineRefused, RefusalReason
from tests.integrations.docker_engine.image_stage import Workshop, run, says, workshop
from tests.integrations.docker_engine.registry_stand_in import Answer, registry_that
from tests.integrations.docker_engine.stand_in import hang, on_port
from tests.testbed.registry import Registry
from tests.testbed.stack import Stack

NOBODY = "127.0.0.1:1"
"""No registry listens there."""


@pytest.fixture
def shop(docker_client: docker.DockerClient, testbed_image: str, registry: Registry) -> Iterator[Workshop]:
    with workshop(docker_client, testbed_image, registry) as made:
        yield made


@pytest.fixture
def catalog(engine: RealEngine) -> Catalog:
    return Catalog(docker_toolsets({"local": engine}, str))


@pytest.fixture
def images(engine: RealEngine) -> Images:
    return DeployImageStore({"local": engine})


def rows(result: Result) -> list[dict[str, JsonValue]]:
    found = result.data["images"]
    assert isinstance(found, list)
    return [row for row in found if isinstance(row, dict)]


async def test_a_newer_image_is_found_pulled_and_restored(
    catalog: Catalog, images: Images, shop: Workshop, stack: Stack, engine: RealEngine
) -> None:
    old = shop.build()
    name = shop.push(old)
    container = stack.service("api", image=name)

    [now] = rows(await run(catalog, "docker.updates", stack=stack.project))
    assert (now["is_newer"], now["image"], now["why"]) == (False, name, None)
    assert now["containers"] == [f"local/{container.name}"]
    assert now["running_digest"] == now["registry_digest"] == shop.registry.digest(shop.name, "1")

    shop.push_only(new := shop.build(), "1", here=old)
    [known] = rows(await run(catalog, "docker.updates", stack=stack.project))
    assert known["is_newer"] is False, "answers of registries are remembered"
    result = await run(catalog, "docker.updates", stack=stack.project, service="api", fresh=True)
    [outdated] = rows(result)
    assert (outdated["is_newer"], outdated["is_fetched"]) == (True, False)
    assert outdated["registry_digest"] == shop.registry.digest(shop.name, "1")
    assert outdated["running_digest"] == now["running_digest"]
    assert says(result) == "1 of 1 image in use have a newer version in their registry; 0 couldn't be checked."

    assert not await images.has("local", new)
    pulled = await run(catalog, "docker.pull", image=name)
    assert (pulled.data["image_id"], pulled.data["is_new"]) == (new, True)
    assert await images.id_of("local", name) == new
    [fetched] = rows(await run(catalog, "docker.updates", stack=stack.project))
    assert (fetched["is_newer"], fetched["is_fetched"]) == (True, True)
    assert stack.inspect("api")["Image"] == old, "what runs goes on"

    await images.tag("local", old, name)
    assert await images.id_of("local", name) == old
    assert await images.has("local", old)
    assert await images.has("local", f"{shop.registry.host}/{shop.name}@{now['running_digest']}")
    assert await images.pull("local", name) == new


async def test_an_image_that_cannot_be_checked_says_why(
    catalog: Catalog, shop: Workshop, stack: Stack, docker_client: docker.DockerClient
) -> None:
    pushed = shop.push(held := shop.build())
    digest = shop.registry.digest(shop.name, "1")
    stack.service("pinned", image=f"{shop.registry.host}/{shop.name}@{digest}")
    stack.service("current", image=pushed)
    local = shop.build()
    docker_client.images.get(local).tag(f"{shop.name}-local", "1")
    stack.service("local", image=f"{shop.name}-local:1")
    stack.service("nameless", image=shop.build())
    gone = shop.push(held, "gone")
    stack.service("gone", image=gone)
    shop.lose("1")

    result = await run(catalog, "docker.updates", stack=stack.project)
    why = {str(row["services"]): row["why"] for row in rows(result)}
    assert why == {
        "['pinned']": "pinned",
        "['current']": "image_not_found",
        "['gone']": "image_not_found",
        "['local']": "built_here",
        "['nameless']": "no_name",
    }
    assert all(row["is_newer"] is None for row in rows(result))
    assert (await run(catalog, "docker.updates", stack="nobody")).outcome is Outcome.NO_DATA


async def test_images_are_listed_with_their_users(
    catalog: Catalog, shop: Workshop, stack: Stack, docker_client: docker.DockerClient
) -> None:
    used, unused = shop.build(), shop.build()
    stack.service("job", ["true"], image=used, start=False)
    result = await run(catalog, "docker.images", host="local")
    by_id = {row["id"]: row for row in rows(result)}
    assert by_id[used]["used_by"] == [f"{stack.project}-job-1"], "stopped ones count"
    assert by_id[unused]["used_by"] == by_id[unused]["tags"] == []


async def test_a_pull_says_how_far_it_is(engine: RealEngine, shop: Workshop) -> None:
    name = shop.push(held := shop.build())
    other = shop.build()
    shop.push_only(held, "1", here=other)
    steps: list[PullProgress] = []
    found = await engine.store.pull(name, steps.append)
    assert found.id == held
    assert steps
    assert steps[-1].layers == steps[-1].layers_done > 0


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (Answer(status=401), RefusalReason.REGISTRY_LOGIN),
        (Answer(status=429, code="TOOMANYREQUESTS", message="pull rate limit"), RefusalReason.RATE_LIMITED),
        (Answer(status=404, code="MANIFEST_UNKNOWN", message="manifest unknown"), RefusalReason.IMAGE_NOT_FOUND),
        (Answer(status=503, message="away"), RefusalReason.REGISTRY_UNREACHABLE),
    ],
)
async def test_a_registry_that_refuses(engine: RealEngine, answer: Answer, trouble: RefusalReason) -> None:
    async with registry_that(answer) as seen:
        for ask in (engine.store.distribution, engine.store.pull):
            with pytest.raises((EngineRefused, EngineNotFound)) as caught:
                await ask(f"{seen.host}/shop/api:1")
            assert isinstance(caught.value, EngineRefused | EngineNotFound)
            assert caught.value.trouble is trouble
    with pytest.raises(EngineRefused, match="refused") as unreachable:
        await engine.store.pull(f"{seen.host}/shop/api:1")
    assert unreachable.value.trouble is RefusalReason.REGISTRY_UNREACHABLE
    assert (await engine.info()).version, "the engine itself is well"


async def test_a_registry_that_never_answers(engine: RealEngine, caplog: pytest.LogCaptureFixture) -> None:
    async with on_port(hang, None) as port:
        with pytest.raises(EngineRefused, match=r"no answer within 0.3 s") as caught:
            await engine.store.distribution(f"127.0.0.1:{port}/shop/api:1", time_limit_s=0.3)
        assert caught.value.trouble is RefusalReason.REGISTRY_UNREACHABLE
    assert (await engine.info()).version
    assert "is gone" not in caplog.text, "the engine was there all the time"


async def test_dockers_own_login_is_used(engine: RealEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with registry_that(
        Answer(status=401), known=Answer(status=404, code="MANIFEST_UNKNOWN", message="manifest unknown")
    ) as seen:
        secret = base64.b64encode(b"ada:hunter2").decode()
        (tmp_path / "config.json").write_text(json.dumps({"auths": {seen.host: {"auth": secret}}}))
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        with pytest.raises(EngineNotFound):
            await engine.store.distribution(f"{seen.host}/shop/api:1")
        assert f"Basic {secret}" in seen.logins
        (tmp_path / "config.json").write_text("{ not json")
        with pytest.raises(EngineRefused) as caught:
            await engine.store.distribution(f"{seen.host}/shop/api:1")
        assert caught.value.trouble is RefusalReason.REGISTRY_LOGIN
        assert "hunter2" not in str(caught.value)


async def test_refusals_are_told_in_both_languages(catalog: Catalog, shop: Workshop) -> None:
    missing = await run(catalog, "docker.pull", image=f"{shop.registry.host}/{shop.name}:none")
    assert missing.outcome is Outcome.FAILED
    assert missing.data["trouble"] == "image_not_found"
    assert (
        says(missing)
        == f"{shop.registry.host} has no image {shop.registry.host}/{shop.name}:none. Check the name and tag."
    )
    assert "Revisa el nombre y el tag" in says(missing, "es")
    away = await run(catalog, "docker.pull", image=f"{NOBODY}/shop/api")
    assert "no responde" in says(away, "es")
    with pytest.raises(InvalidParams, match="isn't a valid image name"):
        await run(catalog, "docker.pull", image="../containers/json")
    unknown = await run(catalog, "docker.pull", image="shop/api:1", host="locla")
    assert says(unknown, "es") == "No hay ningún servidor «locla». Los que conozco: local."


async def test_whether_a_cut_off_pull_took_effect(catalog: Catalog, shop: Workshop) -> None:
    old = shop.build()
    name = shop.push(old)
    shop.push_only(shop.build(), "1", here=old)
    action = catalog.get("docker.pull")
    assert action.outcome is not None
    started = datetime.now(UTC)
    assert await action.outcome(action.parse({"image": name}), started) is Outcome.FAILED
    await run(catalog, "docker.pull", image=name)
    assert await action.outcome(action.parse({"image": name}), started) is Outcome.OK
    same = await run(catalog, "docker.pull", image=name)
    assert (same.data["is_new"], says(same)) == (False, f"{name} on local is already up to date with the registry.")
    assert await action.outcome(action.parse({"image": f"{NOBODY}/a/b"}), started) is Outcome.FAILED


async def test_unknown_images_and_hosts_are_named(images: Images, engine: RealEngine) -> None:
    nothing = "sha256:" + "0" * 64
    assert await images.id_of("local", "nobody/has-this:1") is None
    assert not await images.has("local", nothing)
    with pytest.raises(NotFound):
        await images.tag("local", nothing, "nobody/has-this:1")
    with pytest.raises(NotFound, match="no host"):
        await images.has("elsewhere", nothing)
    with pytest.raises(NotFound, match="isn't a valid image name"):
        await images.id_of("local", "../../containers/json")
    with pytest.raises((NotFound, ActionFailed)):
        await images.pull("local", f"{NOBODY}/shop/api:1")


@pytest.mark.parametrize(
    ("written", "name", "full", "registry"),
    [
        ("redis", "redis", "redis:latest", "docker.io"),
        ("docker.io/library/redis:7", "redis", "redis:7", "docker.io"),
        ("ghcr.io/shop/api:1.2", "ghcr.io/shop/api", "ghcr.io/shop/api:1.2", "ghcr.io"),
        ("localhost:5000/a", "localhost:5000/a", "localhost:5000/a:latest", "localhost:5000"),
        (f"shop/api:1@sha256:{'a' * 64}", "shop/api", f"shop/api@sha256:{'a' * 64}", "docker.io"),
    ],
)
def test_names_of_images(written: str, name: str, full: str, registry: str) -> None:
    found = parse_image_reference(written)
    assert (found.name, found.full, found.registry) == (name, full, registry)


@pytest.mark.parametrize("wrong", ["", "../x", "a b", "a?x=1", "a:b:c", "x" * 500, "a@sha256:12"])
def test_invalid_image_names_are_refused(wrong: str) -> None:
    with pytest.raises(NotFound, match="isn't a valid image name"):
        parse_image_reference(wrong)
