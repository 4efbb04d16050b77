"""What is gathered about a stack that a platform manages: what is asked, what it costs, what it means."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import JsonValue

from agent.incident.evidence.gather import gather_evidence
from agent.incident.evidence.incident_context import IncidentContext, context_of
from agent.incident.evidence.known_evidence import KNOWN_VALUES, known_evidence
from core.actions.catalog import JsonObject, Result
from core.deployments.platform import DeployStatus, ManagedKind, ManagedResource
from core.incidents.alert_kinds import AlertKind
from core.incidents.incident import Incident
from core.monitoring.inventory import Container, ContainerState, Inventory
from core.text import text
from tests.agent.rules.fakes import NOW, incident, inventory
from tests.agent.rules.platform_scenes import GRANADA, WEB, deployed, deployment, of_domain, of_stack, row
from tests.agent.rules.scenes import Answers, api, container, db

TYPES: dict[str, type | tuple[type, ...]] = {"bool": bool, "int": int, "float": (int, float), "str": str, "list": list}
LOOP: dict[str, Any] = {"exit_code": 1, "oom_killed": False}
EVERYTHING: dict[str, JsonObject] = {
    "dokploy.compose.versions": {"versions": [row(8, "unknown"), row(7, "good", ended_min=300)]},
    "dokploy.compose.deployments": {"deployments": [deployed()]},
    "dokploy.compose.deployment_log": {"error": "mount", "error_line": "invalid mount config"},
    "dokploy.compose.unset_variables": {"unset_variables": ["TOKEN"]},
    "dokploy.compose.show": {"source": "raw", "services": [{"service": "api", "memory_limit_in": "deploy"}]},
}


def seen(*containers: Container, managed: ManagedResource = GRANADA) -> Inventory:
    return replace(inventory(*containers), managed=(managed,))


async def facts(trouble: Incident, around: Inventory, read: Answers | None = None) -> IncidentContext:
    found = await gather_evidence(trouble, around, read or Answers(others=EVERYTHING))
    return context_of(replace(trouble, gathered=tuple(found)), around)


def asked(read: Answers) -> set[str]:
    return {name.removeprefix("dokploy.compose.") for name, _ in read.asked if name.startswith("dokploy.")}


@pytest.mark.parametrize(
    "trouble",
    [
        incident(AlertKind.CRASH_LOOP, **LOOP),
        incident(oom_killed=True, exit_code=137),
        of_stack(AlertKind.DEPLOY_FAILED),
        of_stack(AlertKind.DEPLOY_CRASHED),
        of_domain(domain_problem="bad_gateway"),
    ],
    ids=lambda trouble: str(trouble.kind),
)
async def test_every_fact_is_on_the_list_and_of_its_type(trouble: Incident) -> None:
    managed = replace(GRANADA, domains=(WEB,), deployments=(deployment(), deployment(300, id="old")))
    around = seen(api(created_at=NOW, image="shop/api:8", ports=("8000/tcp",)), db(), managed=managed)
    context = await facts(trouble, around)
    names = known_evidence()
    for item in context.evidence:
        assert item.name in names, item
        assert isinstance(item.value, TYPES[names[item.name].type]), item
        words = KNOWN_VALUES.get(f"evidence.{item.name}")
        values = item.value if isinstance(item.value, list) else [item.value]
        assert words is None or words.issuperset(str(value) for value in values), item


@pytest.mark.parametrize(
    ("trouble", "ended_min", "wanted"),
    [
        (incident(AlertKind.CRASH_LOOP, **LOOP), 4, {"versions", "deployments", "unset_variables"}),
        (incident(AlertKind.CRASH_LOOP, **LOOP), 600, {"versions", "deployments"}),
        (incident(oom_killed=True), 600, {"versions", "deployments", "show"}),
        (incident(AlertKind.MEMORY_NEAR_LIMIT), 600, {"versions", "deployments", "show"}),
        (of_stack(AlertKind.DEPLOY_FAILED), 0, {"versions", "deployments", "deployment_log", "unset_variables"}),
        (incident(AlertKind.PAUSED), 600, {"versions", "deployments"}),
    ],
)
async def test_only_what_the_trouble_makes_worth_knowing_is_asked(
    trouble: Incident, ended_min: float, wanted: set[str]
) -> None:
    read = Answers(others=EVERYTHING)
    await facts(trouble, seen(api(), db(), managed=replace(GRANADA, deployments=(deployment(ended_min),))), read)
    assert asked(read) == wanted


async def test_what_is_no_compose_is_not_asked_about_files() -> None:
    database = replace(GRANADA, kind=ManagedKind.DATABASE, source="")
    read = Answers(others=EVERYTHING)
    context = await facts(incident(**LOOP), seen(api(), db(), managed=database), read)
    assert asked(read) == set()
    assert (context.fact("managed_by"), context.fact("file_source")) == ("dokploy", None)


async def test_a_platform_that_hangs_costs_its_own_time_and_is_said() -> None:
    async def read(name: str, params: dict[str, object]) -> Result:
        if name.startswith("dokploy."):
            await asyncio.Event().wait()
        return Result(message=text("read"), data={"lines": [{"text": "KeyError: 'A_KEY'"}]})

    started = time.perf_counter()
    found = await gather_evidence(incident(**LOOP), seen(api(), db()), read, limit_s=0.2)
    assert time.perf_counter() - started < 1.5
    named = {item.name: item.value for item in found}
    assert "versions of granada: no answer within 0.2 s" in str(named["missing"])
    assert named["missing_variable"] == "A_KEY"


async def test_the_deployment_is_the_one_before_the_trouble() -> None:
    later = deployment(-20, id="later", title="The repair")
    managed = replace(GRANADA, deployments=(later, deployment(6, commit="0123456789abcdef")))
    context = await facts(incident(**LOOP), seen(api(), db(), managed=managed))
    assert context.fact("deploy_title") == "Faster search"
    assert context.fact("deployed_min") == 6.0
    assert context.fact("deploy_commit") == "0123456789ab"


async def test_who_deployed_is_told_of_that_deployment_only() -> None:
    managed = replace(GRANADA, deployments=(deployment(id="new"),))
    others: dict[str, JsonObject] = {
        **EVERYTHING,
        "dokploy.compose.deployments": {"deployments": [deployed("other", "Linus"), deployed()]},
    }
    context = await facts(incident(**LOOP), seen(api(), db(), managed=managed), Answers(others=others))
    assert context.fact("deploy_by") == "Ada"


@pytest.mark.parametrize(
    ("versions", "by", "good", "changed"),
    [
        ([row(8, "good"), row(7, "good", ended_min=300)], "Ada", 7, ["image"]),
        ([row(8, "bad"), row(7, "bad"), row(6, "good")], "Ada", 6, ["image"]),
        ([row(8, "good")], "Ada", None, None),
        ([row(8, "good", ended_min=300)], None, 8, None),
        ([row(8, "bad", images={}), row(7, "good", images={})], "Ada", 7, ["settings"]),
        ([row(8, "bad", images={}), row(7, "bad", images={}), row(6, "good", images={})], "Ada", 6, None),
        (
            [row(8, "bad", images={}, source="git", commit="b"), row(7, "good", images={}, source="git", commit="a")],
            "Ada",
            7,
            ["commit"],
        ),
        ([row(8, "bad", images={}, source="git"), row(7, "good", images={}, source="git")], "Ada", 7, None),
        ([], "Ada", None, None),
    ],
)
async def test_what_to_go_back_to_and_what_was_changed(
    versions: list[JsonValue], by: str | None, good: int | None, changed: list[str] | None
) -> None:
    others: dict[str, JsonObject] = {
        "dokploy.compose.versions": {"versions": versions},
        "dokploy.compose.deployments": {"deployments": [deployed(by=by)]},
    }
    managed = replace(GRANADA, deployments=(deployment(),))
    context = await facts(incident(**LOOP), seen(api(), db(), managed=managed), Answers(others=others))
    assert (context.fact("good_version"), context.fact("deploy_changed")) == (good, changed)


@pytest.mark.parametrize(
    ("image", "changed"),
    [
        ("shop/api:8", 5.0),
        ("shop/api:7", None),
        ("docker.io/shop/api:7", None),
        ("shop/api:7@sha256:" + "0" * 64, None),
    ],
)
async def test_another_image_is_told_by_its_name(image: str, changed: float | None) -> None:
    """Somebody deployed past us: only the container tells what runs."""
    others: dict[str, JsonObject] = {
        "dokploy.compose.versions": {"versions": [row(7, "good", ended_min=300)]},
        "dokploy.compose.deployments": {"deployments": [deployed(by=None)]},
    }
    one = api(image=image, created_at=NOW - timedelta(minutes=5))
    managed = replace(GRANADA, deployments=(deployment(),))
    context = await facts(incident(**LOOP), seen(one, db(), managed=managed), Answers(others=others))
    assert context.fact("image_changed_min") == changed


async def test_trouble_of_a_whole_stack_looks_into_its_worst_container() -> None:
    job = container("migrate", ContainerState.EXITED, exit_code=0)
    read = Answers(logs={"local/granada-db-1": ["FATAL: data directory has wrong ownership"]})
    around = seen(api(ContainerState.RUNNING), db(ContainerState.RESTARTING, exit_code=1), job)
    context = await facts(of_stack(AlertKind.DEPLOY_CRASHED), around, read)
    assert (context.fact("worst_service"), context.fact("worst_container")) == ("granada/db", "local/granada-db-1")
    assert "wrong ownership" in str(context.fact("error_line"))
    assert context.fact("affected") == ["granada/api"]
    assert (context.fact("containers_running"), context.fact("containers_total")) == (1, 2)


async def test_of_a_stack_that_is_well_no_container_is_accused() -> None:
    read = Answers(logs={"local/granada-api-1": ["ERROR of long ago"]})
    context = await facts(of_stack(AlertKind.DEPLOY_FAILED), seen(api(ContainerState.RUNNING), db()), read)
    assert context.fact("worst_service") is None
    assert context.fact("log_last") is None


async def test_a_failing_domain_looks_into_its_service() -> None:
    managed = replace(GRANADA, domains=(WEB,))
    read = Answers(logs={"local/granada-api-1": ["listening on 127.0.0.1:8000"]})
    around = seen(api(ContainerState.RUNNING, ports=("8000/tcp", "53/udp")), db(), managed=managed)
    context = await facts(of_domain(domain_problem="bad_gateway"), around, read)
    assert context.fact("log_last") == "listening on 127.0.0.1:8000"
    assert (context.fact("service_ports"), context.fact("service_port")) == ([8000], 8000)
    assert (context.fact("domain_id"), context.fact("domain_certificate")) == ("d1", "letsencrypt")
    assert context.fact("worst_service") is None


async def test_the_last_line_before_the_end_is_kept_apart_from_what_came_after() -> None:
    async def read(name: str, params: dict[str, object]) -> Result:
        lines: list[JsonValue] = [
            {"at": (NOW + timedelta(seconds=shift)).isoformat(), "text": said}
            for shift, said in ((-9, "ready"), (-1, "bulk insert of 90000 rows"), (2, "ready again"))
        ]
        return Result(message=text("read"), data={"lines": lines} if name == "docker.logs" else {})

    found = await gather_evidence(incident(oom_killed=True), inventory(api(), db()), read)
    named = {item.name: item.value for item in found}
    assert (named["log_before_end"], named["log_last"]) == ("bulk insert of 90000 rows", "ready again")


async def test_a_deployment_that_has_just_ended_is_told_as_asked_not_as_remembered() -> None:
    """The tree is gone through slowly: there it still runs when what it brought up has crashed already."""
    running = replace(deployment(0), status=DeployStatus.RUNNING, finished_at=None)
    around = seen(api(), db(), managed=replace(GRANADA, deployments=(running,)))
    fresh = {**deployed(ended_min=0), "status": "done", "finished_at": NOW.isoformat(), "title": "Faster search"}
    later = {**deployed("later", ended_min=-5), "status": "error"}
    deployments: JsonObject = {"deployments": [later, fresh]}
    answers = {**EVERYTHING, "dokploy.compose.deployments": deployments}
    found = await facts(incident(AlertKind.CRASH_LOOP, **LOOP), around, Answers(others=answers))
    assert found.lookup(("evidence", "deploy_status")) == "done"
    assert found.lookup(("evidence", "deployed_min")) == 0.0
