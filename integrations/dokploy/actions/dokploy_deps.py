"""What the actions on Dokploy share: their parts, finding what a name means, and results without secrets."""

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
    """What every toolset of Dokploy needs."""

    client: Dokploy | None
    """None: Dokploy is not configured."""
    inventory: Callable[[], Inventory]
    deploys: Deploys
    versions: Versions
    images: Images
    redact: Callable[[str], str]
    clock: Clock

    @property
    def dokploy(self) -> Dokploy:
        """The client; Refused where there is none."""
        if self.client is None:
            raise Refused("Dokploy is not configured (setting `dokploy`)", says=text("dokploy_error.not_configured"))
        return self.client

    def managed(self, name: str, kind: ManagedKind = ManagedKind.COMPOSE) -> ManagedResource:
        """What Dokploy calls by that name; UnknownTarget with the nearest one, Refused for a plain Compose project."""
        inventory = self.inventory()
        found = next((one for one in inventory.managed if name in (one.name, one.id) and one.kind is kind), None)
        if found is not None:
            return found
        other = inventory.managed_one(name)
        if other is not None:
            raise Refused(
                f"{name!r} is {_A[other.kind]}, not {_A[kind]}; use the actions dokploy.{other.kind}.…",
                says=text("dokploy_error.wrong_kind", name=name, kind=_kind(other.kind), wanted=_kind(kind)),
            )
        if kind is ManagedKind.COMPOSE and inventory.stack(name) is not None:
            raise Refused(
                f"{name!r} runs here, but Dokploy does not manage it; change its own Compose file",
                says=text("dokploy_error.not_managed", name=name),
            )
        raise UnknownTarget(name, [one.name for one in inventory.managed if one.kind is kind])

    def containers(self, managed: ManagedResource) -> tuple[Container, ...]:
        """Its containers on the watched hosts; none also where its host is not watched."""
        return tuple(one for one in self.inventory().containers if one.project == managed.app_name)

    def memory_of_host(self, managed: ManagedResource) -> int:
        """Bytes of memory of the machine it runs on; 0: not known."""
        hosts = self.inventory().hosts
        return next((one.memory_total_bytes for one in hosts if one.name == managed.host and not one.is_platform), 0)


def listed(names: Iterable[str]) -> Text | str:
    """Names for a sentence; a word of people's language where there is none."""
    return ", ".join(names) or text("dokploy_error.none")


def _kind(kind: ManagedKind) -> Text:
    return text(f"dokploy_error.kind.{kind}")


class DokployToolset(Toolset):
    """A family of actions on one Dokploy."""

    def __init__(self, parts: DokployDeps) -> None:
        self._parts = parts

    @property
    def _dokploy(self) -> Dokploy:
        return self._parts.dokploy

    def unavailable(self) -> str | None:
        """Without a client there is nothing to act on."""
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
        return result(self._parts, message, data, query, outcome=outcome, ends_here=ends_here)


def result(
    parts: DokployDeps,
    message: Text,
    data: JsonObject | None = None,
    query: str = "",
    *,
    outcome: Outcome = Outcome.OK,
    ends_here: bool = False,
) -> Result:
    """A result whose every text has passed the redactor."""
    clean = {name: redacted(parts, value) for name, value in (data or {}).items()}
    return Result(
        outcome=outcome,
        message=with_values(message, parts.redact),
        data=clean,
        query=parts.redact(query),
        ends_here=ends_here,
    )


def redacted(parts: DokployDeps, value: JsonValue) -> JsonValue:
    """The same with every string redacted; names of fields stay."""
    if isinstance(value, str):
        return parts.redact(value)
    if isinstance(value, list):
        return [redacted(parts, one) for one in value]
    if isinstance(value, dict):
        return {name: redacted(parts, one) for name, one in value.items()}
    return value
