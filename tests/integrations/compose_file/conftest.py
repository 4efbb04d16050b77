"""Compose files as people write them, and `docker compose` to read them."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.state import Bed

FILES = Path(__file__).parent / "files"
VARIABLES = {"DB_PASSWORD": "x", "REDIS_PASSWORD": "y", "N8N_HOST": "n8n.example.com"}
TIME_LIMIT_S = 60

Config = Callable[[str], dict[str, Any]]


def file(name: str) -> str:
    """The text of a file, line ends as they are."""
    return (FILES / f"{name}.yml").read_bytes().decode()


@pytest.fixture(scope="session")
def config(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """What the real `docker compose config` understands of a text."""
    tmp_path = tmp_path_factory.mktemp("project")
    (tmp_path / ".env").write_text("")

    def understood(text: str) -> dict[str, Any]:
        command = [
            "docker",
            "--config",
            bed.compose_config,
            "compose",
            "-p",
            "it",
            "--project-directory",
            str(tmp_path),
        ]
        done = subprocess.run(
            [*command, "-f", "-", "config", "--format", "json"],
            input=text.encode(),
            capture_output=True,
            timeout=TIME_LIMIT_S,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DOCKER_HOST": bed.docker_host, **VARIABLES},
        )
        assert done.returncode == 0, done.stderr.decode()
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return understood
