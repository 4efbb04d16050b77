"""Dependencies of the actions on Dokploy, the lookup of names, and results without secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pydantic import JsonValue

from core.actions.catalog import JsonObject, Outcome, Result, Toolset
from core.clock import Clock
from core.deployments.deploys import Deploys, Images, Versions
from core.deployments.platform import ManagedKind, ManagedResource
from core.errors import Refused, UnknownTarget
from core.monitoring.inventory import Container, Inventory
from core.text import Text, text, with_values
from integrations.dokploy.client.dokploy_client import Dokploy

MB = 1024 * 1024
_A = {
    ManagedKind.COMPOSE: "a compose",
    ManagedKind.APPLICATION: "an application",
    ManagedKind.DATABASE: "a database",
}


@dataclass(frozen=True, kw_only=True)
class DokployDeps:
    """Dependencies of every Dokploy toolset."""

    client: Dokploy | None
    """Client; None if Dokploy is not configured."""
    inventory: Callable[[], Inventory]
    deploys: Deploys
    versions: Versions
    images: Images
    redact: Callable[[str], str]
    clock: Clock

    @property
    def dokploy(self) -> Dokploy:
        """Return the client; raises Refused if there is none."""
        if self.client is None:
            raise Refused("Dokploy is not configured (setting `dokploy`)", message=text("dokploy_error.not_configured"))
        return self.client

    def managed(self, name: str, kind: ManagedKind = ManagedKind.COMPOSE) -> ManagedResource:
        """Return the resource of that name; raises UnknownTarget with the nearest one, Refused for a plain project."""
        inventory = self.inventory()
        found = next((one for one in inventory.managed if name in (one.name, one.id) and one.kind is kind), None)
        if found is not None:
            return found
        other = inventory.managed_one(name)
        if other is not None:
            raise Refused(
                f"{name!r} is {_A[other.kind]}, not {_A[kind]}; use the actions dokploy.{other.kind}.…",
                message=text("dokploy_error.wrong_kind", name=name, kind=_kind(other.kind), wanted=_kind(kind)),
            )
        if kind is ManagedKind.COMPOSE and inventory.stack(name) is not None:
            raise Refused(
                f"{name!r} runs here, but Dokploy does not manage it; change its own Compose file",
                message=text("dokploy_error.not_managed", name=name),
            )
        raise UnknownTarget(name, [one.name for one in inventory.managed if one.kind is kind])

    def containers(self, managed: ManagedResource) -> tuple[Container, ...]:
        """Return its containers on the watched hosts; none if its host is not watched."""
        return tuple(one for one in self.inventory().containers if one.project == managed.app_name)

    def memory_of_host(self, managed: ManagedResource) -> int:
        """Return the memory in bytes of the machine it runs on; 0 if unknown."""
        hosts = self.inventory().hosts
        return next((one.memory_total_bytes for one in hosts if one.name == managed.host and not one.is_platform), 0)


def join_names(names: Iterable[str]) -> Text | str:
    """Join names for a sentence; the translated word for none if there are none."""
    return ", ".join(names) or text("dokploy_error.none")


def _kind(kind: ManagedKind) -> Text:
    return text(f"dokploy_error.kind.{kind}")


class DokployToolset(Toolset):
    """Toolset on one Dokploy."""

    def __init__(self, parts: DokployDeps) -> None:
        self._parts = parts

    @property
    def _dokploy(self) -> Dokploy:
        return self._parts.dokploy

    def unavailable(self) -> str | None:
        """Return the reason why the toolset cannot be used without a client; None if there is one."""
        return None if self._parts.client is not None else "Dokploy is not configured (setting `dokploy`)"

    def _result(
        self,
        message: Text,
        data: JsonObject | None = None,
        query: str = "",
        *,
        outcome: Outcome = Outcome.OK,
        ends_here: bool = False,
    ) -> Result:
        return redacted_result(self._parts, message, data, query, outcome=outcome, ends_here=ends_here)


def redacted_result(
    parts: DokployDeps,
    message: Text,
    data: JsonObject | None = None,
    query: str = "",
    *,
    outcome: Outcome = Outcome.OK,
    ends_here: bool = False,
) -> Result:
    """Return a result with every text redacted."""
    clean = {name: redact_strings(parts, value) for name, value in (data or {}).items()}
    return Result(
        outcome=outcome,
        message=with_values(message, parts.redact),
        data=clean,
        query=parts.redact(query),
        ends_here=ends_here,
    )


def redact_strings(parts: DokployDeps, value: JsonValue) -> JsonValue:
    """Return the value with every string redacted; field names stay."""
    if isinstance(value, str):
        return parts.redact(value)
    if isinstance(value, list):
        return [redact_strings(parts, one) for one in value]
    if isinstance(value, dict):
        return {name: redact_strings(parts, one) for name, one in value.items()}
    return value
