"""What a platform says of a whole stack, and what its containers show: one trouble, one incident."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert, Evidence, Severity
from core.incidents.incident import IncidentState
from core.text import text
from tests.core.scripted_watcher import at
from tests.core.test_tracker import TrackerWorld, alert


def whole(kind: AlertKind, when_s: float = 0, **more: Any) -> Alert:
    """An alert about the stack `shop` as a whole."""
    facts = {name: more.pop(name) for name in ("deploy_error",) if name in more}
    given = {
        "kind": kind,
        "severity": Severity.WARNING,
        "host": "local",
        "stack": "shop",
        "at": at(when_s),
        "message": text(f"alert.{kind}"),
        "evidence": tuple(Evidence(name=name, value=value, at=at(0), source="test") for name, value in facts.items()),
    }
    return Alert(**{**given, **more})


WHOLE = [AlertKind.DEPLOY_CRASHED, AlertKind.STATUS_CONTRADICTS, AlertKind.DOMAIN_FAILING]


@pytest.mark.parametrize("kind", WHOLE)
async def test_a_stacks_trouble_joins_that_of_its_container(kind: AlertKind) -> None:
    tracker = TrackerWorld()
    first = await tracker.raises(alert("api"))
    joined = await tracker.raises(whole(kind, 20))
    assert joined.id == first.id
    assert joined.target == "shop/api"
    assert [one.kind for one in joined.alerts] == ["container_died", kind]


@pytest.mark.parametrize("kind", [AlertKind.DEPLOY_CRASHED, AlertKind.STATUS_CONTRADICTS])
async def test_a_containers_trouble_joins_that_of_its_stack(kind: AlertKind) -> None:
    tracker = TrackerWorld()
    first = await tracker.raises(whole(kind))
    assert (await tracker.raises(alert("api", when_s=20))).id == first.id
    assert (await tracker.raises(alert("other", when_s=30))).id == first.id


async def test_a_failing_domain_does_not_take_in_what_its_containers_show_later() -> None:
    tracker = TrackerWorld()
    first = await tracker.raises(whole(AlertKind.DOMAIN_FAILING))
    assert (await tracker.raises(alert("api", when_s=20))).id != first.id


async def test_one_deploy_is_one_incident_however_many_containers_it_broke() -> None:
    tracker = TrackerWorld()
    first = await tracker.raises(alert("api"))
    second = await tracker.raises(alert("other", when_s=1))
    assert second.id != first.id, "nothing ties them yet"
    joined = await tracker.raises(whole(AlertKind.DEPLOY_CRASHED, 8))
    third = await tracker.raises(alert("db", when_s=12))
    assert joined.id == third.id == first.id
    assert {one.service for one in third.alerts} == {"api", "other", "db", None}
    assert [one.id for one in tracker.tracker.open_ones()] == [first.id]


async def test_what_is_under_repair_is_not_taken_over() -> None:
    tracker = TrackerWorld()
    first = await tracker.raises(alert("api"))
    second = await tracker.raises(alert("other", when_s=1))
    await tracker.moves(second.id, IncidentState.ACTING)
    joined = await tracker.raises(whole(AlertKind.DEPLOY_CRASHED, 8))
    assert joined.id == first.id
    assert {one.id for one in tracker.tracker.open_ones()} == {first.id, second.id}


async def test_what_is_far_apart_in_time_stays_apart() -> None:
    tracker = TrackerWorld()
    first = await tracker.raises(alert("api"))
    late = await tracker.raises(whole(AlertKind.DEPLOY_CRASHED, 121))
    assert late.id != first.id
    again = TrackerWorld()
    before = await again.raises(whole(AlertKind.DEPLOY_CRASHED))
    assert (await again.raises(alert("api", when_s=121))).id != before.id


async def test_another_stack_and_another_host_stay_apart() -> None:
    tracker = TrackerWorld()
    first = await tracker.raises(alert("api"))
    assert (await tracker.raises(whole(AlertKind.DEPLOY_CRASHED, stack="blog"))).id != first.id
    assert (await tracker.raises(whole(AlertKind.DEPLOY_CRASHED, host="other"))).id != first.id


async def test_a_deployment_that_failed_for_a_container_belongs_to_it() -> None:
    for_api = whole(AlertKind.DEPLOY_FAILED, 5, deploy_error="unhealthy_dependency")
    for_image = whole(AlertKind.DEPLOY_FAILED, 5, deploy_error="image_not_found")
    tracker = TrackerWorld()
    first = await tracker.raises(alert("api"))
    assert (await tracker.raises(for_api)).id == first.id
    other = TrackerWorld()
    first = await other.raises(alert("api"))
    assert (await other.raises(for_image)).id != first.id
    later = TrackerWorld()
    first = await later.raises(for_api)
    assert (await later.raises(alert("api", when_s=9))).id == first.id


async def test_a_domain_of_a_known_service_joins_that_services_trouble() -> None:
    tracker = TrackerWorld()
    first = await tracker.raises(alert("api"))
    assert (await tracker.raises(whole(AlertKind.DOMAIN_FAILING, 600, service="api"))).id == first.id


@pytest.mark.parametrize("kind", [AlertKind.DEPLOY_FAILED, AlertKind.DEPLOY_STUCK])
async def test_a_failed_backup_is_a_trouble_of_its_own(kind: AlertKind) -> None:
    tracker = TrackerWorld()
    first = await tracker.raises(whole(kind))
    backup = await tracker.raises(whole(AlertKind.BACKUP_FAILED, 5))
    assert backup.id != first.id
    assert (await tracker.raises(whole(AlertKind.QUEUE_BLOCKED, 6))).id == first.id
    again = await tracker.raises(whole(AlertKind.BACKUP_FAILED, 90))
    assert again.id == backup.id


async def test_an_unreachable_platform_absorbs_no_other_incident() -> None:
    tracker = TrackerWorld()
    silent = replace(whole(AlertKind.PLATFORM_UNREACHABLE), stack=None, host="dokploy")
    first = await tracker.raises(silent)
    queue = replace(whole(AlertKind.QUEUE_BLOCKED, 3), stack=None, host="dokploy")
    assert (await tracker.raises(queue)).id != first.id


async def test_a_stack_incident_recovers_when_the_stack_and_its_containers_are_quiet() -> None:
    tracker = TrackerWorld()
    container, stack = alert("api"), whole(AlertKind.DEPLOY_CRASHED, 5)
    first = await tracker.raises(container)
    await tracker.raises(stack)
    await tracker.tracker.clear_alert(stack.fingerprint)
    assert [one.id for one in tracker.tracker.open_ones()] == [first.id]
    await tracker.tracker.clear_alert(container.fingerprint)
    assert not tracker.tracker.open_ones()
