"""What Dokploy passes on from Docker: containers, tasks, inspection, events, usage, health of the host."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

from integrations.dokploy.client.row import DockerRow, Row
from integrations.dokploy.client.secret_values import Secret, hidden, written

Attributes = Annotated[dict[str, Any], BeforeValidator(lambda raw: hidden("", raw)), PlainSerializer(written)]


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
    node: str | None = None
    server_id: str | None = None


class TaskRow(Row):
    """A task of a Swarm service."""

    container_id: str
    """The task's id, in spite of its name."""
    name: str
    state: str = ""
    """The desired one."""
    current_state: str = ""
    node: str | None = None
    error: str = ""
    """May read `Error:` and mean nothing."""


class HealthLogEntry(DockerRow):
    """One run of a health check."""

    start: str = ""
    end: str = ""
    exit_code: int = 0
    output: str = ""


class HealthState(DockerRow):
    """What the health check says."""

    status: str = ""
    failing_streak: int = 0
    log: tuple[HealthLogEntry, ...] | None = None


class InspectedState(DockerRow):
    """How a container runs or ended."""

    status: str = ""
    running: bool = False
    restarting: bool = False
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
    cmd: Secret[Any] | None = None
    entrypoint: Secret[Any] | None = None


class Inspection(DockerRow):
    """`docker inspect` of one container; `raw_of` gives it whole."""

    id: str
    name: str = ""
    image: str = ""
    restart_count: int = 0
    args: Secret[Any] | None = None
    state: InspectedState = Field(default_factory=InspectedState)
    config: InspectedConfig = Field(default_factory=InspectedConfig)


class EventSubjectRow(Row):
    """Who an event is about."""

    id: str = Field(default="", alias="ID")
    attributes: Attributes = Field(default_factory=dict, alias="Attributes")

    @property
    def facts(self) -> dict[str, str]:
        """Labels of the container, its name, image and exit code; without those that hold a secret."""
        return {name: value for name, value in self.attributes.items() if isinstance(value, str)}


class Event(Row):
    """Something that happened in Docker."""

    type: str = Field(default="", alias="Type")
    action: str = Field(default="", alias="Action")
    actor: EventSubjectRow = Field(default_factory=EventSubjectRow, alias="EventSubjectRow")
    time: int = 0
    time_nano: int = 0


class Events(Row):
    """Newest first."""

    events: tuple[Event, ...]
    fetched_at: datetime | None = None


class Amount(Row):
    """Bytes in all and in use."""

    total_bytes: int | None = None
    used_bytes: int | None = None


class Resources(Row):
    """Memory and processors."""

    mem_total_bytes: int | None = None
    mem_used_bytes: int | None = None
    cpu_count: int | None = None


class ServerHealth(Row):
    """How a host is."""

    checked_at: datetime | None = None
    resources: Resources | None = None
    disk: Amount | None = None


class ContainerUsage(Row):
    """`docker stats` of one container, as text."""

    id: str = Field(default="", alias="ID")
    name: str = Field(default="", alias="Name")
    cpu: str = Field(default="", alias="CPUPerc")
    memory: str = Field(default="", alias="MemPerc")
    memory_usage: str = Field(default="", alias="MemUsage")
    network: str = Field(default="", alias="NetIO")
    disk: str = Field(default="", alias="BlockIO")


class SwarmNodeRow(Row):
    """A machine of the Swarm."""

    id: str = Field(alias="ID")
    hostname: str = Field(default="", alias="Hostname")
    status: str = Field(default="", alias="Status")
    availability: str = Field(default="", alias="Availability")
    manager_status: str = Field(default="", alias="ManagerStatus")


class Mount(DockerRow):
    """A volume that a service mounts."""

    type: str = ""
    name: str = ""
    source: str = ""
    destination: str = ""
    driver: str = ""
    rw: bool = Field(default=True, alias="RW")


class DiskUsageRow(Row):
    """A line of `docker system df`."""

    type: str
    total_count: int = 0
    active: int = 0
    size: str = ""
    reclaimable: str = ""
    size_bytes: float = 0.0
