"""Fixtures on real parts; each is made on first use, so pure tests start nothing."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import psycopg
import pytest
import structlog
from psycopg import sql

from tests.standins.dokploy import DokployStandin
from tests.testbed import bring_up, engine
from tests.testbed import registry as registries
from tests.testbed.network_guard import closed_network
from tests.testbed.registry import Registry
from tests.testbed.stack import Stack, new_stack
from tests.testbed.state import Bed


@pytest.fixture(autouse=True)
def network_is_closed() -> Iterator[None]:
    """Let no test reach a machine outside."""
    with closed_network():
        yield


@pytest.fixture(autouse=True)
def log_is_seen() -> None:
    """Let the program's log flow into the standard library's, where pytest's `caplog` sees it."""
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.render_to_log_kwargs],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


@pytest.fixture(scope="session")
def bed() -> Bed:
    """Return the addresses of the real parts; sets up what does not run yet."""
    return bring_up.ensure()


@pytest.fixture(scope="session")
def docker_host(bed: Bed) -> str:
    """Return the address of a real Docker engine."""
    return bed.docker_host


@pytest.fixture(scope="session")
def testbed_image(bed: Bed) -> str:
    """Return the image that holds the programs of `tests/testbed/services` in /srv."""
    return bed.image


@pytest.fixture(scope="session")
def chromium_path(bed: Bed) -> str:
    """Return the browser's program."""
    return bed.chromium


@pytest.fixture(scope="session")
def compose_config(bed: Bed) -> str:
    """Return the DOCKER_CONFIG directory with which `docker compose` is version 2."""
    return bed.compose_config


@pytest.fixture
def docker_client(docker_host: str) -> Iterator[docker.DockerClient]:
    """Give a Docker SDK client for preparing a test."""
    client = docker.DockerClient(base_url=docker_host, timeout=60)
    yield client
    client.close()


@pytest.fixture
def make_stack(docker_client: docker.DockerClient, testbed_image: str) -> Iterator[Callable[..., Stack]]:
    """Give a factory of stacks, `make_stack("shop")`, for tests that need more than one."""
    made: list[Stack] = []

    def make(prefix: str = "shop") -> Stack:
        made.append(new_stack(docker_client, testbed_image, prefix))
        return made[-1]

    yield make
    for stack in made:
        stack.remove()


@pytest.fixture
def stack(make_stack: Callable[..., Stack]) -> Stack:
    """Give an empty Compose project on the real engine; everything in it is removed afterwards."""
    return make_stack()


@pytest.fixture(scope="session")
def registry(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Give an image registry on loopback: `registry.push(docker_client, testbed_image, "shop", "v1")`."""
    with registries.running(tmp_path_factory.mktemp("registry")) as running:
        yield running
        with engine.connect(bed.docker_host) as client:
            running.forget(client)


@pytest.fixture
def dokploy(docker_host: str, compose_config: str, tmp_path: Path) -> Iterator[DokployStandin]:
    """Give a running stand-in for Dokploy on the real engine; what it deployed is removed afterwards."""
    home = tmp_path / "dokploy"
    with DokployStandin(docker_host=docker_host, docker_config=compose_config, home=home) as running:
        yield running


@pytest.fixture
def postgres_plain_url(bed: Bed) -> Iterator[str]:
    """Give a fresh database as libpq's `postgresql://…`; dropped afterwards, whoever is still connected."""
    server, _, _ = bed.postgres_url.rpartition("/")
    name = f"t_{secrets.token_hex(6)}"
    with psycopg.connect(bed.postgres_url, autocommit=True, connect_timeout=10) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        yield f"{server}/{name}"
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def postgres_url(postgres_plain_url: str) -> str:
    """Give the same fresh database as SQLAlchemy's `postgresql+psycopg://…`."""
    return postgres_plain_url.replace("postgresql://", "postgresql+psycopg://", 1)
