"""Fixtures for the tests of the actions on Dokploy."""

from collections.abc import AsyncIterator
from pathlib import Path

import docker
import pytest
from pydantic import SecretStr

from core.deployments.platform import StackNames
from core.settings import DokploySettings, EngineSettings
from integrations.docker_engine.client.real_engine import RealEngine
from integrations.dokploy.client.dokploy_client import Dokploy
from knowledge.database import Database, sqlite_url
from knowledge.records.deploy_records import DeployRecords
from knowledge.records.version_records import VersionRecords
from knowledge.vault import Vault, load_key
from tests.integrations.dokploy.action_world import HOST, ActionWorld, WallClock
from tests.standins.dokploy import DokployStandin


@pytest.fixture
async def world(
    docker_host: str,
    compose_config: str,
    docker_client: docker.DockerClient,
    testbed_image: str,
    tmp_path: Path,
) -> AsyncIterator[ActionWorld]:
    """Give a stand-in on the real engine, with the actions over it and records in SQLite."""
    names = StackNames()
    standin = DokployStandin(docker_host=docker_host, docker_config=compose_config, home=tmp_path / "dokploy")
    with standin:
        settings = DokploySettings(url=standin.url, api_key=SecretStr(standin.api_key), pace_s=0.0, retries=0)
        engine = RealEngine(HOST, EngineSettings(url=docker_host), names=names)
        async with Dokploy(settings) as client, Database(sqlite_url(tmp_path / "guardian.db")) as database:
            vault = Vault(load_key("a passphrase for tests", tmp_path))
            made = ActionWorld(
                standin=standin,
                client=client,
                engine=engine,
                docker=docker_client,
                image=testbed_image,
                deploys=DeployRecords(database),
                versions=VersionRecords(database, lambda: vault, WallClock(), kept=30),
                names=names,
            )
            yield made
            for other in made.others:
                await other.aclose()
        await engine.close()
