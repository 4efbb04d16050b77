"""Gathering: what it asks, what it survives, and that what could not be found out is said."""

import asyncio
import json
import time
from datetime import timedelta
from pathlib import Path

import pytest

from agent.incident.evidence.findings import bounded_value
from agent.incident.evidence.gather import gather_evidence, gather_for_runbook
from agent.incident.evidence.incident_context import IncidentContext, context_of
from agent.incident.evidence.known_evidence import known_evidence
from agent.runbooks.loader import load_runbooks
from agent.runbooks.runbook import Runbook
from core.actions.catalog import Outcome, Result
from core.errors import InvalidParams, Refused, TimeLimitExceeded
from core.monitoring.inventory import ContainerState, Dependency
from core.text import text
from tests.agent.rules.fakes import incident, inventory, small_catalog
from tests.agent.rules.scenes import Answers, api, container, db, looked_at


def book(name: str) -> Runbook:
    found = load_runbooks(Path("runbooks"), None, small_catalog()).get(name)
    assert found is not None
    return found


async def test_it_asks_for_its_own_log_and_that_of_what_is_not_well() -> None:
    read = Answers(logs={"local/granada-api-1": ["x"], "local/granada-db-1": ["FATAL: out of memory"]})
    trouble = incident(exit_code=1)
    context = await looked_at(trouble, inventory(api(), db(ContainerState.EXITED, exit_code=1)), read)
    logs = [str(params["container"]) for name, params in read.asked if name == "docker.logs"]
    assert logs == ["local/granada-api-1", "local/granada-db-1"]
    assert context.fact("dependency") == "granada/db"
    assert context.fact("dependency_error_line") == "FATAL: out of memory"
    assert context.fact("dependencies") == ["granada/db"]
    assert context.fact("missing") is None


async def test_the_deepest_of_several_broken_ones_is_the_root() -> None:
    middle = container("queue", ContainerState.EXITED, depends_on=(Dependency(service="db"),))
    front = container("api", depends_on=(Dependency(service="queue"),))
    context = await looked_at(incident(exit_code=1), inventory(front, middle, db(ContainerState.EXITED)), Answers())
    assert context.fact("dependency") == "granada/db"
    assert context.fact("affected") == ["granada/queue", "granada/api"]


async def test_a_job_that_others_wait_for_may_have_ended_well() -> None:
    waits = Dependency(service="migrate", condition="service_completed_successfully")
    front = container("api", depends_on=(waits,))
    done = container("migrate", ContainerState.EXITED, exit_code=0)
    failed = container("migrate", ContainerState.EXITED, exit_code=1)
    well = await looked_at(incident(exit_code=1), inventory(front, done), Answers())
    ill = await looked_at(incident(exit_code=1), inventory(front, failed), Answers())
    assert (well.fact("dependency"), ill.fact("dependency")) == (None, "granada/migrate")


async def test_a_dependency_without_a_container_is_missing() -> None:
    context = await looked_at(incident(exit_code=1), inventory(api()), Answers())
    assert (context.fact("dependency"), context.fact("dependency_state")) == ("granada/db", "missing")


async def test_the_past_is_told() -> None:
    lessons = [
        {"cause": "memory_limit", "helped": True, "actions": ["docker.restart"]},
        {"cause": "memory_limit", "helped": False, "actions": ["docker.start"]},
    ]
    others = {"history.similar": {"lessons": lessons}, "history.stats": {"memory_shape": "ramp"}}
    read = Answers(others=others)  # type: ignore[arg-type]
    context = await looked_at(incident(exit_code=137, memory_shape="unknown"), inventory(api(), db()), read)
    assert context.fact("similar_count") == 2
    assert context.fact("similar_helped") == ["docker.restart"]
    assert context.fact("memory_shape") == "ramp"


async def test_an_engine_that_does_not_answer_is_evidence() -> None:
    context = await looked_at(incident(exit_code=1), inventory(api(), db()), Answers(is_down=True))
    missing = context.fact("missing")
    assert isinstance(missing, list)
    assert any("log of local/granada-api-1" in str(line) and "unavailable" in str(line) for line in missing)


@pytest.mark.parametrize(
    "fault",
    [
        InvalidParams("docker.logs", "no such parameter"),
        Refused("frozen"),
        TimeLimitExceeded("docker", "30 s"),
        OSError("gone"),
        ValueError("odd"),
    ],
)
async def test_a_failing_reader_does_not_stop_the_gathering(fault: Exception) -> None:
    async def read(name: str, params: dict[str, object]) -> Result:
        raise fault

    found = await gather_evidence(incident(exit_code=1), inventory(api()), read)
    assert any(item.name == "missing" for item in found)


async def test_a_failed_answer_is_named_by_its_problem() -> None:
    async def read(name: str, params: dict[str, object]) -> Result:
        return Result(outcome=Outcome.FAILED, message=text("docker.failed", problem="log driver 'none'"))

    found = await gather_evidence(incident(exit_code=1), inventory(api()), read)
    missing = next(item.value for item in found if item.name == "missing")
    assert "log driver 'none'" in str(missing)


async def test_a_reader_that_hangs_is_left_behind() -> None:
    async def read(name: str, params: dict[str, object]) -> Result:
        await asyncio.Event().wait()
        raise AssertionError

    started = time.perf_counter()
    trouble = incident(exit_code=1, memory_shape="unknown")
    found = await gather_evidence(trouble, inventory(api(), db(ContainerState.EXITED)), read, limit_s=0.2)
    assert time.perf_counter() - started < 2
    assert "no answer within" in str(next(item.value for item in found if item.name == "missing"))


async def test_what_is_gathered_is_small_and_named_in_the_list() -> None:
    flood = [f'ERROR could not translate host name "db" {"x" * 5_000}'] * 2_000
    read = Answers(logs={"local/granada-api-1": flood, "local/granada-db-1": flood})
    found = await gather_evidence(incident(exit_code=1), inventory(api(), db(ContainerState.EXITED, exit_code=0)), read)
    assert len(json.dumps([item.value for item in found])) < 20_000
    assert {item.name for item in found} <= set(known_evidence())


def test_big_values_are_cut() -> None:
    cut = bounded_value({"a": ["x" * 10_000] * 1_000, "b": "y" * 10_000})
    assert len(json.dumps(cut)) < 60_000


async def test_a_runbook_asks_its_own_questions() -> None:
    runbook = book("container_oom")
    read = Answers(others={"history.stats": {"memory_shape": "peak"}})
    results = await gather_for_runbook(runbook, context_of(incident(), inventory()), read)
    assert results == {"history": {"memory_shape": "peak"}}
    assert read.asked == [("history.stats", {"container": "local/granada-api-1", "window": "2h"})]
    failed = await gather_for_runbook(runbook, context_of(incident(), inventory()), Answers(is_down=True))
    assert "unavailable" in str(failed["history"]["missing"])


async def test_a_context_survives_storage() -> None:
    context = await looked_at(incident(exit_code=1, ratio=0.5), inventory(api(), db()), Answers())
    context = context.with_gathered({"history": {"memory": {"peak": 5}}})
    again = IncidentContext.from_json(json.loads(json.dumps(context.to_json())))
    assert again == context
    for path in (
        ("evidence", "exit_code"),
        ("incident", "target"),
        ("host", "memory_free_mb"),
        ("history", "memory", "peak"),
    ):
        assert again.lookup(path) == context.lookup(path)
        assert again.lookup(path) is not None
    assert again.lookup(("history", "memory", "peak", "deeper")) is None
    assert again.lookup(("nothing", "x")) is None


async def test_what_its_policy_brought_back_since_the_alert_is_back() -> None:
    """The alert is raised in the moment between the end and the restart; a plan must not interrupt what runs again."""
    trouble = incident(exit_code=137, came_back=False)
    later = trouble.occurred_at + timedelta(seconds=1)
    back = await looked_at(trouble, inventory(api(ContainerState.RUNNING, started_at=later)), Answers())
    down = await looked_at(trouble, inventory(api(ContainerState.EXITED)), Answers())
    assert (back.fact("came_back"), down.fact("came_back")) == (True, False)
