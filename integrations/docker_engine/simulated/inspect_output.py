"""A simulated container in the format of the engine's `inspect`, so that one reader serves both engines."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from core.monitoring.inventory import Health
from integrations.docker_engine.models import COMPOSE_LABEL, SECOND_NS
from integrations.docker_engine.simulated.simulated_container import SimulatedContainer

ZERO_TIME = "0001-01-01T00:00:00Z"


def inspect_answer(container: SimulatedContainer) -> dict[str, Any]:
    """Return the answer of `GET /containers/<id>/json`, limited to the fields in use."""
    recipe = container.recipe
    ports = {inside: [{"HostIp": "0.0.0.0", "HostPort": port}] for inside, port in recipe.ports.items()}
    return {
        "Id": container.id,
        "Name": f"/{container.name}",
        "Created": _time(container.created_at),
        "Image": "sha256:" + hashlib.sha256(recipe.image.encode()).hexdigest(),
        "RestartCount": container.restart_count,
        "State": _state(container),
        "Config": {
            "Image": recipe.image,
            "Env": [f"{name}={value}" for name, value in recipe.env.items()],
            "Labels": _labels(container),
            **({"Healthcheck": _check(container)} if recipe.health else {}),
        },
        "HostConfig": {
            "Memory": container.limit_bytes,
            "NanoCpus": int(recipe.cpus * 1e9),
            "RestartPolicy": {"Name": recipe.restart, "MaximumRetryCount": 0},
            "PortBindings": ports,
        },
        "NetworkSettings": {
            "Networks": {f"{recipe.stack}_default": {"Aliases": [container.name, recipe.service]}},
            "Ports": ports if container.runs else {},
        },
        "Mounts": [{"Type": "volume", "Name": name, "Destination": path} for name, path in recipe.volumes.items()],
    }


def _state(container: SimulatedContainer) -> dict[str, Any]:
    state: dict[str, Any] = {
        "Status": str(container.state),
        "ExitCode": container.exit_code,
        "OOMKilled": container.oom_killed,
        "Error": container.error,
        "StartedAt": _time(container.started_at),
        "FinishedAt": _time(container.finished_at),
    }
    if container.health is not Health.NONE:
        state["Health"] = {
            "Status": str(container.health),
            "FailingStreak": container.failing_streak,
            "Log": [
                {"Start": _time(probe.at), "ExitCode": probe.exit_code, "Output": probe.output}
                for probe in container.probes
            ],
        }
    return state


def _labels(container: SimulatedContainer) -> dict[str, str]:
    recipe = container.recipe
    depends = ",".join(
        f"{name}:{condition or 'service_started'}:false"
        for name, _, condition in (one.partition(":") for one in recipe.depends_on)
    )
    return {
        f"{COMPOSE_LABEL}.project": recipe.stack,
        f"{COMPOSE_LABEL}.service": recipe.service,
        f"{COMPOSE_LABEL}.container-number": "1",
        f"{COMPOSE_LABEL}.oneoff": "False",
        f"{COMPOSE_LABEL}.depends_on": depends,
        f"{COMPOSE_LABEL}.project.working_dir": f"/srv/{recipe.stack}",
        f"{COMPOSE_LABEL}.project.config_files": f"/srv/{recipe.stack}/docker-compose.yml",
        **recipe.labels,
    }


def _check(container: SimulatedContainer) -> dict[str, Any]:
    check = container.recipe.health
    if check is None:
        return {}
    return {
        "Test": ["CMD-SHELL", check.command],
        "Interval": int(check.interval_s * SECOND_NS),
        "Retries": check.retries,
        "StartPeriod": int(check.start_period_s * SECOND_NS),
    }


def _time(at: datetime | None) -> str:
    return at.isoformat() if at else ZERO_TIME
