"""Containers as Dokploy passes them on from Docker: listed, and inspected."""

from __future__ import annotations

from pydantic import Field

from integrations.dokploy.client.row import DockerRow, DokployRow
from integrations.dokploy.client.secret_values import Secret


class ContainerRow(DokployRow):
    """A container as Dokploy lists it."""

    container_id: str
    """First 12 characters of the id."""
    name: str
    state: str = ""
    """State in Docker's words: created, running, paused, restarting, removing, exited, dead."""
    status: str = ""
    """Status such as `Up 8 seconds (healthy)`: the only field of a list that shows health."""
    image: str | None = None
    ports: str | None = None
    server_id: str | None = None


class HealthLogEntry(DockerRow):
    """Run of a health check."""

    start: str = ""
    end: str = ""
    exit_code: int = 0


class HealthState(DockerRow):
    """Health check state and its latest runs."""

    status: str = ""
    log: tuple[HealthLogEntry, ...] | None = None


class InspectedState(DockerRow):
    """Run state of a container: status, exit code, times and health."""

    status: str = ""
    oom_killed: bool = Field(default=False, alias="OOMKilled")
    exit_code: int = 0
    error: str = ""
    started_at: str = ""
    finished_at: str = ""
    health: HealthState | None = None


class InspectedConfig(DockerRow):
    """Configuration a container was created with."""

    image: str = ""
    env: Secret[list[str]] | None = None


class Inspection(DockerRow):
    """Output of `docker inspect` for one container; `raw_of` gives it whole."""

    id: str
    name: str = ""
    image: str = ""
    restart_count: int = 0
    state: InspectedState = Field(default_factory=InspectedState)
    config: InspectedConfig = Field(default_factory=InspectedConfig)
