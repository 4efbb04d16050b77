"""Recorded troubles: containers, alerts and log lines as a real engine showed them."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

from agent.incident.evidence.findings import ReadAction
from agent.incident.evidence.gather import gather_evidence, gather_for_runbook
from agent.incident.evidence.incident_context import IncidentContext, context_of
from agent.runbooks.plans import ChosenSolution, choose_solution
from agent.runbooks.rules import RuleDiagnosis, diagnose_by_rules
from agent.runbooks.runbook import Runbooks
from core.actions.catalog import Catalog, JsonObject, Outcome, Result
from core.errors import SystemUnavailable, UnknownAction
from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert
from core.incidents.incident import Incident
from core.monitoring.inventory import Container, ContainerState, Dependency, Health, HealthProbe, Inventory
from core.text import text
from tests.agent.rules.fakes import NOW, incident, inventory


def container(service: str = "api", state: ContainerState = ContainerState.RUNNING, **more: object) -> Container:
    made = Container(
        host="local",
        id=f"{service}0123456789ab",
        name=f"granada-{service}-1",
        stack="granada",
        service=service,
        image=f"{service}:1",
        state=state,
        networks=("granada_default",),
        aliases=(service,),
        started_at=NOW - timedelta(hours=5),
    )
    return replace(made, **more)  # type: ignore[arg-type]


def api(state: ContainerState = ContainerState.EXITED, **more: object) -> Container:
    return container("api", state, depends_on=(Dependency(service="db"),), **more)


def db(state: ContainerState = ContainerState.RUNNING, **more: object) -> Container:
    return container("db", state, **more)


def probes(exit_code: int, output: str, count: int = 5) -> tuple[HealthProbe, ...]:
    return tuple(HealthProbe(at=NOW, exit_code=exit_code, output=output) for _ in range(count))


def unhealthy(exit_code: int, output: str, *, streak: int, ran: timedelta, **more: object) -> Container:
    return api(
        ContainerState.RUNNING,
        health=Health.UNHEALTHY,
        health_log=probes(exit_code, output),
        health_interval_s=30.0,
        failing_streak=streak,
        started_at=NOW - ran,
        **more,
    )


@dataclass
class Answers:
    """A reader over fixed answers; what is not named is not installed."""

    logs: dict[str, list[str]] = field(default_factory=dict)
    others: dict[str, JsonObject] = field(default_factory=dict)
    is_down: bool = False
    asked: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    async def __call__(self, name: str, params: dict[str, object]) -> Result:
        self.asked.append((name, params))
        if self.is_down:
            raise SystemUnavailable("docker local", "no answer")
        if name == "docker.logs":
            lines = self.logs.get(str(params["container"]), [])
            data: JsonObject = {"lines": [{"text": line} for line in lines]}
            return Result(outcome=Outcome.OK if lines else Outcome.NO_DATA, message=text("read"), data=data)
        if name in self.others:
            return Result(message=text("read"), data=self.others[name])
        raise UnknownAction(name, ())


async def looked_at(trouble: Incident, seen: Inventory, read: ReadAction) -> IncidentContext:
    found = await gather_evidence(trouble, seen, read)
    return context_of(replace(trouble, gathered=tuple(found)), seen)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What the rules make of a scene."""

    verdict: RuleDiagnosis
    context: IncidentContext
    actions: tuple[tuple[str, object], ...]
    """(action, container) of the chosen solution; empty: no machine should act."""


async def judge(
    books: Runbooks,
    catalog: Catalog,
    trouble: Incident,
    *containers: Container,
    logs: dict[str, list[str]] | None = None,
    memory_free_mb: int | None = 8000,
) -> Judged:
    refs = {f"local/granada-{service}-1": lines for service, lines in (logs or {}).items()}
    read = Answers(logs=refs)
    context = await looked_at(trouble, inventory(*containers, memory_free_mb=memory_free_mb), read)
    verdict = diagnose_by_rules(books, context)
    if verdict.runbook is None or verdict.diagnosis is None:
        return Judged(verdict=verdict, context=context, actions=())
    context = context.with_gathered(await gather_for_runbook(verdict.runbook, context, read))
    choice = choose_solution(verdict.runbook, context, verdict.diagnosis.confidence, set(), catalog)
    steps = choice.solution.steps if isinstance(choice, ChosenSolution) else ()
    return Judged(
        verdict=verdict, context=context, actions=tuple((step.action, step.params["container"]) for step in steps)
    )


def alert_of(trouble: Incident) -> Alert:
    return trouble.alerts[0]


__all__ = ["AlertKind", "Answers", "alert_of", "api", "container", "db", "incident", "judge", "looked_at", "unhealthy"]
