"""The world of an end-to-end test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import docker
import pytest

from playground.server import BotApiServer
from tests.e2e.dokploy_world import DokployWorld, dokploy_world
from tests.e2e.world import World, listening
from tests.standins.dokploy import DokployStandin
from tests.testbed.stack import Stack

TOKEN = "700000001:playground-token-for-tests-aaaaaaaaaa"


@pytest.fixture
async def world(tmp_path: Path, docker_host: str, stack: Stack) -> AsyncIterator[World]:
    """A world whose program is not started yet; whatever runs is ended afterwards."""
    async with BotApiServer(token=TOKEN, state_path=tmp_path / "chat.db") as chat_server:
        heard: list[tuple[str, str]] = []
        made = World(heard=heard, chat_server=chat_server, stack=stack, docker_host=docker_host, home=tmp_path)
        with listening(docker_host, stack.project, heard):
            yield made
        if made.process is not None and made.process.returncode is None:
            await made.kill()


@pytest.fixture
async def shop(
    world: World, dokploy: DokployStandin, docker_client: docker.DockerClient, testbed_image: str
) -> AsyncIterator[DokployWorld]:
    """A world with a Dokploy in it."""
    async with dokploy_world(world, dokploy, docker_client, testbed_image) as made:
        yield made
