"""The first runbooks over what a real engine really says: its inspect, its logs, its probes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from docker.errors import APIError
from pydantic import JsonValue

from agent.incident.evidence.gather import gather_evidence
from agent.incident.evidence.incident_context import IncidentContext, context_of
from agent.runbooks.loader import Runbooks, load_runbooks
from agent.runbooks.rules import RuleDiagnosis, diagnose_by_rules
from core.actions.catalog import Catalog, Result
from core.incidents.alert_kinds import AlertKind
from core.monitoring.inventory import Container, ContainerState, Health, Host, Inventory
from core.settings import EngineSettings
from integrations.docker_engine.actions.container_actions import ContainerToolset
from integrations.docker_engine.client.real_engine import RealEngine
from tests.agent.rules.fakes import incident, small_catalog
from tests.testbed.stack import Probe, Stack

LIMIT_S = 30.0


class Scene:
    """One stack on the engine, and what the rules make of it."""

    def __init__(self, engine: RealEngine, stack: Stack, books: Runbooks) -> None:
        self.engine = engine
        self.stack = stack
        self.books = books
        self.catalog = Catalog([ContainerToolset({"local": engine}, str)])

    async def until(self, service: str, holds: Callable[[Container], bool]) -> Container:
        async with asyncio.timeout(LIMIT_S):
            while True:
                found = await self.engine.containers(only=[f"{self.stack.project}-{service}-1"])
                if found and holds(found[0]):
                    return found[0]
                await asyncio.sleep(0.05)

    async def read(self, name: str, params: dict[str, object]) -> Result:
        action = self.catalog.get(name)
        return await action.run(action.parse(params))

    async def judge(self, kind: AlertKind, one: Container, **facts: JsonValue) -> tuple[RuleDiagnosis, IncidentContext]:
        seen = Inventory(hosts=(Host(name="local"),), containers=tuple(await self.engine.containers()))
        trouble = incident(kind, stack=self.stack.project, service=one.service, **facts)
        at = one.finished_at or one.started_at or trouble.occurred_at
        trouble = replace(trouble, occurred_at=at, updated_at=at)
        found = await gather_evidence(trouble, seen, self.read)
        context = context_of(replace(trouble, gathered=tuple(found)), seen)
        return diagnose_by_rules(self.books, context), context


@pytest.fixture
async def scene(docker_host: str, stack: Stack) -> AsyncIterator[Scene]:
    engine = RealEngine("local", EngineSettings(url=docker_host))
    yield Scene(engine, stack, load_runbooks(Path("runbooks"), None, small_catalog()))
    await engine.close()


def died(one: Container) -> bool:
    return one.state is ContainerState.EXITED


async def test_a_stopped_dependency_is_found_behind_its_lost_name(scene: Scene) -> None:
    scene.stack.service("db", "stubborn.py").kill()
    await scene.until("db", died)
    scene.stack.service("client", "client.py", env={"EXIT_AFTER": "1", "INTERVAL_S": "0.1"})
    one = await scene.until("client", died)
    facts: dict[str, JsonValue] = {"exit_code": one.exit_code, "oom_killed": False, "stopped_by_person": False}
    verdict, context = await scene.judge(AlertKind.CONTAINER_DIED, one, **facts)
    assert verdict.diagnosis is not None
    assert (verdict.diagnosis.runbook, verdict.why_ask) == ("dependency_stopped_dns", None)
    assert verdict.diagnosis.culprit == f"{scene.stack.project}/db"
    assert context.fact("dependency_container") == f"local/{scene.stack.project}-db-1"


async def test_a_missing_variable_is_read_out_of_the_log(scene: Scene) -> None:
    scene.stack.service("api", "crash.py")
    one = await scene.until("api", died)
    facts: dict[str, JsonValue] = {"exit_code": one.exit_code, "oom_killed": False, "stopped_by_person": False}
    verdict, context = await scene.judge(AlertKind.CONTAINER_DIED, one, **facts)
    assert verdict.runbook is not None
    assert verdict.runbook.id == "missing_variable"
    assert context.fact("missing_variable") == "DATABASE_URL"
    assert context.fact("error_line") == "KeyError: 'DATABASE_URL'"


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("curl -fsS http://127.0.0.1:9999/health", "refused"),
        (["nosuchprobe", "--now"], "tool_missing"),
        ("nosuchprobe --now", "tool_missing"),
    ],
)
async def test_a_broken_probe_is_told_from_a_sick_service(scene: Scene, command: str | list[str], problem: str) -> None:
    scene.stack.service("api", healthcheck=Probe(command=command))
    one = await scene.until("api", lambda seen: seen.health is Health.UNHEALTHY)
    verdict, context = await scene.judge(AlertKind.UNHEALTHY, one, failing_streak=one.failing_streak)
    assert context.fact("health_problem") == problem
    assert verdict.runbook is not None
    assert verdict.runbook.id == "healthcheck_broken"


@pytest.mark.parametrize(("command", "problem"), [(["/nosuch"], "not_found"), (["/etc/hostname"], "not_executable")])
async def test_what_cannot_start_says_why(scene: Scene, command: list[str], problem: str) -> None:
    with suppress(APIError):
        scene.stack.service("api", command)
    one = await scene.until("api", lambda seen: bool(seen.error))
    facts: dict[str, JsonValue] = {"exit_code": one.exit_code, "state_error": one.error}
    verdict, context = await scene.judge(AlertKind.CANNOT_START, one, **facts)
    assert context.fact("start_problem") == problem
    assert verdict.runbook is not None
    assert verdict.runbook.id == "cannot_start"
