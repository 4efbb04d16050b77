"""Gathers the evidence that rules need, concurrently and within time limits, and notes what it could not find."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import cast

from pydantic import JsonValue

from agent.incident.evidence.dependency_evidence import DependencyEvidence, TroubledDependency
from agent.incident.evidence.findings import (
    READ_LIMIT_S,
    EvidenceReader,
    Findings,
    ReadAction,
    ReadResult,
    bounded_value,
)
from agent.incident.evidence.health_evidence import health_facts, start_facts
from agent.incident.evidence.incident_context import MEBIBYTE, IncidentContext, narrow_to_root
from agent.incident.evidence.log_evidence import cut_line, log_facts
from agent.incident.evidence.platform_evidence import (
    PlatformEvidence,
    container_to_read,
    narrow_to_container,
    shows_migration,
)
from agent.runbooks.runbook import Runbook
from agent.runbooks.templates import fill_template, missing_references
from core.actions.catalog import JsonObject
from core.incidents.alerts import Evidence
from core.incidents.incident import Incident
from core.monitoring.inventory import Container, Inventory
from core.monitoring.status import status_of

PAST_LIMIT_S = 0.8
"""Limit for similar incidents, which must not delay the card."""
LOG_TAIL = 200
DEPENDENCY_TAIL = 80
DEPENDENCIES_READ = 2
LOG_REACH = timedelta(minutes=15)
"""Older log lines belong to another trouble."""
DEPLOY_REACH = timedelta(hours=2)
"""Older deployments are not looked at."""


async def gather_evidence(
    incident: Incident,
    inventory: Inventory,
    read: ReadAction,
    *,
    at: datetime | None = None,
    limit_s: float = READ_LIMIT_S,
) -> list[Evidence]:
    """Gather evidence beyond the alerts' own: logs, health, dependencies, the past. Never raises for a failed read.

    `at` is the moment that the evidence bears; the incident's last change when it is not given. `limit_s` bounds each
    read; there are at most two rounds of them.
    """
    incident = narrow_to_root(incident)
    found = Findings(at or incident.updated_at)
    platform = PlatformEvidence.of(incident, inventory)
    if platform is not None:
        found.add(platform.known(), platform.managed.system)
    worst = container_to_read(incident, inventory)
    about_whole = incident
    if worst is not None:
        if incident.service is None and not status_of(worst).is_fine:
            title = f"{worst.stack}/{worst.service}"
            found.add({"worst_service": title, "worst_container": worst.ref}, f"inspect {worst.ref}")
        incident = narrow_to_container(incident, worst)
    _take_inspected(incident, inventory, found)
    reader = EvidenceReader(read, limit_s)
    asked = [platform.ask(reader, found)] if platform is not None else []
    if incident.container is not None:
        asked.append(_ask_around(incident, DependencyEvidence(incident, inventory), reader, found))
    if about_whole.service is not None:
        asked.append(_ask_before(about_whole, platform, reader, found))
    await asyncio.gather(*asked)
    if found.missing:
        found.add({"missing": list(found.missing)}, "gathering")
    return found.evidence


def _take_inspected(incident: Incident, inventory: Inventory, found: Findings) -> None:
    """Take the evidence that the inventory already holds about the host and the container."""
    container = inventory.container(f"{incident.host}/{incident.container}") if incident.container else None
    known = incident.facts()
    host = next((one for one in inventory.hosts if one.name == incident.host), None)
    if host is not None:
        free = host.memory_free_bytes
        found.add(
            {
                "host_memory_free_mb": None if free is None else free // MEBIBYTE,
                "host_memory_total_mb": host.memory_total_bytes // MEBIBYTE or None,
            },
            f"engine {host.name}",
        )
    if container is not None:
        found.add(health_facts(container, found.at), f"inspect {container.ref}")
        if known.get("came_back") is False and _is_back(container, incident):
            found.add({"came_back": True}, f"inspect {container.ref}")
    found.add(start_facts(container, str(known.get("state_error") or "")), f"inspect {incident.container}")


async def _ask_before(
    incident: Incident, platform: PlatformEvidence | None, read: EvidenceReader, found: Findings
) -> None:
    """Look for the same trouble before the last deployment, which then did not cause it."""
    last = platform.deployment() if platform is not None else None
    since = (last.started_at or last.created_at) if last is not None else None
    if since is None or incident.occurred_at - since > DEPLOY_REACH:
        return
    params = {"stack": incident.stack, "service": incident.service, "window": "7d", "limit": 50}
    answer = await read.ask("history.incidents", params, at_most_s=PAST_LIMIT_S)
    before = [one for one in answer.rows("incidents") if one.get("kind") == incident.kind]
    older = [one for one in before if datetime.fromisoformat(str(one["opened_at"])) < since]
    found.add({"seen_before_deploy": len(older)}, "history.incidents")


def _is_back(container: Container, incident: Incident) -> bool:
    """Return whether it runs again: the alert fell between its end and the restart by its policy."""
    ended_at = max(alert.at for alert in incident.alerts) if incident.alerts else incident.occurred_at
    return container.is_running and container.started_at is not None and container.started_at > ended_at


async def _ask_around(incident: Incident, graph: DependencyEvidence, read: EvidenceReader, found: Findings) -> None:
    """Read its log, past incidents and the logs of its dependencies, all at once."""
    ref = f"{incident.host}/{incident.container}"
    suspects = graph.suspects()
    near = [one for one in suspects if one.container is not None][-DEPENDENCIES_READ:]
    asked = [read.ask("docker.logs", _log_params(_ref(one), DEPENDENCY_TAIL, incident)) for one in near]
    (own, past, *theirs), shape = await asyncio.gather(
        asyncio.gather(
            read.ask("docker.logs", _log_params(ref, LOG_TAIL, incident)),
            read.ask("history.similar", _past_params(incident), at_most_s=PAST_LIMIT_S),
            *asked,
        ),
        _memory(incident, ref, read),
    )
    found.add(shape, f"history.stats {ref}")
    _take_log(own, ref, incident.occurred_at, found)
    _take_past(past, found)
    unresolved = found.value("dependency_host_unresolved")
    if isinstance(unresolved, str):
        found.add({"dependency_host_known": graph.is_known(unresolved)}, "dependency graph")
    suspect = _suspect(graph, suspects, found)
    found.add(graph.facts(suspect), "dependency graph")
    if suspect is None or suspect.container is None:
        return
    answers = dict(zip((one.title for one in near), theirs, strict=True))
    answer = answers.get(suspect.title) or await read.ask(
        "docker.logs", _log_params(_ref(suspect), DEPENDENCY_TAIL, incident)
    )
    _take_dependency_log(answer, suspect, found)


async def _memory(incident: Incident, ref: str, read: EvidenceReader) -> dict[str, JsonValue]:
    """Take the memory trend from the records when the last minutes are too short for one."""
    if incident.facts().get("memory_shape") != "unknown":
        return {}
    answer = await read.ask("history.stats", {"container": ref, "window": "2h"}, at_most_s=PAST_LIMIT_S)
    shape = answer.data.get("memory_shape")
    return {"memory_shape": shape} if shape not in (None, "unknown") else {}


def _suspect(
    graph: DependencyEvidence, suspects: list[TroubledDependency], found: Findings
) -> TroubledDependency | None:
    """Return the service that the log blames first, if it is not well, else the deepest suspect."""
    for name in ("dependency_host_unresolved", "refused_host", "timed_out_host"):
        host = found.value(name)
        named = graph.named(host) if isinstance(host, str) else None
        if named is not None:
            return named
    return suspects[-1] if suspects else None


def _take_log(answer: ReadResult, ref: str, ended_at: datetime, found: Findings) -> None:
    if answer.problem:
        found.missing.append(f"log of {ref}: {answer.problem}")
    lines = _lines(answer)
    found.add({**log_facts(lines), "migration_since": shows_migration(lines) or None}, f"logs {ref}")
    found.add({"log_before_end": _before_end(answer, ended_at)}, f"logs {ref}")


def _take_dependency_log(answer: ReadResult, suspect: TroubledDependency, found: Findings) -> None:
    if answer.problem:
        found.missing.append(f"log of {_ref(suspect)}: {answer.problem}")
    facts = log_facts(_lines(answer))
    kept = {"dependency_log_errors": facts.get("log_errors"), "dependency_error_line": facts.get("error_line")}
    found.add(kept, f"logs {_ref(suspect)}")


def _take_past(answer: ReadResult, found: Findings) -> None:
    if answer.problem:
        found.missing.append(f"similar incidents: {answer.problem}")
        return
    lessons = answer.data.get("lessons")
    past = [one for one in lessons if isinstance(one, dict)] if isinstance(lessons, list) else []
    if not past:
        return
    helped: list[JsonValue] = []
    for one in past:
        actions = one.get("actions")
        if one.get("helped") is True and isinstance(actions, list):
            helped.extend(action for action in actions if action not in helped)
    found.add({"similar_count": len(past), "similar_helped": helped or None}, "history.similar")


async def gather_for_runbook(runbook: Runbook, context: IncidentContext, read: ReadAction) -> dict[str, JsonObject]:
    """Run the runbook's gather steps at once: data by step id; a failed one gives `{"missing": reason}`."""

    async def one(name: str, template: JsonObject) -> ReadResult:
        gaps = missing_references(cast("JsonValue", template), context.lookup)
        if gaps:
            return ReadResult(problem=f"{', '.join(gaps)} is not known")
        params = cast("dict[str, object]", fill_template(cast("JsonValue", template), context.lookup))
        return await EvidenceReader(read).ask(name, params)

    answers = await asyncio.gather(*(one(step.action, step.params) for step in runbook.gathering))
    return {
        step.id: {"missing": answer.problem} if answer.problem else _bounded_data(answer.data)
        for step, answer in zip(runbook.gathering, answers, strict=True)
    }


def _bounded_data(data: JsonObject) -> JsonObject:
    return {name: bounded_value(value) for name, value in data.items()}


def _log_params(ref: str, tail: int, incident: Incident) -> dict[str, object]:
    return {"container": ref, "tail": tail, "since": (incident.occurred_at - LOG_REACH).isoformat()}


def _past_params(incident: Incident) -> dict[str, object]:
    """Return a query in the words of stored lessons."""
    facts = incident.facts()
    told = [f"{name} {facts[name]}" for name in ("exit_code", "oom_killed", "state_error") if facts.get(name)]
    words = " ".join([incident.kind, "of", incident.target, *told])
    return {"text": words[:1_000], "stack": incident.stack}


def _lines(answer: ReadResult) -> list[str]:
    """Return the log lines of a `docker.logs` result, oldest first."""
    lines = answer.data.get("lines")
    if not isinstance(lines, Iterable) or isinstance(lines, str):
        return []
    return [str(one.get("text", "")) if isinstance(one, dict) else str(one) for one in lines]


def _before_end(answer: ReadResult, ended_at: datetime) -> str | None:
    """Return the last line written before the end; a restart since may have added others."""
    for row in reversed(answer.rows("lines")):
        at, said = row.get("at"), str(row.get("text") or "").strip()
        if said and isinstance(at, str) and datetime.fromisoformat(at) <= ended_at:
            return cut_line(said)
    return None


def _ref(suspect: TroubledDependency) -> str:
    return suspect.container.ref if suspect.container else suspect.title
