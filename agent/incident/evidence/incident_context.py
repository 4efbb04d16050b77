"""Facts of one incident for conditions and templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import cast

from pydantic import JsonValue

from agent.runbooks.conditions import FactPath
from core.actions.catalog import JsonObject
from core.incidents.alerts import Evidence
from core.incidents.grouping import alert_title
from core.incidents.incident import Incident
from core.monitoring.inventory import Host, Inventory

MEBIBYTE = 1024 * 1024
FIXED_ROOTS = frozenset({"evidence", "incident", "host"})
"""Any other root is the id of a gather step."""


@dataclass(frozen=True, kw_only=True)
class IncidentContext:
    """All facts a rule may use, in plain JSON, so that an incident can be replayed against other rules."""

    incident: JsonObject
    """`agent/incident/evidence/known_evidence.INCIDENT_NAMES`."""
    host: JsonObject
    """`agent/incident/evidence/known_evidence.HOST_NAMES`."""
    evidence: tuple[Evidence, ...] = ()
    """Of several with the same name the last counts."""
    gathered: Mapping[str, JsonObject] = field(default_factory=dict)
    """Data of the runbook's gather steps, by step id."""
    _facts: dict[str, JsonValue] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the evidence by name once: a lookup then takes no search."""
        self._facts.update({item.name: item.value for item in self.evidence})

    def lookup(self, path: FactPath) -> JsonValue:
        """Return the fact of a path such as `("evidence", "exit_code")`, or None."""
        root, *rest = path
        if root == "evidence":
            value: JsonValue = self._facts.get(rest[0])
            rest = rest[1:]
        elif root == "incident":
            value = self.incident
        elif root == "host":
            value = self.host
        else:
            value = dict(self.gathered.get(root, {}))
        for name in rest:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def fact(self, name: str) -> JsonValue:
        """Return the value of the evidence of that name, or None."""
        return self._facts.get(name)

    def names(self) -> dict[str, str]:
        """Return the display names of the incident's container and of its dependency, by `host/name`."""
        told = (
            (self.incident.get("container"), self.incident.get("target")),
            (self.fact("dependency_container"), self.fact("dependency")),
        )
        return {ref: name for ref, name in told if isinstance(ref, str) and isinstance(name, str)}

    def with_gathered(self, results: Mapping[str, JsonObject]) -> IncidentContext:
        """Return a copy with the results of a runbook's gather steps."""
        return replace(self, gathered={**self.gathered, **results})

    def to_json(self) -> JsonObject:
        """Return plain JSON, read back by `from_json`."""
        return {
            "incident": self.incident,
            "host": self.host,
            "evidence": [evidence_to_json(item) for item in self.evidence],
            "gathered": dict(self.gathered),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, JsonValue]) -> IncidentContext:
        """Return the Context that `to_json` wrote."""
        items = cast("list[JsonObject]", data["evidence"])
        return cls(
            incident=cast("JsonObject", data["incident"]),
            host=cast("JsonObject", data["host"]),
            evidence=tuple(evidence_from_json(item) for item in items),
            gathered=cast("dict[str, JsonObject]", data["gathered"]),
        )


def narrow_to_root(incident: Incident) -> Incident:
    """Return the incident reduced to the service at its root, without the alerts of its victims.

    Several services may share an incident, and each alert brings an `exit_code` of its own.
    """
    title = incident.culprit or incident.target
    own = tuple(alert for alert in incident.alerts if alert_title(alert) == title)
    root = own[0] if own and incident.culprit else None
    if not own:
        own = tuple(alert for alert in incident.alerts if alert_title(alert) == incident.target)
    if root is None:
        return replace(incident, alerts=own)
    return replace(
        incident,
        host=root.host,
        stack=root.stack,
        service=root.service,
        container=root.container,
        kind=root.kind,
        alerts=own,
    )


def context_of(incident: Incident, inventory: Inventory, found: tuple[Evidence, ...] = ()) -> IncidentContext:
    """Return the facts about an incident's root: evidence of its alerts, gathered evidence, then `found`."""
    incident = narrow_to_root(incident)
    host = next((one for one in inventory.hosts if one.name == incident.host), Host(name=incident.host))
    gathered = incident.context if isinstance(incident.context, dict) else {}
    return IncidentContext(
        incident=_incident_facts(incident),
        host=_host_facts(host),
        evidence=(*incident.evidence(), *found),
        gathered={name: data for name, data in gathered.items() if isinstance(data, dict)},
    )


def _incident_facts(incident: Incident) -> JsonObject:
    return {
        "id": incident.id,
        "key": incident.key,
        "kind": incident.kind,
        "severity": str(incident.severity),
        "host": incident.host,
        "stack": incident.stack,
        "service": incident.service,
        "target": incident.target,
        "container": f"{incident.host}/{incident.container}" if incident.container else None,
        "container_name": incident.container,
        "repeats": incident.repeats,
        "attempt": incident.attempt,
        "is_flapping": incident.is_flapping,
        "is_simulated": incident.is_simulated,
        "kinds": [str(alert.kind) for alert in incident.alerts],
    }


def _host_facts(host: Host) -> JsonObject:
    return {
        "name": host.name,
        "is_reachable": host.is_reachable,
        "is_simulated": host.is_simulated,
        "engine_version": host.engine_version,
        "cpus": host.cpus,
        "memory_total_mb": host.memory_total_bytes // MEBIBYTE or None,
        "memory_free_mb": None if host.memory_free_bytes is None else host.memory_free_bytes // MEBIBYTE,
    }


def evidence_to_json(item: Evidence) -> JsonObject:
    """Return one fact as plain JSON."""
    return {"name": item.name, "value": item.value, "at": item.at.isoformat(), "source": item.source}


def evidence_from_json(data: Mapping[str, JsonValue]) -> Evidence:
    """Return the fact that `evidence_to_json` wrote."""
    return Evidence(
        name=str(data["name"]),
        value=data["value"],
        at=datetime.fromisoformat(str(data["at"])),
        source=str(data["source"]),
    )
