"""Published ports on a real engine: who has them, who would collide, what anybody can reach."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from core.actions.catalog import Catalog, Outcome, Result
from integrations.docker_engine.actions.published_ports import exposed_databases, port_conflicts
from integrations.docker_engine.actions.toolsets import docker_toolsets
from integrations.docker_engine.client.real_engine import RealEngine
from integrations.docker_engine.image_store import PortBinding
from tests.integrations.docker_engine.image_stage import run, says
from tests.testbed.stack import Stack


@pytest.fixture
def catalog(engine: RealEngine) -> Catalog:
    return Catalog(docker_toolsets({"local": engine}, str))


def rows(result: Result, name: str, project: str) -> list[dict[str, JsonValue]]:
    """Those of a stack."""
    found = result.data[name]
    assert isinstance(found, list)
    return [row for row in found if isinstance(row, dict) and project in str(row)]


async def test_ports_collisions_and_open_databases(catalog: Catalog, stack: Stack) -> None:
    api = stack.service("api", ports={"8000/tcp": ("127.0.0.1", None), "8001/udp": ("127.0.0.1", None)})
    [bound] = stack.inspect("api")["NetworkSettings"]["Ports"]["8000/tcp"]
    port = int(bound["HostPort"])
    stack.service("rival", ports={"9000/tcp": ("0.0.0.0", port)}, start=False)
    stack.service("aside", ports={"9000/tcp": ("127.0.0.2", port)}, start=False)
    stack.service("db", ports={"5432/tcp": ("0.0.0.0", None)}, start=False)
    stack.service("quiet", ports={"5432/tcp": ("127.0.0.1", None)}, start=False)

    result = await run(catalog, "docker.ports", host="local")
    assert result.outcome is Outcome.OK
    mine = {str(row["service"]): row for row in rows(result, "ports", stack.project) if row["protocol"] == "tcp"}
    assert (mine["api"]["port"], mine["api"]["inside"], mine["api"]["is_open"]) == (port, 8000, True)
    assert (mine["rival"]["address"], mine["rival"]["state"], mine["rival"]["is_open"]) == ("0.0.0.0", "created", False)
    assert mine["db"]["port"] is None, "whichever is free"
    rival = f"local/{stack.project}-rival-1"
    clashes = [row["containers"] for row in rows(result, "conflicts", stack.project)]
    assert sorted(map(str, clashes)) == sorted(
        [str([f"local/{api.name}", rival]), str([f"local/{stack.project}-aside-1", rival])]
    ), "addresses of their own do not collide"
    [exposed] = rows(result, "exposed", stack.project)
    assert (exposed["container"], exposed["program"]) == (f"local/{stack.project}-db-1", "PostgreSQL")
    assert "published ports" in says(result)


def binding(container: str, address: str, port: int, *, protocol: str = "tcp", inside: int = 80) -> PortBinding:
    return PortBinding(
        container=container,
        stack=None,
        service=container,
        image="a",
        state="running",
        address=address,
        port=port,
        inside=inside,
        protocol=protocol,
        is_open=True,
    )


@pytest.mark.parametrize(
    ("one", "other", "collide"),
    [
        (binding("h/a", "0.0.0.0", 80), binding("h/b", "127.0.0.1", 80), True),
        (binding("h/a", "127.0.0.1", 80), binding("h/b", "127.0.0.2", 80), False),
        (binding("h/a", "0.0.0.0", 80), binding("h/b", "::", 80), False),
        (binding("h/a", "::", 80), binding("h/b", "fd00::1", 80), True),
        (binding("h/a", "0.0.0.0", 80), binding("h/b", "0.0.0.0", 80, protocol="udp"), False),
        (binding("h/a", "0.0.0.0", 80), binding("other/b", "0.0.0.0", 80), False),
        (binding("h/a", "0.0.0.0", 0), binding("h/b", "0.0.0.0", 0), False),
        (binding("h/a", "0.0.0.0", 80), binding("h/a", "0.0.0.0", 80), False),
    ],
)
def test_two_containers_on_one_port_collide(one: PortBinding, other: PortBinding, collide: bool) -> None:
    assert bool(port_conflicts([one, other])) is collide


def test_a_database_on_both_families_is_open_on_both() -> None:
    found = [binding("h/db", "0.0.0.0", 5432, inside=5432), binding("h/db", "::", 5432, inside=5432)]
    assert [name for _, name in exposed_databases(found)] == ["PostgreSQL", "PostgreSQL"]
    assert not exposed_databases([binding("h/db", "10.0.0.4", 5432, inside=5432)])
