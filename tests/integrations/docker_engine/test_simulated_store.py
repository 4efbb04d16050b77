"""What the demo shows of images, space and ports; and refusals that only a made-up engine gives on demand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import JsonValue

from core.actions.catalog import Catalog, Outcome, Result
from core.settings import EngineSettings
from integrations.docker_engine.actions.toolsets import docker_toolsets
from integrations.docker_engine.client.pull_progress import PullProgressReader
from integrations.docker_engine.client.real_engine import RealEngine
from integrations.docker_engine.deploy_images import DeployImageStore
from integrations.docker_engine.refusals import EngineRefused, RefusalReason
from integrations.docker_engine.simulated.container_spec import ContainerSpec
from integrations.docker_engine.simulated.demo_host import demo_engine
from integrations.docker_engine.simulated.simulated_engine import SimulatedEngine
from integrations.docker_engine.simulated.simulated_images import SimulatedImageContents
from tests.integrations.docker_engine.image_stage import run, says
from tests.integrations.docker_engine.stand_in import Server, on_socket


@pytest.fixture
async def demo() -> AsyncIterator[SimulatedEngine]:
    engine = demo_engine("local")
    yield engine
    await engine.close()


@pytest.fixture
def catalog(demo: SimulatedEngine) -> Catalog:
    return Catalog(docker_toolsets({"local": demo}, str))


def rows(result: Result, name: str = "images") -> list[dict[str, JsonValue]]:
    found = result.data[name]
    assert isinstance(found, list)
    return [row for row in found if isinstance(row, dict)]


async def test_the_demo_has_updates(catalog: Catalog, demo: SimulatedEngine) -> None:
    result = await run(catalog, "docker.updates")
    found = rows(result)
    assert [row["image"] for row in found if row["is_newer"]] == ["n8nio/n8n:1.64.0", "redis:7.4"]
    assert found[0]["is_newer"] is True, "outdated ones come first"
    assert {row["image"] for row in found if row["why"] == "built_here"} == {
        "granada/api:2.4.1",
        "granada/frontend:2.4.0",
    }
    assert says(result, "es").startswith("2 de 7 imágenes en uso")
    [redis] = rows(await run(catalog, "docker.updates", stack="granada", service="redis"))
    images = DeployImageStore({"local": demo})
    before = await images.id_of("local", "redis:7.4")
    assert before == redis["image_id"]
    pulled = await run(catalog, "docker.pull", image="redis:7.4")
    assert pulled.data["is_new"] is True
    [fetched] = rows(await run(catalog, "docker.updates", stack="granada", service="redis"))
    assert (fetched["is_newer"], fetched["is_fetched"]) == (True, True)
    assert before is not None
    await images.tag("local", before, "redis:7.4")
    assert await images.id_of("local", "redis:7.4") == before


async def test_the_demo_can_be_pruned(catalog: Catalog) -> None:
    before = (await run(catalog, "docker.disk_usage")).data
    action = catalog.get("docker.prune")
    assert action.preview is not None
    shown = await action.preview(action.parse({}))
    assert shown.lines[0].startswith("docker builder prune")
    assert "docker image rm postgres:15.7  # 290.0 MB" in shown.lines
    assert "docker network rm oldshop_default" in shown.lines
    result = await run(catalog, "docker.prune")
    after = (await run(catalog, "docker.disk_usage")).data
    freed = result.data["freed_mb"]
    assert isinstance(freed, float)
    assert freed > 1000
    assert before["volumes_mb"] == after["volumes_mb"]
    assert after["images_reclaimable_mb"] == 0
    assert (await run(catalog, "docker.prune")).data["host"] == "local"


async def test_the_demo_has_ports(catalog: Catalog, demo: SimulatedEngine) -> None:
    result = await run(catalog, "docker.ports")
    assert {row["port"] for row in rows(result, "ports")} == {3000, 5678, 8000}
    assert (rows(result, "conflicts"), rows(result, "exposed")) == ([], [])
    demo.create(
        ContainerSpec(stack="rival", service="db", image="postgres:16.4", ports={"5432/tcp": "8000"}), start=False
    )
    worse = await run(catalog, "docker.ports")
    [clash] = rows(worse, "conflicts")
    assert clash["containers"] == ["local/granada-api-1", "local/rival-db-1"]
    assert [row["program"] for row in rows(worse, "exposed")] == ["PostgreSQL"]


async def test_one_registry_away_does_not_hide_the_others() -> None:
    away = SimulatedImageContents(
        refused={"ghcr.io": RefusalReason.REGISTRY_UNREACHABLE}, newer=frozenset({"redis:7.4"})
    )
    recipes = [ContainerSpec(stack="shop", service=name, image=name) for name in ("redis:7.4", "ghcr.io/shop/api:1")]
    recipes = [ContainerSpec(stack="shop", service=f"s{i}", image=one.image) for i, one in enumerate(recipes)]
    engine = SimulatedEngine("local", recipes, stored=away)
    catalog = Catalog(docker_toolsets({"local": engine}, str))
    found = {row["image"]: (row["is_newer"], row["why"]) for row in rows(await run(catalog, "docker.updates"))}
    assert found == {"redis:7.4": (True, None), "ghcr.io/shop/api:1": (None, "registry_unreachable")}
    refused = await run(catalog, "docker.pull", image="ghcr.io/shop/api:1")
    assert (refused.outcome, refused.data["trouble"]) == (Outcome.FAILED, "registry_unreachable")
    await engine.close()


async def test_a_disk_that_fills_while_pulling(tmp_path: Path) -> None:
    problem = "failed to register layer: write /usr/lib/x: no space left on device"
    pages: dict[str, object] = {
        "/version": {"Version": "27.3.1", "ApiVersion": "1.47", "MinAPIVersion": "1.24"},
        "/images/create": {"errorDetail": {"message": problem}, "error": problem},
    }
    server = Server(pages)
    async with on_socket(tmp_path / "docker.sock", server):
        engine = RealEngine("local", EngineSettings(url=f"unix://{tmp_path}/docker.sock"))
        with pytest.raises(EngineRefused, match="no space left") as caught:
            await engine.store.pull("redis:7.4")
        assert caught.value.trouble is RefusalReason.NO_SPACE
        refused = await run(Catalog(docker_toolsets({"local": engine}, str)), "docker.pull", image="redis:7.4")
        assert "disco del servidor está lleno" in says(refused, "es")
        assert "POST /v1.47/images/create?fromImage=redis&tag=7.4" in server.asked
        await engine.close()


async def test_a_new_engine_is_not_asked_to_measure_volumes(tmp_path: Path) -> None:
    cache = [
        {"ID": "a", "Size": 500, "InUse": False, "Shared": False, "LastUsedAt": "2020-01-01T00:00:00Z"},
        {"ID": "b", "Size": 70, "InUse": True, "Shared": False, "LastUsedAt": "2020-01-01T00:00:00Z"},
        {"ID": "c", "Size": 7, "InUse": False, "Shared": True, "LastUsedAt": "2020-01-01T00:00:00Z"},
    ]
    pages: dict[str, object] = {
        "/version": {"Version": "27.3.1", "ApiVersion": "1.47", "MinAPIVersion": "1.24"},
        "/system/df": {"LayersSize": 10, "Images": None, "BuildCache": cache},
        "/containers/json": [],
        "/networks": [],
        "/build/prune": {"CachesDeleted": ["a"], "SpaceReclaimed": 3 * 1024 * 1024},
    }
    server = Server(pages)
    async with on_socket(tmp_path / "docker.sock", server):
        engine = RealEngine("local", EngineSettings(url=f"unix://{tmp_path}/docker.sock"))
        catalog = Catalog(docker_toolsets({"local": engine}, str))
        result = await run(catalog, "docker.prune", parts=["build_cache"])
        assert result.data["freed_mb"] == 3.0
        assert "GET /v1.47/system/df?type=image&type=build-cache" in server.asked
        assert any("/build/prune?all=1" in one and "86400s" in one for one in server.asked)
        await engine.close()


def test_pull_progress_that_arrives_in_pieces_is_read() -> None:
    reader = PullProgressReader()
    told = (
        b'{"status":"Pulling from shop/api","id":"1"}\r\n'
        b'{"status":"Pulling fs layer","progressDetail":{},"id":"aa"}\r\n'
        b'{"status":"Downloading","progressDetail":{"current":10,"total":40},"id":"aa"}\r\nnot json\r\n'
        b'{"status":"Already exists","progressDetail":{},"id":"bb"}\r\n'
    )
    for byte in told:
        reader.feed(bytes([byte]))
    assert (reader.step.layers, reader.step.layers_done) == (2, 1)
    assert (reader.step.bytes_done, reader.step.bytes_total) == (10, 40)
    done = reader.feed(b'{"status":"Pull complete","id":"aa"}\n')
    assert done is not None
    assert (done.layers_done, done.bytes_done) == (2, 40)
    assert reader.feed(b'{"status":"Digest: sha256:00"}\n') is None
    assert reader.problem == ""
