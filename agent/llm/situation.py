"""Describes the present situation for a model: time, every stack with its state, open incidents; bounded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from agent.chat.chat_deps import QuestionContext
from agent.llm.tools import fence_text
from core.incidents.incident import Incident
from core.monitoring.inventory import Container, Health, Stack
from core.monitoring.status import status_of
from core.text import Language, Text

MOST_CHARS = 5000
MOST_STACKS = 40
MOST_CONTAINERS = 80
MOST_INCIDENTS = 12
CARD_CHARS = 3000
LANGUAGES: dict[Language, str] = {"en": "English", "es": "Spanish"}


def describe_situation(asked: QuestionContext, open_incidents: Sequence[Incident]) -> str:
    """Describe the situation in a few dozen lines, naming containers as the tools expect them."""
    lines = [f"time: {asked.parts.clock.now().isoformat(timespec='minutes')}", *_hosts(asked)]
    lines += _incidents(asked, open_incidents)
    lines += _alerts(asked)
    stacks = asked.inventory.stacks()
    is_small = len(asked.inventory.containers) <= MOST_CONTAINERS
    for stack in stacks[:MOST_STACKS]:
        lines.append(_stack(stack, names_all=is_small))
    if len(stacks) > MOST_STACKS:
        lines.append(f"and {len(stacks) - MOST_STACKS} more stacks: ask docker__list")
    alone = [one for one in asked.inventory.containers if one.stack is None]
    if alone:
        lines.append("outside of stacks: " + ", ".join(_container(one) for one in alone[:MOST_CONTAINERS]))
    return fence_text(asked.parts.redact("\n".join(lines)), MOST_CHARS)


def describe_incident(asked: QuestionContext, incident: Incident) -> str:
    """Describe the incident whose card was replied to, with its evidence."""
    diagnosis = incident.diagnosis
    facts = {
        "incident": incident.id,
        "target": incident.target,
        "container": f"{incident.host}/{incident.container}" if incident.container else None,
        "state": str(incident.state),
        "occurred_at": incident.occurred_at.isoformat(timespec="seconds"),
        "what": asked.english(incident.message),
        "cause": asked.english(diagnosis.message) if diagnosis else None,
        "culprit": diagnosis.culprit if diagnosis else incident.culprit,
        "plan": [asked.english(step) for step in incident.plan_steps],
        "outcome": asked.english(_named(asked, incident.outcome)) if incident.outcome else None,
        "evidence": {item.name: item.value for item in incident.evidence()},
    }
    told = asked.parts.redact(json.dumps(facts, ensure_ascii=False, default=str))
    return f"The question is a reply to the card of this incident:\n{fence_text(told, CARD_CHARS)}"


def _named(asked: QuestionContext, outcome: Text) -> Text:
    """Return the outcome with a person's name in place of the actor id."""
    who = outcome.values.get("who")
    return Text(outcome.key, {**outcome.values, "who": asked.parts.called(who)}) if isinstance(who, str) else outcome


def _hosts(asked: QuestionContext) -> Iterator[str]:
    for host in asked.inventory.hosts:
        if not host.is_reachable:
            yield f"host {host.name} does not answer: what is said of it is old"
        elif host.is_simulated:
            yield f"host {host.name} is a simulation"


def _incidents(asked: QuestionContext, incidents: Iterable[Incident]) -> Iterator[str]:
    shown = [one for one in incidents if asked.may_see(one.stack)]
    if not shown:
        yield "open incidents: none"
    for one in shown[-MOST_INCIDENTS:]:
        cause = asked.english(one.diagnosis.message) if one.diagnosis else "cause not known yet"
        message = asked.english(one.message)
        yield f"open incident {one.id}: {one.target}, {one.state}: {message} {cause}"[:400]


def _alerts(asked: QuestionContext) -> Iterator[str]:
    alerts = [one for one in asked.parts.firing() if asked.may_see(one.stack)]
    for alert in alerts[:MOST_INCIDENTS]:
        yield f"alert {alert.kind} on {alert.stack or alert.host}/{alert.service or ''}"


def _stack(stack: Stack, *, names_all: bool) -> str:
    containers = [one for service in stack.services for one in service.containers]
    running = sum(one.is_running for one in containers)
    shown = [one for one in containers if names_all or not (status_of(one).is_serving or status_of(one).is_fine)]
    told = ", ".join(_container(one) for one in shown[:MOST_CONTAINERS])
    return f"stack {stack.name} on {stack.host}: {running} of {len(containers)} running; {told or 'all well'}"


def _container(one: Container) -> str:
    health = "" if one.health is Health.NONE else f", {one.health}"
    code = "" if one.is_running or one.exit_code is None else f", exit code {one.exit_code}"
    return f"{one.service} ({one.ref}: {one.state}{health}{code})"
