"""Runbooks about domains and the platform itself: what each recognises, leaves to others, and does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.runbooks.loader import Runbooks, load_runbooks
from core.actions.catalog import Catalog
from core.incidents.alert_kinds import AlertKind
from core.monitoring.inventory import ContainerState
from tests.agent.rules.fakes import incident
from tests.agent.rules.platform_scenes import (
    GRANADA,
    WEB,
    of_domain,
    of_stack,
    platform_catalog,
    tell,
)
from tests.agent.rules.scenes import api, db

STACK = "dokploy.compose."


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return platform_catalog()


@pytest.fixture(scope="module")
def books(catalog: Catalog) -> Runbooks:
    return load_runbooks(Path("runbooks"), None, catalog)


# -- domains -----------------------------------------------------------------------------------------------------------

SERVED = replace(GRANADA, domains=(WEB,))


@pytest.mark.parametrize(
    ("ports", "runbook", "actions"),
    [
        (("8000/tcp",), "domain_502_wrong_port", ["dokploy.domain.set_port", f"{STACK}redeploy"]),
        (("0.0.0.0:80->8000/tcp", "[::]:80->8000/tcp"), "domain_502_wrong_port", ["dokploy.domain.set_port"]),
        (("8000/tcp", "9000/tcp"), "domain_502_wrong_port", []),
        (("3000/tcp",), "domain_failing", []),
        ((), "domain_failing", []),
    ],
)
async def test_a_domain_that_leads_to_the_wrong_port(
    books: Runbooks, catalog: Catalog, ports: tuple[str, ...], runbook: str, actions: list[str]
) -> None:
    trouble = of_domain(domain_problem="bad_gateway", domain_http_status=502)
    told = await tell(books, catalog, trouble, api(ContainerState.RUNNING, ports=ports), db(), managed=SERVED)
    assert told.runbook == runbook
    assert told.actions[: len(actions)] == actions
    assert bool(told.actions) is bool(actions)
    if actions:
        assert told.plan is not None
        assert told.plan.steps[0].params == {"stack": "granada", "domain_id": "d1", "port": 8000}


async def test_a_crash_behind_a_failing_domain_is_the_cause(books: Runbooks, catalog: Catalog) -> None:
    trouble = of_domain(domain_problem="bad_gateway", domain_http_status=502)
    died = incident(exit_code=1, oom_killed=False, stopped_by_person=False, came_back=False).alerts[0]
    told = await tell(
        books, catalog, replace(trouble, alerts=(*trouble.alerts, died)), api(exit_code=1), db(), managed=SERVED
    )
    assert told.runbook == "exited_unexpectedly"


async def test_a_domain_without_a_route_is_brought_up_again(books: Runbooks, catalog: Catalog) -> None:
    trouble = of_domain(domain_problem="router", domain_http_status=404)
    told = await tell(books, catalog, trouble, api(ContainerState.RUNNING), db(), managed=SERVED)
    assert (told.runbook, told.actions) == ("domain_failing", [f"{STACK}redeploy"])
    down = await tell(books, catalog, trouble, api(ContainerState.EXITED, exit_code=1), db(), managed=SERVED)
    assert down.actions == []


@pytest.mark.parametrize(
    ("problem", "part"),
    [("dns", "DNS records"), ("unreachable", "firewall"), ("http_error", "HTTP status 500")],
)
async def test_what_fails_of_a_domain_is_said(books: Runbooks, catalog: Catalog, problem: str, part: str) -> None:
    trouble = of_domain(domain_problem=problem, domain_http_status=500 if problem == "http_error" else None)
    told = await tell(books, catalog, trouble, api(ContainerState.RUNNING), db(), managed=SERVED)
    assert told.runbook == "domain_failing"
    assert part in told.says()
    assert told.actions == []


@pytest.mark.parametrize(
    ("certificate", "days", "part", "actions"),
    [
        ("letsencrypt", -3.0, "renewal has failed", []),
        ("letsencrypt", 5.0, "expires in 5 days", []),
        ("letsencrypt", None, "hasn't issued one", [f"{STACK}redeploy"]),
        ("letsencrypt", 364.0, "hasn't issued one", [f"{STACK}redeploy"]),
        ("custom", -3.0, "your own certificate", []),
    ],
)
async def test_a_certificate_that_is_not_accepted(
    books: Runbooks, catalog: Catalog, certificate: str, days: float | None, part: str, actions: list[str]
) -> None:
    managed = replace(GRANADA, domains=(replace(WEB, certificate=certificate),))
    trouble = of_domain(domain_problem="certificate", **({} if days is None else {"certificate_days": days}))
    told = await tell(books, catalog, trouble, api(ContainerState.RUNNING), db(), managed=managed)
    assert (told.runbook, told.actions) == ("certificate_expired", actions)
    assert part in told.says()


# -- the platform ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "facts", "runbook", "part"),
    [
        (
            AlertKind.DEPLOY_STUCK,
            {"deploy_running_min": 31.0, "queue_waiting": 2},
            "deploy_stuck",
            "running for 31 minutes",
        ),
        (AlertKind.QUEUE_BLOCKED, {"queue_waiting": 3}, "queue_blocked", "waiting: 3"),
        (AlertKind.BACKUP_FAILED, {"backup_name": "granada-db"}, "backup_failed", "backup of granada-db failed"),
        (
            AlertKind.PLATFORM_UNREACHABLE,
            {"platform_problem": "no answer"},
            "dokploy_unreachable",
            "until it responds again",
        ),
    ],
)
async def test_trouble_only_people_can_fix_is_explained(
    books: Runbooks, catalog: Catalog, kind: AlertKind, facts: dict[str, Any], runbook: str, part: str
) -> None:
    told = await tell(books, catalog, of_stack(kind, **facts), api(ContainerState.RUNNING), db())
    assert (told.runbook, told.actions) == (runbook, [])
    assert part in told.says()


@pytest.mark.parametrize(("status", "actions"), [("done", [f"{STACK}redeploy"]), ("idle", [])])
async def test_a_status_that_contradicts_the_containers(
    books: Runbooks, catalog: Catalog, status: str, actions: list[str]
) -> None:
    state = ContainerState.EXITED if status == "done" else ContainerState.RUNNING
    told = await tell(
        books,
        catalog,
        of_stack(AlertKind.STATUS_CONTRADICTS, platform_status=status),
        api(state, exit_code=137),
        managed=replace(GRANADA, status=status),
    )
    assert (told.runbook, told.actions) == ("status_contradicts", actions)
