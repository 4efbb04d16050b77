"""Dokploy's troubles, each told from what looks like it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from core.deployments.platform import BackupState, DeployStatus, Domain, DomainState, ManagedResource
from core.incidents.alerts import Alert, Severity
from core.incidents.evidence import PLATFORM_NAMES
from core.monitoring.alert_state import AlertState
from core.monitoring.inventory import ContainerState, Health, Inventory, join
from core.monitoring.snapshot import PlatformView, Snapshot, View
from core.settings import WatchSettings
from core.text import LANGUAGES
from integrations.dokploy.detectors import DOKPLOY_DETECTORS
from knowledge.config.text_files import load_texts
from tests.core.scripted_watcher import HOST, at
from tests.integrations.dokploy.scenes import DOKPLOY, Scene, deployment, ended, kinds, managed, own, waiting

# -- failed ------------------------------------------------------------------------------------------------------------


def test_a_failed_deployment_shows_its_error_and_that_the_old_version_still_runs() -> None:
    failed = deployment(2, "error", 0, 5, error="image_not_found", error_line="manifest unknown", commit="a" * 40)
    (alert,) = Scene().shows(7, [managed("shop", failed, deployment(1, "done", -900), status="error")], [own()])
    assert (alert.kind, alert.severity, alert.host, alert.stack) == (
        "deploy_failed",
        Severity.WARNING,
        "local",
        "shop",
    )
    assert alert.message.values["line"] == "manifest unknown"
    assert alert.at == at(5)
    assert alert.facts() == {
        "deploy_status": "error",
        "deploy_title": "change 2",
        "deploy_commit": "a" * 12,
        "deployed_min": 0.0,
        "deploy_error": "image_not_found",
        "deploy_error_line": "manifest unknown",
        "platform_status": "error",
        "containers_running": 1,
        "containers_total": 1,
    }


def test_a_failed_first_deployment_is_worse() -> None:
    (alert,) = Scene().shows(7, [managed("shop", deployment(1, "error", 0, 5), status="error")])
    assert (alert.severity, alert.message.key) == (Severity.CRITICAL, "alert.deploy_failed.plain")


@pytest.mark.parametrize(
    ("deployments", "is_said"),
    [
        pytest.param([deployment(1, "error", -500, 5)], False, id="before the watch"),
        pytest.param([deployment(2, "done", 0, 5), deployment(1, "error", -20, 5)], False, id="mended since"),
        pytest.param([deployment(2, "running", 0, None), deployment(1, "error", -20, 5)], True, id="next one runs"),
        pytest.param([deployment(2, "cancelled", 0, None), deployment(1, "error", -20, 5)], False, id="cancelled"),
        pytest.param([deployment(1, "error", -5, None)], True, id="its end was not written"),
    ],
)
def test_only_the_newest_finished_deployment_counts(deployments: list[Any], is_said: bool) -> None:
    found = Scene(since_s=-60).shows(7, [managed("shop", *deployments, status="error")], [own()])
    assert ("deploy_failed" in kinds(found)) == is_said


def test_each_further_failure_is_reported_again() -> None:
    board = AlertState(DOKPLOY_DETECTORS, settle_s=30)
    first, second = deployment(1, "error", 0, 5), deployment(3, "error", 60, 5)
    moments = [(10, [first]), (20, [first]), (62, [deployment(3, "running", 60, None), first]), (70, [second, first])]
    told = [len(board.take(_view(now_s, managed("shop", *own_, status="error")))) for now_s, own_ in moments]
    assert told == [1, 0, 0, 1]
    (done,) = board.take(_view(120, managed("shop", deployment(4, "done", 100, 5), second)))
    assert done.is_over


def test_an_error_line_that_arrives_later_updates_the_alert() -> None:
    board = AlertState(DOKPLOY_DETECTORS, settle_s=30)
    board.take(_view(10, managed("shop", deployment(1, "error", 0, 5), status="error")))
    (change,) = board.take(
        _view(18, managed("shop", deployment(1, "error", 0, 5, error_line="no space left"), status="error"))
    )
    assert change.alert.message.key == "alert.deploy_failed.line"


def _view(now_s: float, *what: ManagedResource) -> View:
    now = Snapshot(at=at(now_s), host=DOKPLOY, platform=PlatformView(managed=what, since=at(-100)))
    around = join([now.inventory(), Inventory(hosts=(HOST,), containers=(own(),))])
    return View(now=now, before=None, inventory=around, settings=WatchSettings())


# -- crashed after done ------------------------------------------------------------------------------------------------

NEW: Any = {"created_at": at(5), "started_at": at(6)}
DONE = deployment(1, "done", 0, 10)


@pytest.mark.parametrize(
    "crashing",
    [
        pytest.param(ended(1, 12, **NEW), id="exited with an error"),
        pytest.param(ended(137, 12, oom_killed=True, **NEW), id="killed for memory"),
        pytest.param(own(state=ContainerState.RESTARTING, restart_count=3, **NEW), id="between two restarts"),
        pytest.param(own(state=ContainerState.DEAD, **NEW), id="dead"),
        pytest.param(own(health=Health.UNHEALTHY, **NEW), id="unhealthy"),
        pytest.param(own(state=ContainerState.CREATED, error="port is taken", **NEW), id="never started"),
        pytest.param(own(restart_count=2, created_at=at(5), started_at=at(15)), id="just restarted"),
        pytest.param(ended(1, 12, created_at=at(-500), started_at=at(6)), id="an old one, started anew"),
    ],
)
def test_a_deployment_done_but_crashing_is_reported(crashing: Any) -> None:
    scene = Scene()
    (alert,) = scene.shows(16, [managed("shop", DONE)], [crashing, own("shop-db-1")])
    assert (alert.kind, alert.severity, alert.service) == ("deploy_crashed", Severity.CRITICAL, None)
    assert alert.message.values["services"] == "api"
    assert alert.facts()["deployed_min"] == 0.1
    still = scene.shows(2000, [managed("shop", DONE)], [crashing, own("shop-db-1")])
    is_over = crashing.is_running and crashing.health is Health.NONE
    assert (not still) == is_over, "it lasts as long as the crash, not as long as the deployment is new"


@pytest.mark.parametrize(
    "harmless",
    [
        pytest.param(own(**NEW), id="runs"),
        pytest.param(own(health=Health.STARTING, **NEW), id="starts"),
        pytest.param(ended(0, 12, **NEW), id="a job that is done"),
        pytest.param(ended(143, 12, **NEW), id="stopped"),
        pytest.param(ended(137, 12, **NEW), id="stopped the hard way"),
        pytest.param(ended(1, -900, started_at=at(-950), created_at=at(-950)), id="ended before"),
        pytest.param(own(restart_count=9), id="restarted long before"),
        pytest.param(ended(1, 12, labels={"com.docker.compose.oneoff": "True"}, **NEW), id="run by hand"),
        pytest.param(own(restart_count=1, created_at=at(5), started_at=at(9)), id="came back and stands"),
    ],
)
def test_a_deployment_done_and_healthy_is_not_reported(harmless: Any) -> None:
    assert not Scene().shows(40, [managed("shop", DONE)], [harmless, own("shop-db-1")])


@pytest.mark.parametrize(
    ("now_s", "last"),
    [
        pytest.param(11, DONE, id="it has just ended"),
        pytest.param(16, deployment(1, "error", 0, 10), id="it failed anyway"),
        pytest.param(16, deployment(1, "running", 0, None), id="it still runs"),
        pytest.param(2000, DONE, id="long ago"),
    ],
)
def test_an_unrelated_crash_is_not_blamed_on_a_deployment(now_s: float, last: Any) -> None:
    found = Scene().shows(now_s, [managed("shop", last)], [ended(1, now_s - 1, **NEW), own("shop-db-1")])
    assert "deploy_crashed" not in kinds(found)


TASK = "shop_api.1.{}"


def test_the_tasks_that_swarm_replaced_are_no_crash_but_a_row_of_them_is() -> None:
    old = ended(1, -900, TASK.format("a" * 25), service="api", started_at=at(-950), created_at=at(-950))
    new = own(TASK.format("b" * 25), service="api", created_at=at(5), started_at=at(6), project="shop-x7f3k2")
    old = replace(old, project="shop-x7f3k2")
    assert not Scene().shows(50, [managed("shop", DONE)], [old, new])
    looping = [
        replace(old, name=TASK.format(letter * 25), created_at=at(10 + number), started_at=at(10 + number))
        for number, letter in enumerate("cde")
    ]
    latest = replace(new, created_at=at(45), started_at=at(46))
    assert kinds(Scene().shows(50, [managed("shop", DONE)], [*looping, latest])) == ["deploy_crashed"]


# -- stuck and blocked -------------------------------------------------------------------------------------------------


def _past(lasted_s: float, count: int = 4) -> list[Any]:
    return [deployment(number, "done", -9000 * (number + 1), lasted_s) for number in range(count)]


@pytest.mark.parametrize(
    ("ran_s", "past", "message"),
    [
        pytest.param(1201, [], "long", id="longer than the setting"),
        pytest.param(1199, [], None, id="not yet"),
        pytest.param(601, _past(20), "unusual", id="usually quick: ten minutes"),
        pytest.param(599, _past(20), None, id="usually quick: not yet"),
        pytest.param(1500, _past(900), None, id="usually slow: twice as long is allowed"),
        pytest.param(1801, _past(900), "unusual", id="usually slow"),
        pytest.param(601, _past(20, 2), None, id="too few to know"),
    ],
)
def test_a_deployment_that_runs_too_long(ran_s: float, past: list[Any], message: str | None) -> None:
    running = deployment(99, "running", -ran_s, None)
    found = Scene().shows(0, [managed("shop", running, *past, status="running")], [own()])
    assert [one.message.key for one in found] == ([f"alert.deploy_stuck.{message}"] if message else [])
    if message:
        assert found[0].facts()["deploy_running_min"] == pytest.approx(ran_s / 60, abs=0.06)


def test_the_setting_decides_when_a_deployment_is_stuck() -> None:
    running = deployment(1, "running", -10, None)
    (alert,) = Scene().shows(0, [managed("shop", running, status="running")], [own()], stuck_after_s=5)
    assert alert.message.key == "alert.deploy_stuck.long"


def test_a_deployment_that_dokploy_has_forgotten_is_found_at_once_and_stays_found() -> None:
    scene = Scene()
    what = [managed("shop", deployment(1, "running", -9, None), status="running")]
    assert not scene.shows(0, what, [own()], queue=(waiting("shop", -10, active=True),))
    assert not scene.shows(4, what, [own()], queue_s=0, queue=()), "the queue was not read in between"
    (alert,) = scene.shows(8, what, [own()])
    assert (alert.kind, alert.message.key) == ("deploy_stuck", "alert.deploy_stuck.forgotten")
    assert kinds(scene.shows(9, what, [own()], queue_s=8)) == ["deploy_stuck"], (
        "a look without the queue changes nothing"
    )
    assert not scene.shows(16, [managed("shop", deployment(1, "cancelled", -9, None), status="idle")])


def test_what_ended_between_two_questions_is_not_forgotten() -> None:
    scene = Scene()
    what = [managed("shop", deployment(1, "running", -9, None), status="running")]
    scene.shows(0, what, [own()], queue=(waiting("shop", -10, active=True),))
    assert not scene.shows(8, [managed("shop", deployment(1, "done", -9, 12))], [own()])


def test_deployments_behind_a_stuck_one_are_reported_as_blocked() -> None:
    what = [managed("shop", deployment(1, "running", -1300, None), status="running"), managed("blog")]
    queue = (waiting("shop", -1300, active=True), waiting("blog", -60), waiting("shop", -30))
    found = {str(one.kind): one for one in Scene().shows(0, what, [own(), own("blog-web-1")], queue=queue)}
    blocked = found["queue_blocked"]
    assert (blocked.host, blocked.stack, blocked.message.key) == ("local", "shop", "alert.queue_blocked.behind")
    assert blocked.facts() == {"queue_waiting": 2, "deploy_running_min": 21.7}
    assert found["deploy_stuck"].facts()["queue_waiting"] == 2


def test_a_deployment_waiting_too_long_is_reported_as_blocked() -> None:
    queue = (waiting("elsewhere", -2000, active=True), waiting("shop", -1300))
    (alert,) = Scene().shows(0, [managed()], [own()], queue=queue)
    assert (alert.host, alert.stack, alert.message.key) == ("dokploy", None, "alert.queue_blocked.long")
    calm = (waiting("elsewhere", -2000, active=True), waiting("shop", -300))
    assert not Scene().shows(0, [managed()], [own()], queue=calm)


# -- all of them -------------------------------------------------------------------------------------------------------


DOMAIN = Domain(id="dom-1", host="shop.example", https=True, port=8000, service="api")


def _one_of_each() -> list[Alert]:
    scene = Scene(since_s=-5000)
    stuck = deployment(9, "running", -2000, None)
    what = [
        managed("shop", deployment(1, "error", 0, 5), status="error"),
        managed("web", deployment(2, "done", 0, 5), domains=(DOMAIN,)),
        managed("blog", stuck, *_past(900), status="running"),
        managed("gone", deployment(3, "done", -9000)),
    ]
    state = DomainState(domain_id="dom-1", at=at(0), problem="bad_gateway", failures=2, http_status=502)
    backup = BackupState(id="b1", name="web", managed_id="id-web", status=DeployStatus.ERROR, at=at(0))
    containers = [ended(1, 7, "web-api-1", created_at=at(1), started_at=at(2)), own("blog-web-1")]
    for now_s in (10, 71):
        found = scene.shows(
            now_s,
            what,
            containers,
            domains={"dom-1": state},
            backups=(backup,),
            queue=(waiting("blog", -2000, active=True), waiting("shop", -60)),
        )
    return found


def test_every_sentence_is_whole_in_both_languages_and_every_fact_is_known() -> None:
    found = _one_of_each()
    assert set(kinds(found)) == {
        "deploy_failed",
        "deploy_crashed",
        "deploy_stuck",
        "queue_blocked",
        "status_contradicts",
        "domain_failing",
        "backup_failed",
    }
    for alert in found:
        for language in LANGUAGES:
            said = load_texts().render(alert.message, language)
            assert "–" not in said
            assert "{" not in said
        assert set(alert.facts()) <= set(PLATFORM_NAMES)
        assert alert.detector == "state"


def test_two_hundred_composes_are_judged_quickly() -> None:
    scene = Scene()
    what = [
        managed(f"s{number}", *(deployment(index, "done", -9000 - index) for index in range(10)))
        for number in range(200)
    ]
    containers = [own(f"s{number}-{service}-1") for number in range(200) for service in ("api", "db", "web")]
    took_s = []
    for now_s in range(5):
        began = time.perf_counter()
        assert not scene.shows(now_s, what, containers)
        took_s.append(time.perf_counter() - began)
    assert min(took_s) <= 0.1


def test_every_trouble_has_a_name_in_the_list_of_runbooks() -> None:
    assert all(load_texts().has(f"runbooks.event.{one.raises}") for one in DOKPLOY_DETECTORS)
