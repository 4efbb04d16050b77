"""Collects what a rule needs to know, side by side and within fixed times; what cannot be found out is said."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

from pydantic import JsonValue

from agent.dependency_evidence import Dependencies, Suspect
from agent.evidence import MEBIBYTE, Context, focus
from agent.health_evidence import health_facts, start_facts
from agent.log_evidence import log_facts
from agent.runbook_models import Runbook
from agent.templates import fill, missing_in
from core.actions import JsonObject, Result
from core.alerts import Evidence
from core.errors import GuardianError, UnknownAction
from core.incidents import Incident
from core.inventory import Container, Inventory

Read = Callable[[str, dict[str, object]], Awaitable[Result]]
READ_LIMIT_S = 4.0
PAST_LIMIT_S = 0.8
"""Similar incidents are worth less waiting: the card is not to be held up by them."""
LOG_TAIL = 200
DEPENDENCY_TAIL = 80
DEPENDENCIES_READ = 2
LOG_REACH = timedelta(minutes=15)
"""Older lines belong to another trouble."""
VALUE_LIMIT = 4_000


@dataclass
class _Findings:
    """What was found so far, and what could not be."""

    at: datetime
    evidence: list[Evidence] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def add(self, facts: Mapping[str, JsonValue], source: str) -> None:
        for name, value in facts.items():
            if value is not None:
                self.evidence.append(Evidence(name=name, value=bounded(value), at=self.at, source=source))

    def value(self, name: str) -> JsonValue:
        return next((item.value for item in reversed(self.evidence) if item.name == name), None)


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """An answer, or why there is none."""

    data: JsonObject = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class _Reader:
    """Asks, within a time, and makes every fault an answer."""

    read: Read
    limit_s: float = READ_LIMIT_S

    async def ask(self, name: str, params: Mapping[str, object], *, at_most_s: float = READ_LIMIT_S) -> _Asked:
        limit_s = min(self.limit_s, at_most_s)
        try:
            async with asyncio.timeout(limit_s):
                result = await self.read(name, dict(params))
        except UnknownAction:
            return _Asked()  # that system is not installed: nothing was to be expected of it
        except TimeoutError:
            return _Asked(problem=f"no answer within {limit_s:g} s")
        except (GuardianError, OSError, ValueError) as error:
            return _Asked(problem=str(error)[:200] or type(error).__name__)
        if not result.is_ok:
            return _Asked(problem=str(result.message.values.get("problem") or result.message.key)[:200])
        return _Asked(data=result.data)


async def gather(
    incident: Incident,
    inventory: Inventory,
    read: Read,
    *,
    at: datetime | None = None,
    limit_s: float = READ_LIMIT_S,
) -> list[Evidence]:
    """Evidence beyond the alerts' own: logs, health, dependencies, memory of the past. Never raises for a failed read.

    `at` is the moment that the evidence bears; the incident's last change when it is not given. `limit_s` bounds each
    read; there are at most two rounds of them.
    """
    incident = focus(incident)
    found = _Findings(at or incident.updated_at)
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
    if incident.container is not None:
        await _ask_around(incident, Dependencies(incident, inventory), _Reader(read, limit_s), found)
    if found.missing:
        found.add({"missing": list(found.missing)}, "gathering")
    return found.evidence


def _is_back(container: Container, incident: Incident) -> bool:
    """Whether it runs again: the alert was raised in the moment between its end and what its policy does."""
    ended_at = max(alert.at for alert in incident.alerts) if incident.alerts else incident.occurred_at
    return container.is_running and container.started_at is not None and container.started_at > ended_at


async def _ask_around(incident: Incident, graph: Dependencies, read: _Reader, found: _Findings) -> None:
    """Own log, past incidents and the logs of what it stands on, all at once."""
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
    _take_log(own, ref, found)
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


async def _memory(incident: Incident, ref: str, read: _Reader) -> dict[str, JsonValue]:
    """The shape of its memory from the records, when the last minutes were too short to tell."""
    if incident.facts().get("memory_shape") != "unknown":
        return {}
    answer = await read.ask("history.stats", {"container": ref, "window": "2h"}, at_most_s=PAST_LIMIT_S)
    shape = answer.data.get("memory_shape")
    return {"memory_shape": shape} if shape not in (None, "unknown") else {}


def _suspect(graph: Dependencies, suspects: list[Suspect], found: _Findings) -> Suspect | None:
    """Whom the log accuses first, if that one is not well; else the deepest of those that are not."""
    for name in ("dependency_host_unresolved", "refused_host", "timed_out_host"):
        host = found.value(name)
        named = graph.named(host) if isinstance(host, str) else None
        if named is not None:
            return named
    return suspects[-1] if suspects else None


def _take_log(answer: _Asked, ref: str, found: _Findings) -> None:
    if answer.problem:
        found.missing.append(f"log of {ref}: {answer.problem}")
    found.add(log_facts(_lines(answer)), f"logs {ref}")


def _take_dependency_log(answer: _Asked, suspect: Suspect, found: _Findings) -> None:
    if answer.problem:
        found.missing.append(f"log of {_ref(suspect)}: {answer.problem}")
    facts = log_facts(_lines(answer))
    kept = {"dependency_log_errors": facts.get("log_errors"), "dependency_error_line": facts.get("error_line")}
    found.add(kept, f"logs {_ref(suspect)}")


def _take_past(answer: _Asked, found: _Findings) -> None:
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


async def gather_for_runbook(runbook: Runbook, context: Context, read: Read) -> dict[str, JsonObject]:
    """The runbook's own questions, all at once: data by step id; a failed one gives `{"missing": why}`."""

    async def one(name: str, template: JsonObject) -> _Asked:
        gaps = missing_in(cast("JsonValue", template), context.lookup)
        if gaps:
            return _Asked(problem=f"{', '.join(gaps)} is not known")
        params = cast("dict[str, object]", fill(cast("JsonValue", template), context.lookup))
        return await _Reader(read).ask(name, params)

    answers = await asyncio.gather(*(one(step.action, step.params) for step in runbook.gathering))
    return {
        step.id: {"missing": answer.problem} if answer.problem else _bounded_data(answer.data)
        for step, answer in zip(runbook.gathering, answers, strict=True)
    }


def _bounded_data(data: JsonObject) -> JsonObject:
    return {name: bounded(value) for name, value in data.items()}


def bounded(value: JsonValue, limit: int = VALUE_LIMIT) -> JsonValue:
    """The value cut to a size that records and prompts bear: long texts and lists lose their end."""
    if isinstance(value, str):
        return value if len(value) <= limit else value[: limit - 1] + "…"
    if isinstance(value, list):
        return [bounded(item, max(limit // 4, 100)) for item in value[:50]]
    if isinstance(value, dict):
        return {name: bounded(item, max(limit // 4, 100)) for name, item in list(value.items())[:50]}
    return value


def _log_params(ref: str, tail: int, incident: Incident) -> dict[str, object]:
    return {"container": ref, "tail": tail, "since": (incident.occurred_at - LOG_REACH).isoformat()}


def _past_params(incident: Incident) -> dict[str, object]:
    """Words like those that lessons are kept under."""
    facts = incident.facts()
    told = [f"{name} {facts[name]}" for name in ("exit_code", "oom_killed", "state_error") if facts.get(name)]
    words = " ".join([incident.kind, "of", incident.target, *told])
    return {"text": words[:1_000], "stack": incident.stack}


def _lines(answer: _Asked) -> list[str]:
    """The texts of an answer of `docker.logs`, oldest first."""
    lines = answer.data.get("lines")
    if not isinstance(lines, Iterable) or isinstance(lines, str):
        return []
    return [str(one.get("text", "")) if isinstance(one, dict) else str(one) for one in lines]


def _ref(suspect: Suspect) -> str:
    return suspect.container.ref if suspect.container else suspect.title
