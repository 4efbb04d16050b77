"""Containers as Dokploy passes them on from Docker: listed, and inspected."""

from __future__ import annotations

from pydantic import Field

from integrations.dokploy.client.row import DockerRow, Row
from integrations.dokploy.client.secret_values import Secret


class ContainerRow(Row):
    """A container as Dokploy lists it."""

    container_id: str
    """12 characters."""
    name: str
    state: str = ""
    """Docker's word: created, running, paused, restarting, removing, exited, dead."""
    status: str = ""
    """`Up 8 seconds (healthy)`: the only place where a list shows health."""
    image: str | None = None
    ports: str | None = None
    server_id: str | None = None


class HealthLogEntry(DockerRow):
    """One run of a health check."""

    start: str = ""
    end: str = ""
    exit_code: int = 0


class HealthState(DockerRow):
    """What the health check says."""

    status: str = ""
    log: tuple[HealthLogEntry, ...] | None = None


class InspectedState(DockerRow):
    """How a container runs or ended."""

    status: str = ""
    oom_killed: bool = Field(default=False, alias="OOMKilled")
    exit_code: int = 0
    error: str = ""
    started_at: str = ""
    finished_at: str = ""
    health: HealthState | None = None


class InspectedConfig(DockerRow):
    """What a container was made from."""

    image: str = ""
    env: Secret[list[str]] | None = None


class Inspection(DockerRow):
    """`docker inspect` of one container; `raw_of` gives it whole."""

    id: str
    name: str = ""
    image: str = ""
    restart_count: int = 0
    state: InspectedState = Field(default_factory=InspectedState)
    config: InspectedConfig = Field(default_factory=InspectedConfig)
