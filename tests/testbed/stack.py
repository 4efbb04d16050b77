"""Compose-like stacks on the real engine, made in a second through the Docker SDK."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Any

import docker
from docker.models.containers import Container

from tests.testbed import engine

COMPOSE_VERSION = "2.26.1"
SECOND_NS = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A health check; the command is an argument list, or a string for a shell."""

    command: Sequence[str] | str
    interval_s: float = 0.5
    timeout_s: float = 2
    retries: int = 2
    start_period_s: float = 0

    def as_engine(self) -> dict[str, Any]:
        """Return the engine's form of it."""
        shell = isinstance(self.command, str)
        return {
            "test": ["CMD-SHELL", self.command] if shell else ["CMD", *self.command],
            "interval": int(self.interval_s * SECOND_NS),
            "timeout": int(self.timeout_s * SECOND_NS),
            "retries": self.retries,
            "start_period": int(self.start_period_s * SECOND_NS),
        }


# for web.py and for client.py
HTTP_PROBE = Probe(command=["curl", "-fsS", "http://127.0.0.1:8000/health"])
FILE_PROBE = Probe(command=["test", "-f", "/tmp/healthy"])


@dataclass(frozen=True, kw_only=True)
class Stack:
    """One Compose project with its own network; `service` adds containers to it."""

    client: docker.DockerClient
    image: str
    project: str
    containers: dict[str, Container] = field(default_factory=dict)

    @property
    def network(self) -> str:
        """The name of the project's default network."""
        return f"{self.project}_default"

    def service(
        self,
        name: str,
        command: str | Sequence[str] = "web.py",
        *,
        mem_limit: str | None = None,
        healthcheck: Probe | None = None,
        restart: str | None = None,
        depends_on: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        ports: Mapping[str, Any] | None = None,
        number: int = 1,
        start: bool = True,
        **more: Any,
    ) -> Container:
        """Create a container as Compose would, and start it.

        Args:
            command: a service program such as "web.py", or a whole argument list.
            restart: "always", "unless-stopped", "on-failure" or "on-failure:3".
            depends_on: service names, each with or without a condition: "db", "db:service_healthy".
            ports: container port to host port, in the form of the Docker SDK: {"8000/tcp": ("127.0.0.1", None)}.
            more: further arguments of the Docker SDK's `containers.create`.
        """
        self._ensure_network()
        arguments = ["python3", f"/srv/{command}"] if isinstance(command, str) else list(command)
        if mem_limit:
            more |= {"mem_limit": mem_limit, "memswap_limit": mem_limit}
        if "network_mode" not in more:
            aliases = self.client.api.create_endpoint_config(aliases=[name])
            more |= {"network": self.network, "networking_config": {self.network: aliases}}
        made = self.client.containers.create(
            more.pop("image", self.image),
            arguments,
            name=f"{self.project}-{name}-{number}",
            environment=dict(env or {}),
            labels={**self._labels(name, number, depends_on, [*arguments, str(env)]), **(labels or {})},
            healthcheck=healthcheck.as_engine() if healthcheck else None,
            restart_policy=_restart_policy(restart),
            ports=dict(ports or {}),
            **more,
        )
        self.containers[name] = made
        if start:
            made.start()
        return made

    def _labels(self, name: str, number: int, depends_on: Sequence[str], recipe: Sequence[str]) -> dict[str, str]:
        prefix = "com.docker.compose"
        return {
            engine.LABEL: "1",
            f"{prefix}.project": self.project,
            f"{prefix}.project.working_dir": f"/srv/{self.project}",
            f"{prefix}.project.config_files": f"/srv/{self.project}/docker-compose.yml",
            f"{prefix}.service": name,
            f"{prefix}.container-number": str(number),
            f"{prefix}.oneoff": "False",
            f"{prefix}.depends_on": ",".join(_dependency(one) for one in depends_on),
            f"{prefix}.config-hash": sha256(json.dumps([name, *recipe]).encode()).hexdigest(),
            f"{prefix}.version": COMPOSE_VERSION,
        }

    def _ensure_network(self) -> None:
        if not self.client.networks.list(names=[self.network]):
            labels = {
                engine.LABEL: "1",
                "com.docker.compose.project": self.project,
                "com.docker.compose.network": "default",
                "com.docker.compose.version": COMPOSE_VERSION,
            }
            self.client.networks.create(self.network, driver="bridge", labels=labels)

    def ip(self, name: str) -> str:
        """Return the address of a service on the project's network, reachable from this machine."""
        container = self.containers[name]
        container.reload()
        return str(container.attrs["NetworkSettings"]["Networks"][self.network]["IPAddress"])

    def url(self, name: str, path: str = "/") -> str:
        """Return the address of a page of a service that runs web.py."""
        return f"http://{self.ip(name)}:8000{path}"

    def inspect(self, name: str) -> dict[str, Any]:
        """Return what the engine now says about a service's container."""
        container = self.containers[name]
        container.reload()
        return dict(container.attrs)

    def state(self, name: str) -> dict[str, Any]:
        """Return the `State` part of `inspect`."""
        return dict(self.inspect(name)["State"])

    def remove(self) -> None:
        """Remove every container of the project, also those that others made in it, and its networks."""
        mine: dict[str, Any] = {"label": f"com.docker.compose.project={self.project}"}
        for container in self.client.containers.list(all=True, filters=mine, ignore_removed=True):
            engine.remove(partial(container.remove, force=True, v=True))
        for network in self.client.networks.list(filters=mine):
            engine.remove(network.remove)


def new_stack(client: docker.DockerClient, image: str, prefix: str = "shop") -> Stack:
    """Return a stack with a project name that nobody else has."""
    return Stack(client=client, image=image, project=f"{prefix}-{secrets.token_hex(3)}")


def _dependency(text: str) -> str:
    name, _, condition = text.partition(":")
    return f"{name}:{condition or 'service_started'}:false"


def _restart_policy(text: str | None) -> Any:
    if text is None:
        return None
    name, _, count = text.partition(":")
    return {"Name": name, "MaximumRetryCount": int(count or 0)}
