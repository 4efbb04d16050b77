"""A world in which deploys are followed."""

from pathlib import Path

import pytest

from tests.agent.deploy_world import DeployWorld
from tests.standins.dokploy import DokployStandin


@pytest.fixture
def world(dokploy: DokployStandin, docker_host: str, testbed_image: str, tmp_path: Path) -> DeployWorld:
    """Give a world around the stand-in; not running yet."""
    return DeployWorld(home=tmp_path / "guardian", dokploy=dokploy, docker_host=docker_host, image=testbed_image)
