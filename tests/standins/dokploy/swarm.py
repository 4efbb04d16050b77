"""Swarm services without a Swarm: plain containers with the names and labels that tasks have."""

from __future__ import annotations

import asyncio
import json
import secrets
import shlex
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from docker.errors import DockerException

from tests.standins.dokploy.engine import NAMESPACE, SWARM_SERVICE, Engine
from tests.testbed import engine as bed_engine

LETTERS = string.ascii_lowercase + string.digits
SECOND_NS = 1_000_000_000
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service to run. `stack`: the namespace it belongs to."""

    name: str
    image: str
    command: list[str] | None = None
    environment: list[str] = field(default_factory=list)
    healthcheck: dict[str, Any] | None = None
    replicas: int = 1
    stack: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


class SwarmFailed(Exception):
    """The engine refused; the message is its own."""


async def deploy(engine: Engine, service: Service) -> None:
    """Replace the tasks of a service by new ones."""
    await scale_to_none(engine, service.name)
    for slot in range(1, service.replicas + 1):
        await asyncio.to_thread(partial(_run, engine, service, slot))


def _run(engine: Engine, service: Service, slot: int) -> None:
    task = "".join(secrets.choice(LETTERS) for _ in range(25))
    name = f"{service.name}.{slot}.{task}"
    labels = {
        **service.labels,
        bed_engine.LABEL: "1",
        SWARM_SERVICE: service.name,
        "com.docker.swarm.task": "",
        "com.docker.swarm.task.id": task,
        "com.docker.swarm.task.name": name,
        "com.docker.swarm.node.id": "n2f8c9h45onghk9b71ctz4ffz",
        "com.docker.swarm.service.id": "ts8n6m1xh90n6k3xn7sen97y0",
    }
    if service.stack:
        labels[NAMESPACE] = service.stack
    try:
        engine.client.containers.run(
            service.image,
            service.command,
            name=name,
            detach=True,
            environment=service.environment,
            healthcheck=service.healthcheck,
            labels=labels,
        )
    except DockerException as error:
        raise SwarmFailed(str(error)) from error


async def scale_to_none(engine: Engine, service_name: str) -> None:
    """Remove the tasks of a service."""
    for one in await engine.tasks(SWARM_SERVICE, service_name):
        container = await asyncio.to_thread(engine.client.containers.get, one["Id"])
        await asyncio.to_thread(bed_engine.remove, partial(container.remove, force=True, v=True))


async def remove_stack(engine: Engine, namespace: str) -> None:
    """Remove every task of a stack; its volumes stay."""
    await engine.remove_everything_of(namespace, with_volumes=False)


def services_of(app_name: str, data: dict[str, Any]) -> list[Service]:
    """The services of a compose file as a stack would run them."""
    return [_service(app_name, name, spec) for name, spec in (data.get("services") or {}).items()]


def _service(app_name: str, name: str, spec: dict[str, Any]) -> Service:
    deploy_part = spec.get("deploy") or {}
    return Service(
        name=f"{app_name}_{name}",
        image=str(spec.get("image", "")),
        command=_command(spec.get("command")),
        environment=_environment(spec.get("environment")),
        healthcheck=_healthcheck(spec.get("healthcheck")),
        replicas=int(deploy_part.get("replicas", 1)),
        stack=app_name,
    )


def _command(given: object) -> list[str] | None:
    if given is None:
        return None
    return shlex.split(given) if isinstance(given, str) else [str(part) for part in json.loads(json.dumps(given))]


def _environment(given: object) -> list[str]:
    if isinstance(given, dict):
        return [f"{key}={value}" for key, value in given.items()]
    return [str(line) for line in given] if isinstance(given, list) else []


def _healthcheck(given: object) -> dict[str, Any] | None:
    if not isinstance(given, dict):
        return None
    test = given.get("test", [])
    found: dict[str, Any] = {"test": ["CMD-SHELL", test] if isinstance(test, str) else list(test)}
    for name in ("interval", "timeout", "start_period"):
        if name in given:
            found[name] = int(_seconds(str(given[name])) * SECOND_NS)
    return {**found, **({"retries": int(given["retries"])} if "retries" in given else {})}


def _seconds(text: str) -> float:
    unit = next(unit for unit in ("ms", "s", "m", "h") if text.endswith(unit))
    return float(text.removesuffix(unit)) * UNITS[unit]
