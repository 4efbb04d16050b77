"""Dokploy's word against the containers, domains, backups, and Dokploy itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.deployments.platform import (
    BackupState,
    DeployStatus,
    Domain,
    DomainState,
    ManagedKind,
    ManagedResource,
)
from core.incidents.alerts import Alert, Severity
from core.monitoring.inventory import Health, Host
from core.monitoring.snapshot import OwnAct, PlatformView, Snapshot
from integrations.dokploy.detectors import unreachable_cause
from tests.core.scripted_watcher import HOST, at
from tests.integrations.dokploy.scenes import Scene, deployment, ended, kinds, managed, own

# -- status against containers -----------------------------------------------------------------------------------------

LONG_AGO = deployment(1, "done", -7200)
OTHER = own("blog-web-1")


def _stands(scene: Scene, what: ManagedResource, containers: list[Any], **more: Any) -> list[str]:
    """Alerts after three looks over two minutes of the same."""
    for now_s in (0, 40, 61, 120):
        found = scene.shows(now_s, [what, managed("blog")], [*containers, OTHER], **more)
        if now_s < 60:
            assert "status_contradicts" not in kinds(found), "it must hold for a minute"
    return [one.message.key for one in found]


@pytest.mark.parametrize(
    ("what", "containers", "message"),
    [
        (managed("shop", LONG_AGO), [ended(1, -600)], "done"),
        (managed("shop", LONG_AGO), [], "gone"),
        (managed("shop", LONG_AGO, status="idle"), [own()], "idle"),
    ],
    ids=["down", "removed", "running"],
)
def test_a_status_that_contradicts_the_containers_is_reported(
    what: ManagedResource, containers: list[Any], message: str
) -> None:
    assert _stands(Scene(), what, containers) == [f"alert.status_contradicts.{message}"]


@pytest.mark.parametrize(
    ("what", "containers"),
    [
        pytest.param(managed("shop", LONG_AGO), [own(), ended(1, -600, "shop-db-1")], id="part of it runs"),
        pytest.param(managed("shop", LONG_AGO, status="idle"), [ended(137, -600)], id="stopped in Dokploy"),
        pytest.param(managed("shop", status="idle"), [], id="never deployed"),
        pytest.param(managed("shop", LONG_AGO, status="error"), [own()], id="failed, the old one runs"),
        pytest.param(managed("shop", LONG_AGO), [ended(0, -600)], id="jobs that have done their work"),
        pytest.param(managed("shop", deployment(1, "done", -30)), [], id="deployed a moment ago"),
        pytest.param(
            managed("shop", deployment(2, "running", -300, None), LONG_AGO), [ended(1, -290)], id="being deployed"
        ),
        pytest.param(managed("shop", kind=ManagedKind.DATABASE, type="redis"), [ended(0, -600)], id="a database"),
        pytest.param(managed("shop", LONG_AGO, server="remote-1"), [], id="on a machine nobody watches"),
    ],
)
def test_a_status_that_matches_the_containers_is_not_reported(what: ManagedResource, containers: list[Any]) -> None:
    assert "status_contradicts" not in " ".join(_stands(Scene(), what, containers))


def test_a_status_must_have_been_read_since() -> None:
    what = managed("shop", LONG_AGO)
    assert not _stands(Scene(), what, [ended(1, -600)], status_s=-1)


def test_what_we_stopped_ourselves_is_no_contradiction_however_long_it_stays() -> None:
    scene, what, down = Scene(), [managed("shop", LONG_AGO), managed("blog")], [ended(137, -1), OTHER]
    act = OwnAct(at=at(-1), ref="local/shop-api-1", action="docker.stop", by="ada")
    scene.shows(0, what, down, acts=(act,))
    assert not [one for now_s in (60, 400, 800) for one in scene.shows(now_s, what, down)]


def test_an_engine_that_does_not_answer_contradicts_nobody() -> None:
    scene = Scene()
    scene.hosts(replace(HOST, is_reachable=False))
    assert not _stands(scene, managed("shop", LONG_AGO), [ended(1, -600)])


def test_what_the_settings_leave_out_is_left_out() -> None:
    assert not _stands(Scene(ignore=("sh*",)), managed("shop", LONG_AGO), [])
    assert not _stands(Scene(only=("blog",)), managed("shop", LONG_AGO), [])
    failed = managed("shop", deployment(1, "error", 0, 5), status="error")
    assert not Scene(ignore=("shop",)).shows(7, [failed])


# -- domains -----------------------------------------------------------------------------------------------------------

DOMAIN = Domain(id="dom-1", host="shop.example", https=True, port=8000, service="api")


def _domain(problem: str, *, failures: int = 2, **more: Any) -> list[Alert]:
    state = DomainState(domain_id="dom-1", at=at(0), problem=problem, failures=failures, since=at(-30), **more)
    what = managed("shop", LONG_AGO, domains=(DOMAIN,))
    return Scene().shows(0, [what], [own()], domains={"dom-1": state})


@pytest.mark.parametrize(
    ("problem", "more", "key", "severity"),
    [
        ("dns", {"detail": "Name or service not known"}, "dns", Severity.WARNING),
        ("unreachable", {"detail": "Connection refused"}, "unreachable", Severity.WARNING),
        ("router", {"http_status": 404}, "router", Severity.CRITICAL),
        ("bad_gateway", {"http_status": 502}, "bad_gateway", Severity.CRITICAL),
        ("certificate", {"detail": "expired", "certificate_ends": at(-86400)}, "certificate", Severity.CRITICAL),
        ("certificate", {"http_status": 200, "certificate_ends": at(5 * 86400)}, "certificate_ends", Severity.WARNING),
        ("http_error", {"http_status": 500}, "http_error", Severity.WARNING),
    ],
)
def test_a_failing_domain(problem: str, more: dict[str, Any], key: str, severity: Severity) -> None:
    (alert,) = _domain(problem, **more)
    assert (alert.message.key, alert.severity, alert.stack, alert.service) == (
        f"alert.domain_failing.{key}",
        severity,
        "shop",
        "api",
    )
    facts = alert.facts()
    assert (facts["domain"], facts["domain_problem"], facts["domain_port"]) == ("shop.example", problem, 8000)
    assert facts.get("domain_http_status") == more.get("http_status")
    assert ("certificate_days" in facts) == ("certificate_ends" in more)
    assert alert.at == at(-30)


def test_a_programs_own_404_is_not_taken_for_the_routers() -> None:
    rule = {"traefik.http.routers.shop-x7f3k2-1-web.rule": "Host(`shop.example`) && PathPrefix(`/`)"}
    state = DomainState(domain_id="dom-1", at=at(0), problem="router", failures=2, http_status=404)
    what = managed("shop", LONG_AGO, domains=(DOMAIN,))

    def said(container: Any) -> list[str]:
        return kinds(Scene().shows(0, [what], [container], domains={"dom-1": state}))

    assert not said(own(labels=rule))
    assert said(own(labels=rule, health=Health.UNHEALTHY)) == ["domain_failing"], "Traefik leaves it out"
    assert said(own(labels={"traefik.http.routers.x.rule": "Host(`other.example`)"})) == ["domain_failing"]


def test_one_failed_check_raises_no_alert() -> None:
    assert not _domain("bad_gateway", failures=1, http_status=502)
    assert not _domain("", failures=0, http_status=200)


def test_two_domains_of_a_service_are_one_trouble_the_worse_one_first() -> None:
    second = replace(DOMAIN, id="dom-2", host="a.example")
    states = {
        "dom-1": DomainState(domain_id="dom-1", at=at(0), problem="bad_gateway", failures=2, http_status=502),
        "dom-2": DomainState(domain_id="dom-2", at=at(0), problem="dns", failures=5),
    }
    what = managed("shop", LONG_AGO, domains=(DOMAIN, second))
    (alert,) = Scene().shows(0, [what], [own()], domains=states)
    assert alert.facts()["domain"] == "shop.example"


# -- backups and Dokploy itself ----------------------------------------------------------------------------------------


def test_a_failed_backup() -> None:
    failed = BackupState(id="b1", name="orders", managed_id="id-orders", status=DeployStatus.ERROR, at=at(-5))
    orders = managed("orders", kind=ManagedKind.DATABASE, type="postgres")
    (alert,) = Scene(since_s=-60).shows(0, [orders], [own("orders-x-1")], backups=(failed,))
    assert (alert.stack, alert.message.key, alert.facts()) == (
        "orders",
        "alert.backup_failed.plain",
        {"backup_name": "orders"},
    )
    said = replace(failed, detail="pg_dump: error: disk full")
    (alert,) = Scene(since_s=-60).shows(0, [orders], [own("orders-x-1")], backups=(said,))
    assert alert.facts()["backup_error"] == "pg_dump: error: disk full"
    old, good = replace(failed, at=at(-90)), replace(failed, status=DeployStatus.DONE)
    assert not Scene(since_s=-60).shows(0, [orders], [own("orders-x-1")], backups=(old, good))
    of_dokploy = replace(failed, managed_id=None, name="Dokploy")
    (alert,) = Scene(since_s=-60).shows(0, [], backups=(of_dokploy,))
    assert (alert.host, alert.stack) == ("dokploy", None)


@pytest.mark.parametrize(
    ("problem", "because"),
    [
        ("Dokploy at http://d does not take the key: it is wrong, expired, …", "key"),
        (
            "Dokploy at http://d took the key for 5 calls and does not any more: keys are limited to 10 checks a day",
            "limit",
        ),
        ("deployment.allCentralized: the proxy before Dokploy answers 502; Dokploy is down", "proxy"),
        ("x: what answers there is a web page, not Dokploy's API; set `dokploy.url` (now http://d) to …", "elsewhere"),
        ("deployment.allCentralized was not answered within 20 s; look whether …", "slow"),
        ("deployment.allCentralized: Connection refused", "network"),
    ],
)
def test_why_dokploy_does_not_answer(problem: str, because: str) -> None:
    host = Host(name="dokploy", is_platform=True, is_reachable=False, problem=f"Dokploy is unavailable: {problem}")
    now = Snapshot(at=at(0), host=host, unreachable_since=at(-20), platform=PlatformView())
    (alert,) = Scene().judge(now)
    assert (alert.kind, alert.severity, alert.message.key) == (
        "platform_unreachable",
        Severity.CRITICAL,
        f"alert.platform_unreachable.{because}",
    )
    assert alert.facts() == {"platform_problem": problem, "platform_unreachable_s": 20.0}
    assert not Scene().judge(replace(now, unreachable_since=at(-10)))
    assert unreachable_cause(problem) == because
