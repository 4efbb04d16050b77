"""The files for the server fit the program: every variable is known, and only the proxy holds the Docker socket."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
SHORT_OF_A_STACK = {"POSTGRES_PASSWORD"}  # read by docker-compose.yml, not by the program
PRINT_SETTINGS = """
from knowledge.config.settings_files import load_settings
settings = load_settings()
assert settings.telegram.token and settings.telegram.token.get_secret_value() == "123456:replace-me"
print(settings.telegram.admins, settings.web.port, settings.policy.autonomy, settings.data_dir)
"""


def example_variables() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.removeprefix("#").split("=", 1) for line in lines if re.match(r"#?[A-Z_]+=", line))


def test_the_example_environment_is_accepted(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **example_variables()}
    command = [sys.executable, "-c", PRINT_SETTINGS]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["(11111111,)", "8321", "guarded", "data"]


def test_every_example_variable_stands_below_a_comment() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    known = set(example_variables()) - SHORT_OF_A_STACK
    for block in "\n".join(lines).split("\n\n")[1:]:
        assert block.startswith("# "), block
    assert all(name.startswith(("INFRAGUARDIAN_", "TELEGRAM_")) for name in known)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory, compose_config: str) -> dict[str, Any]:
    """Return the services as Compose version 2 reads them, every profile on."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(ROOT / "docker-compose.yml", folder)
    shutil.copy(ROOT / ".env.example", folder / ".env")
    command = ["docker", "compose", "--profile", "*", "config", "--format", "json"]
    env = {**os.environ, "DOCKER_CONFIG": compose_config}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)["services"])


def test_only_the_proxy_holds_the_docker_socket(services: dict[str, Any]) -> None:
    holders = [
        name
        for name, service in services.items()
        if any("docker.sock" in volume["source"] for volume in service.get("volumes", []))
    ]
    assert holders == ["docker-proxy"]
    assert set(services["docker-proxy"]["networks"]) == {"control"}


def test_every_service_has_a_limit_and_a_health_check(services: dict[str, Any]) -> None:
    assert set(services) == {"guardian", "docker-proxy", "ollama", "postgres", "chroma"}
    for name, service in services.items():
        assert service["deploy"]["resources"]["limits"]["memory"], name
        # the guardian's own stands in its image
        assert name == "guardian" or "healthcheck" in service, name
    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()


def test_the_image_takes_in_every_package() -> None:
    recipe = (ROOT / "Dockerfile").read_text()
    packages = [path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name not in {"tests", "bench"}]
    assert packages
    for package in packages:
        assert f"COPY {package} {package}" in recipe
        assert f"!{package}" in (ROOT / ".dockerignore").read_text().splitlines()
