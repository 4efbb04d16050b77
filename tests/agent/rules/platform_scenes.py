"""Troubles of a stack that Dokploy manages: what it says of it, and what the rules make of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from pydantic import JsonValue

from agent.incident.evidence.gather import gather_evidence, gather_for_runbook
from agent.incident.evidence.incident_context import IncidentContext, context_of
from agent.runbooks.plans import ChosenSolution, Plan, choose_solution, render_plan
from agent.runbooks.rules import RuleDiagnosis, diagnose_by_rules
from agent.runbooks.runbook import Runbooks
from core.actions.catalog import Catalog, JsonObject
from core.deployments.platform import Deployment, DeployStatus, Domain, ManagedKind, ManagedResource
from core.incidents.alert_kinds import AlertKind
from core.incidents.incident import Incident
from core.monitoring.inventory import Container, Inventory
from tests.agent.rules.fakes import NOW, SmallDocker, SmallHistory, dokploy_toolsets, incident, inventory
from tests.agent.rules.scenes import Answers

GRANADA = ManagedResource(
    id="c1", kind=ManagedKind.COMPOSE, name="granada", app_name="granada-x7f3k2", host="local", source="raw"
)
WEB = Domain(id="d1", host="granada.example", https=True, port=3000, service="api", certificate="letsencrypt")


def platform_catalog() -> Catalog:
    """Docker, history, and all of Dokploy's actions as if it were configured; nothing is carried out."""
    return Catalog([SmallDocker(), SmallHistory(), *dokploy_toolsets(is_configured=True)])


def deployment(
    ended_min: float = 4.0, status: DeployStatus = DeployStatus.DONE, *, id: str = "new", **more: Any
) -> Deployment:
    """One that ended so many minutes before the trouble, and took one."""
    ended = NOW - timedelta(minutes=ended_min)
    began = ended - timedelta(minutes=1)
    made = Deployment(
        id=id, title="Faster search", status=status, created_at=began, started_at=began, finished_at=ended
    )
    return replace(made, **more)


def row(version: int, verdict: str, *, ended_min: float = 4.0, **more: JsonValue) -> JsonObject:
    """A version as `dokploy.compose.versions` gives it; kept just before a deployment that ended so long ago."""
    at = NOW - timedelta(minutes=ended_min + 2)
    made: JsonObject = {
        "version": version,
        "at": at.isoformat(),
        "by": "tg:1001",
        "verdict": verdict,
        "source": "raw",
        "commit": None,
        "images": {"api": f"shop/api:{version}"},
        "environment_keys": ["DATABASE_URL", "TOKEN"],
    }
    return {**made, **more}


def deployed(id: str = "new", by: str | None = "Ada", ended_min: float = 4.0) -> JsonObject:
    """A deployment as `dokploy.compose.deployments` gives it."""
    return {"id": id, "by": by, "started_at": (NOW - timedelta(minutes=ended_min + 1)).isoformat()}


def of_stack(kind: AlertKind, **facts: Any) -> Incident:
    """Trouble of the whole stack: its alert names no service."""
    one = incident(kind, **facts)
    alert = replace(one.alerts[0], service=None, container=None)
    return replace(one, service=None, container=None, alerts=(alert,))


def of_domain(**facts: Any) -> Incident:
    """A domain of the api that fails, as it is seen from outside."""
    known: dict[str, Any] = {"domain": "granada.example", "domain_service": "api", "domain_port": 3000, **facts}
    one = incident(AlertKind.DOMAIN_FAILING, **known)
    return replace(one, container=None, alerts=(replace(one.alerts[0], container=None),))


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the rules make of it."""

    verdict: RuleDiagnosis
    context: IncidentContext
    plan: Plan | None
    asked: tuple[str, ...]

    @property
    def runbook(self) -> str | None:
        assert self.verdict.diagnosis is not None
        assert self.verdict.why_ask is None
        return self.verdict.diagnosis.runbook

    def says(self, language: str = "en") -> str:
        assert self.verdict.diagnosis is not None
        return str(self.verdict.diagnosis.message.values[language])

    @property
    def actions(self) -> list[str]:
        return [step.action for step in self.plan.steps] if self.plan else []


async def tell(
    books: Runbooks,
    catalog: Catalog,
    trouble: Incident,
    *containers: Container,
    managed: ManagedResource | None = GRANADA,
    answers: Mapping[str, JsonObject] | None = None,
    logs: Mapping[str, list[str]] | None = None,
    memory_free_mb: int | None = 8000,
) -> Told:
    """Gather, diagnose and plan, as the graph's nodes do; `answers` by the name after `dokploy.compose.`."""
    seen: Inventory = inventory(*containers, memory_free_mb=memory_free_mb)
    seen = replace(seen, managed=(managed,) if managed else ())
    others = {name if "." in name else f"dokploy.compose.{name}": data for name, data in (answers or {}).items()}
    refs = {f"local/granada-{service}-1": lines for service, lines in (logs or {}).items()}
    read = Answers(logs=refs, others=others)
    found = await gather_evidence(trouble, seen, read)
    context = context_of(replace(trouble, gathered=tuple(found)), seen)
    verdict = diagnose_by_rules(books, context)
    asked = tuple(name for name, _ in read.asked)
    if verdict.runbook is None or verdict.diagnosis is None:
        return Told(verdict=verdict, context=context, plan=None, asked=asked)
    context = context.with_gathered(await gather_for_runbook(verdict.runbook, context, read))
    choice = choose_solution(verdict.runbook, context, verdict.diagnosis.confidence, set(), catalog)
    plan = None
    if isinstance(choice, ChosenSolution):
        plan = render_plan(verdict.runbook, choice.index, context, attempt=1, catalog=catalog)
    return Told(verdict=verdict, context=context, plan=plan, asked=asked)
