"""Runbooks about deployments, domains and the platform: what each recognises, leaves to others, and does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from agent.runbooks.loader import Runbooks, load_runbooks
from core.actions.catalog import Catalog, JsonObject
from core.deployments.platform import DeployStatus, ManagedResource
from core.incidents.alert_kinds import AlertKind
from core.monitoring.inventory import ContainerState, Dependency, Health
from tests.agent.rules.fakes import NOW, incident
from tests.agent.rules.platform_scenes import (
    GRANADA,
    deployed,
    deployment,
    of_stack,
    platform_catalog,
    row,
    tell,
)
from tests.agent.rules.scenes import api, container, db

STACK = "dokploy.compose."
OOM: dict[str, Any] = {
    "oom_killed": True,
    "exit_code": 137,
    "memory_limit_mb": 2048,
    "memory_peak_mb": 2048,
    "memory_shape": "peak",
    "stopped_by_person": False,
    "came_back": False,
}
IN_FILE: dict[str, JsonObject] = {"show": {"services": [{"service": "api", "memory_limit_in": "mem_limit"}]}}
LOOP: dict[str, Any] = {"exit_code": 1, "oom_killed": False, "stopped_by_person": False, "restarts_in_window": 4}
TRACE = ["Traceback (most recent call last):", '  File "/srv/a.py", line 1, in <module>', "ValueError: bad index"]


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return platform_catalog()


@pytest.fixture(scope="module")
def books(catalog: Catalog) -> Runbooks:
    return load_runbooks(Path("runbooks"), None, catalog)


# -- memory ------------------------------------------------------------------------------------------------------------


async def test_a_kill_for_memory_raises_the_limit_in_the_file_and_redeploys(books: Runbooks, catalog: Catalog) -> None:
    """Story 1: the cause, the bulk insert, the victims, and a plan that lasts."""
    celery = container("celery", depends_on=(Dependency(service="api"),))
    front = container("frontend", depends_on=(Dependency(service="api"),))
    told = await tell(
        books,
        catalog,
        incident(**OOM),
        api(),
        db(),
        celery,
        front,
        answers=IN_FILE,
        logs={"api": ["bulk insert 90000"]},
    )
    assert told.runbook == "container_oom"
    assert told.actions == [f"{STACK}set_memory_limit", f"{STACK}redeploy"]
    assert told.plan is not None
    assert told.plan.steps[0].params == {"stack": "granada", "service": "api", "factor": 2}
    assert told.plan.steps[1].needs == ("limit",)
    assert told.plan.steps[1].wait_for_completion
    assert set(told.plan.verify.containers) == {"local/granada-api-1", "granada/celery", "granada/frontend"}
    assert "not to a leak" in told.says()
    assert "bulk insert 90000" in told.says()
    assert told.verdict.diagnosis is not None
    assert told.verdict.diagnosis.affected == ("granada/celery", "granada/frontend")


@pytest.mark.parametrize(
    ("change", "source", "place", "free_mb", "first"),
    [
        ({}, "raw", "deploy", 8000, f"{STACK}set_memory_limit"),
        ({"memory_shape": "unknown"}, "raw", "mem_limit", 8000, f"{STACK}set_memory_limit"),
        ({"came_back": True}, "raw", "mem_limit", 3000, f"{STACK}set_memory_limit"),
        ({}, "raw", "mem_limit", 3000, "docker.restart"),
        ({"memory_shape": "ramp"}, "raw", "mem_limit", 8000, "docker.restart"),
        ({}, "github", "mem_limit", 8000, "docker.update_memory"),
        ({}, "raw", "variable", 8000, "docker.update_memory"),
        ({}, "raw", "none", 8000, "docker.update_memory"),
    ],
)
async def test_the_file_is_changed_only_where_that_can_help(
    books: Runbooks,
    catalog: Catalog,
    change: dict[str, Any],
    source: str,
    place: str,
    free_mb: int,
    first: str,
) -> None:
    answers: dict[str, JsonObject] = {"show": {"services": [{"service": "api", "memory_limit_in": place}]}}
    told = await tell(
        books,
        catalog,
        incident(**{**OOM, **change}),
        api(),
        db(),
        managed=replace(GRANADA, source=source),
        answers=answers,
        memory_free_mb=free_mb,
    )
    assert told.runbook == "container_oom"
    assert told.actions[0] == first
    assert ("raise the limit there too" in told.says()) is (source != "raw")


@pytest.mark.parametrize("kind", [AlertKind.CHILD_OOM, AlertKind.MEMORY_NEAR_LIMIT])
@pytest.mark.parametrize(("source", "first"), [("raw", f"{STACK}set_memory_limit"), ("git", "docker.update_memory")])
async def test_what_still_runs_gets_its_memory_without_a_restart_and_for_good(
    books: Runbooks, catalog: Catalog, kind: AlertKind, source: str, first: str
) -> None:
    facts: dict[str, Any] = {"memory_limit_mb": 512, "memory_pct": 96.0, "memory_shape": "peak", "child_oom_kills": 1}
    managed = replace(GRANADA, source=source)
    told = await tell(
        books, catalog, incident(kind, **facts), api(ContainerState.RUNNING), db(), managed=managed, answers=IN_FILE
    )
    assert (told.actions[0], told.actions[-1]) == (first, "docker.update_memory")
    assert f"{STACK}redeploy" not in told.actions


async def test_a_plain_project_keeps_to_docker(books: Runbooks, catalog: Catalog) -> None:
    told = await tell(books, catalog, incident(**OOM), api(), db(), managed=None)
    assert told.actions == ["docker.update_memory", "docker.restart"]
    assert not [name for name in told.asked if name.startswith("dokploy.")]


async def test_a_platform_that_does_not_answer_costs_nothing_but_a_note(books: Runbooks, catalog: Catalog) -> None:
    """Its actions are not even installed here: the old way is taken."""
    told = await tell(books, catalog, incident(**OOM), api(), db())
    assert told.actions == ["docker.update_memory", "docker.restart"]


# -- deployments -------------------------------------------------------------------------------------------------------

BAD_IMAGE: dict[str, JsonObject] = {
    "deployment_log": {"error": "image_not_found", "error_line": "manifest for shop/api:9 not found"},
    "deployments": {"deployments": [deployed()]},
    "versions": {"versions": [row(8, "unknown"), row(7, "good", ended_min=300)]},
}


async def test_a_failed_deployment_says_its_true_error_and_leaves_what_runs(books: Runbooks, catalog: Catalog) -> None:
    managed = replace(GRANADA, deployments=(deployment(0, DeployStatus.ERROR),))
    trouble = of_stack(AlertKind.DEPLOY_FAILED, deploy_status="error")
    told = await tell(books, catalog, trouble, api(ContainerState.RUNNING), db(), managed=managed, answers=BAD_IMAGE)
    assert told.runbook == "deploy_failed"
    assert "manifest for shop/api:9 not found" in told.says()
    assert "before any container is replaced" in told.says()
    assert "All 2 containers" in told.says()
    assert "Lo lanzó Ada" in told.says("es")
    assert told.plan is None
    assert told.verdict.diagnosis is not None
    assert told.verdict.diagnosis.culprit == "granada"


async def test_a_failed_deployment_that_took_containers_down_is_rolled_back(books: Runbooks, catalog: Catalog) -> None:
    managed = replace(GRANADA, deployments=(deployment(0, DeployStatus.ERROR),))
    answers: dict[str, JsonObject] = {
        **BAD_IMAGE,
        "deployment_log": {"error": "mount", "error_line": "invalid mount config"},
    }
    told = await tell(
        books,
        catalog,
        of_stack(AlertKind.DEPLOY_FAILED),
        api(ContainerState.CREATED, error="invalid mount config"),
        db(),
        managed=managed,
        answers=answers,
    )
    assert told.actions == [f"{STACK}rollback"]
    assert told.plan is not None
    assert told.plan.steps[0].params["version"] == 7
    assert "1 of the stack's 2 containers are running" in told.says()


@pytest.mark.parametrize(
    ("line", "actions"),
    [
        ("dial tcp: lookup registry-1.docker.io: i/o timeout", [f"{STACK}deploy"]),
        ("network web declared as external, but could not be found", []),
    ],
)
async def test_only_a_passing_fault_of_the_network_is_tried_again(
    books: Runbooks, catalog: Catalog, line: str, actions: list[str]
) -> None:
    managed = replace(GRANADA, deployments=(deployment(0, DeployStatus.ERROR),))
    answers: dict[str, JsonObject] = {**BAD_IMAGE, "deployment_log": {"error": "network", "error_line": line}}
    told = await tell(
        books,
        catalog,
        of_stack(AlertKind.DEPLOY_FAILED),
        api(ContainerState.RUNNING),
        db(),
        managed=managed,
        answers=answers,
    )
    assert (told.runbook, told.actions) == ("deploy_failed", actions)


REGRESSION: dict[str, JsonObject] = {
    "deployments": {"deployments": [deployed()]},
    "versions": {"versions": [row(8, "unknown"), row(7, "good", ended_min=300)]},
}
DEPLOYED = replace(GRANADA, deployments=(deployment(4), deployment(300, id="old")))


async def test_a_crash_after_a_deployment_goes_back_to_what_held(books: Runbooks, catalog: Catalog) -> None:
    told = await tell(
        books,
        catalog,
        incident(AlertKind.CRASH_LOOP, **LOOP),
        api(ContainerState.RESTARTING),
        db(),
        managed=DEPLOYED,
        answers=REGRESSION,
        logs={"api": TRACE},
    )
    assert told.runbook == "bad_deploy_regression"
    assert told.plan is not None
    assert told.actions == [f"{STACK}rollback"]
    assert told.plan.steps[0].params["version"] == 7
    assert "“Faster search”" in told.says()
    assert "finished 4 minutes earlier" in told.says()
    assert "ValueError: bad index" in told.says()
    assert "It changed images" in told.says()
    assert "Ada started it" in told.says()


@pytest.mark.parametrize(
    ("what", "runbook"),
    [
        ("long ago", "crash_loop"),
        ("nothing changed", "crash_loop"),
        ("no good version", "crash_loop"),
        ("deployed past us", "crash_loop"),
        ("was there before", "crash_loop"),
        ("a dependency is down", "crash_loop"),
        ("memory", "container_oom"),
        ("plain project", "crash_loop"),
        ("later than the trouble", "crash_loop"),
    ],
)
async def test_other_crashes_are_not_blamed_on_it(books: Runbooks, catalog: Catalog, what: str, runbook: str) -> None:
    managed: ManagedResource | None = DEPLOYED
    answers = dict(REGRESSION)
    facts = dict(LOOP)
    below = db()
    if what == "long ago":
        managed = replace(GRANADA, deployments=(deployment(45),))
    elif what == "nothing changed":
        same: dict[str, Any] = {"images": {"api": "api:1"}}
        answers["versions"] = {"versions": [row(8, "unknown", source="github", **same), row(7, "good", **same)]}
    elif what == "no good version":
        answers["versions"] = {"versions": [row(8, "good"), row(7, "bad")]}
    elif what == "deployed past us":
        answers["deployments"] = {"deployments": [deployed(by=None)]}
        answers["versions"] = {"versions": [row(7, "good", ended_min=300, images={"api": "api:1"})]}
    elif what == "was there before":
        older: JsonObject = {"kind": "crash_loop", "opened_at": (NOW - timedelta(days=1)).isoformat()}
        answers["history.incidents"] = {"incidents": [older]}
    elif what == "a dependency is down":
        below = db(ContainerState.EXITED, exit_code=1)
    elif what == "memory":
        facts = {**OOM, "memory_shape": "peak"}
    elif what == "plain project":
        managed = None
    elif what == "later than the trouble":
        managed = replace(GRANADA, deployments=(deployment(-10),))
    told = await tell(
        books,
        catalog,
        incident(AlertKind.CRASH_LOOP, **facts),
        api(ContainerState.RESTARTING),
        below,
        managed=managed,
        answers=answers,
        logs={"api": TRACE},
    )
    assert told.runbook == runbook
    assert f"{STACK}rollback" not in told.actions


async def test_a_crash_that_its_policy_hides_for_a_moment_counts_too(books: Runbooks, catalog: Catalog) -> None:
    """The first crash of a loop is seen as one that came back."""
    told = await tell(
        books,
        catalog,
        incident(exit_code=1, oom_killed=False, stopped_by_person=False, came_back=True),
        api(ContainerState.RUNNING),
        db(),
        managed=DEPLOYED,
        answers=REGRESSION,
        logs={"api": TRACE},
    )
    assert (told.runbook, told.actions) == ("bad_deploy_regression", [f"{STACK}rollback"])


async def test_a_migration_leaves_the_way_back_to_a_person(books: Runbooks, catalog: Catalog) -> None:
    lines = ["INFO [alembic.runtime.migration] Running upgrade 1a2b -> 3c4d, add column", *TRACE]
    told = await tell(
        books,
        catalog,
        incident(AlertKind.CRASH_LOOP, **LOOP),
        api(ContainerState.RESTARTING),
        db(),
        managed=DEPLOYED,
        answers=REGRESSION,
        logs={"api": lines},
    )
    assert told.runbook == "bad_deploy_regression"
    assert told.plan is None
    assert "migration" in told.says()
    assert "migración" in told.says("es")


async def test_a_stack_that_crashed_after_done_is_rolled_back_too(books: Runbooks, catalog: Catalog) -> None:
    """The alert is the stack's own: the log of its worst container tells why."""
    told = await tell(
        books,
        catalog,
        of_stack(AlertKind.DEPLOY_CRASHED, containers_running=1, containers_total=2),
        api(ContainerState.RESTARTING),
        db(),
        managed=DEPLOYED,
        answers=REGRESSION,
        logs={"api": TRACE},
    )
    assert told.runbook == "bad_deploy_regression"
    assert told.context.fact("worst_service") == "granada/api"
    assert told.actions == [f"{STACK}rollback"]
    assert "ValueError: bad index" in told.says()


async def test_without_a_version_to_go_back_to_it_only_explains(books: Runbooks, catalog: Catalog) -> None:
    told = await tell(
        books,
        catalog,
        of_stack(AlertKind.DEPLOY_CRASHED),
        api(ContainerState.RESTARTING),
        db(),
        managed=DEPLOYED,
        logs={"api": TRACE},
    )
    assert told.runbook == "deploy_crashed"
    assert told.plan is None
    assert "granada/api is in the worst state" in told.says()
    assert "nothing to roll back to" in told.says()


# -- variables ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("removed", "unset", "runbook", "actions"),
    [
        (True, False, "env_missing_after_deploy", [f"{STACK}rollback"]),
        (False, True, "env_missing_after_deploy", []),
        (False, False, "bad_deploy_regression", [f"{STACK}rollback"]),
    ],
)
async def test_a_variable_that_went_missing_is_named(
    books: Runbooks, catalog: Catalog, removed: bool, unset: bool, runbook: str, actions: list[str]
) -> None:
    keys: list[JsonValue] = ["TOKEN"] if removed else ["DATABASE_URL", "TOKEN"]
    new = row(8, "unknown", environment_keys=keys)
    answers: dict[str, JsonObject] = {**REGRESSION, "versions": {"versions": [new, row(7, "good", ended_min=300)]}}
    if unset:
        answers["unset_variables"] = {"unset_variables": ["DATABASE_URL"]}
    told = await tell(
        books,
        catalog,
        incident(AlertKind.CRASH_LOOP, **LOOP),
        api(ContainerState.RESTARTING),
        db(),
        managed=DEPLOYED,
        answers=answers,
        logs={"api": ["KeyError: 'DATABASE_URL'"]},
    )
    assert (told.runbook, told.actions) == (runbook, actions)
    assert "DATABASE_URL" in told.says()


async def test_a_missing_variable_of_a_plain_project_stays_its_own(books: Runbooks, catalog: Catalog) -> None:
    trouble = incident(AlertKind.CRASH_LOOP, **LOOP)
    lines = {"api": ["KeyError: 'DATABASE_URL'"]}
    told = await tell(books, catalog, trouble, api(ContainerState.RESTARTING), db(), managed=None, logs=lines)
    assert told.runbook == "missing_variable"


async def test_an_unhealthy_service_after_a_deployment_is_a_regression(books: Runbooks, catalog: Catalog) -> None:
    sick = api(ContainerState.RUNNING, health=Health.UNHEALTHY, failing_streak=3)
    trouble = incident(AlertKind.UNHEALTHY, failing_streak=3)
    told = await tell(books, catalog, trouble, sick, db(), managed=DEPLOYED, answers=REGRESSION)
    assert told.runbook == "bad_deploy_regression"
