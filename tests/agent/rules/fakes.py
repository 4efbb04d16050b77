"""A small catalogue, and incidents made of recorded facts, for the rule side of the agent."""

from datetime import UTC, datetime
from typing import Any, Literal, cast

from pydantic import Field, JsonValue

from agent.incident.evidence.incident_context import IncidentContext, context_of
from core.actions.catalog import Catalog, Params, Result, Risk, Toolset, action
from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert, Evidence, Severity
from core.incidents.incident import Incident
from core.monitoring.inventory import Container, Host, Inventory
from core.text import text
from integrations.dokploy.actions.dokploy_toolsets import DokployDeps, build_toolsets

NOW = datetime(2026, 11, 20, 2, 15, tzinfo=UTC)
MEBIBYTE = 1024 * 1024


class OnContainer(Params):
    container: str

    def target(self) -> str | None:
        return self.container


class UpdateMemory(OnContainer):
    limit_mb: int | None = Field(default=None, gt=0)
    factor: float | None = Field(default=None, gt=1, le=8)


class Lines(OnContainer):
    tail: int = Field(default=100, ge=1, le=5000)


class History(OnContainer):
    window: str = "2h"


class Memory(Params):
    text: str
    limit: int = Field(default=3, ge=1)


class Redeploy(Params):
    service: str
    mode: Literal["quick", "full"] = "quick"


def _done() -> Result:
    return Result(message=text("done"))


class SmallDocker(Toolset):
    """The shapes of the Docker actions that runbooks use."""

    system = "docker"

    @action(Risk.READ)
    async def inspect(self, params: OnContainer) -> Result:
        """Look at a container."""
        return _done()

    @action(Risk.READ)
    async def logs(self, params: Lines) -> Result:
        """Read its log."""
        return _done()

    @action(Risk.DISRUPTIVE)
    async def restart(self, params: OnContainer) -> Result:
        """Restart it."""
        return _done()

    @action(Risk.DISRUPTIVE)
    async def start(self, params: OnContainer) -> Result:
        """Start it."""
        return _done()

    @action(Risk.DISRUPTIVE)
    async def unpause(self, params: OnContainer) -> Result:
        """Let it go on."""
        return _done()

    @action(Risk.CHANGE)
    async def update_memory(self, params: UpdateMemory) -> Result:
        """Change its limit."""
        return _done()


class SmallHistory(Toolset):
    """The shapes of the history actions."""

    system = "history"

    @action(Risk.READ)
    async def stats(self, params: History) -> Result:
        """Past resources."""
        return _done()

    @action(Risk.READ)
    async def similar(self, params: Memory) -> Result:
        """Past incidents."""
        return _done()


class AbsentDokploy(Toolset):
    """A system that is installed and not configured."""

    system = "dokploy"

    def unavailable(self) -> str | None:
        return "no API key"

    @action(Risk.CHANGE)
    async def redeploy(self, params: Redeploy) -> Result:
        """Deploy again."""
        return _done()


def dokploy_toolsets(*, is_configured: bool = False) -> list[Toolset]:
    """All of Dokploy's actions, for their names, risks and parameters; none of them can be carried out."""
    nothing = cast(Any, None)
    parts = DokployDeps(
        client=cast(Any, object()) if is_configured else None,
        inventory=nothing,
        deploys=nothing,
        versions=nothing,
        images=nothing,
        redact=nothing,
        clock=nothing,
    )
    return build_toolsets(parts)


def small_catalog() -> Catalog:
    return Catalog([SmallDocker(), SmallHistory(), AbsentDokploy(), *dokploy_toolsets()])


def incident(
    kind: AlertKind = AlertKind.CONTAINER_DIED,
    *,
    stack: str | None = "granada",
    service: str = "api",
    **facts: JsonValue,
) -> Incident:
    evidence = tuple(Evidence(name=name, value=value, at=NOW, source="test") for name, value in facts.items())
    container = f"{stack}-{service}-1" if stack else service
    alert = Alert(
        kind=kind,
        severity=Severity.CRITICAL,
        host="local",
        stack=stack,
        service=service,
        container=container,
        at=NOW,
        message=text("alert.test"),
        evidence=evidence,
    )
    return Incident(
        id=7,
        severity=Severity.CRITICAL,
        host="local",
        stack=stack,
        service=service,
        container=container,
        message=alert.message,
        kind=kind,
        opened_at=NOW,
        occurred_at=NOW,
        updated_at=NOW,
        alerts=(alert,),
    )


def inventory(*containers: Container, memory_free_mb: int | None = 8000) -> Inventory:
    free = None if memory_free_mb is None else memory_free_mb * MEBIBYTE
    host = Host(name="local", memory_total_bytes=16_000 * MEBIBYTE, memory_free_bytes=free)
    return Inventory(hosts=(host,), containers=containers)


def context(
    kind: AlertKind = AlertKind.CONTAINER_DIED,
    *,
    stack: str | None = "granada",
    service: str = "api",
    memory_free_mb: int | None = 8000,
    **facts: JsonValue,
) -> IncidentContext:
    return context_of(incident(kind, stack=stack, service=service, **facts), inventory(memory_free_mb=memory_free_mb))
