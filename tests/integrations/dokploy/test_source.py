"""A watched Dokploy: what it is asked, how often, and what stays when an answer fails."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from core.deployments.platform import DeployStatus, StackNames
from core.errors import SystemUnavailable
from core.monitoring.inventory import join
from core.monitoring.watcher import Watcher
from core.redaction import redact
from core.settings import DokploySettings, WatchSettings
from integrations.dokploy.detectors import DOKPLOY_DETECTORS
from integrations.dokploy.polling.platform_source import DokploySource
from integrations.dokploy.polling.poll_rotation import PollTopic
from tests.core.scripted_watcher import Heard, WallClock
from tests.integrations.dokploy.conftest import MakeDokploy
from tests.integrations.dokploy.fleet import T0, Fleet, FleetClock, iso
from tests.integrations.dokploy.replay import ReplayServer
from tests.integrations.dokploy.source_world import MakeSource, view_after, view_of
from tests.testbed.world import eventually


async def test_the_first_poll_finds_everything_but_details(
    fleet: Fleet, make_source: MakeSource, hand: FleetClock
) -> None:
    web = fleet.services["id-web"]
    fleet.deployment(web, "done", T0 - timedelta(minutes=9), 60)
    fleet.deployment(web, "running", T0 - timedelta(seconds=9), None, title="by password=hunter2hunter2")
    fleet.job(web, "active", T0 - timedelta(seconds=10))
    fleet.job(web, "waiting", T0 - timedelta(seconds=5))

    snapshot = await make_source().look()

    assert (snapshot.host.name, snapshot.host.is_platform) == ("dokploy", True)
    assert snapshot.platform is not None
    (one,) = snapshot.platform.managed
    assert [str(each.status) for each in one.deployments] == ["running", "done"]
    assert "hunter2" not in one.deployments[0].title
    assert [each.is_active for each in snapshot.platform.queue] == [True, False]
    assert dict(fleet.asked) == {
        "project.all": 1,
        "environment.byProjectId": 1,
        "deployment.queueList": 1,
        "deployment.allCentralized": 1,
    }
    assert snapshot.inventory().managed_one("web") == one


async def test_steady_polling_keeps_to_one_request_in_five_seconds(
    fleet: Fleet, make_source: MakeSource, hand: FleetClock, server: ReplayServer
) -> None:
    for number in range(30):
        fleet.compose(f"stack{number}", f"project{number % 7}")
    source = make_source()
    await source.look()
    server.asked.clear()
    span_s = 3600
    for _ in range(int(span_s / 8)):
        hand.forward(8)
        await source.look()
    assert len(server.asked) <= span_s / 5
    assert fleet.asked["deployment.allCentralized"] == span_s / 8 + 1
    assert fleet.asked["compose.one"] > 60
    assert fleet.asked["deployment.queueList"] > 40
    assert fleet.asked["settings.getDokployVersion"] == 1


async def test_looks_more_often_than_the_poll_ask_no_more(
    fleet: Fleet, make_source: MakeSource, hand: FleetClock, server: ReplayServer
) -> None:
    source = make_source()
    await source.look()
    server.asked.clear()
    for _ in range(80):
        hand.forward(1)
        await source.look()
    assert len(server.asked) <= 80 / 5


async def test_while_a_deployment_runs_the_queue_is_asked_with_every_poll(
    fleet: Fleet, make_source: MakeSource, hand: FleetClock
) -> None:
    fleet.deployment(fleet.services["id-web"], "running", T0 - timedelta(seconds=5), None)
    source = make_source()
    await source.look()
    for _ in range(5):
        hand.forward(8)
        await source.look()
    assert fleet.asked["deployment.queueList"] >= 6


async def test_while_a_deployment_runs_no_look_reads_the_queue_after_it(
    fleet: Fleet, make_source: MakeSource, hand: FleetClock
) -> None:
    """Else one that has just ended would look like one that Dokploy has forgotten."""
    source = make_source()
    await source.look()
    fleet.deployment(fleet.services["id-web"], "running", T0, 1)
    hand.forward(8)
    await source.look()
    for _ in range(200):
        queue, deployments = fleet.asked["deployment.queueList"], fleet.asked["deployment.allCentralized"]
        hand.forward(1)
        await source.look()
        is_read = fleet.asked["deployment.queueList"] > queue
        assert not is_read or fleet.asked["deployment.allCentralized"] > deployments


async def test_details_come_one_by_one(fleet: Fleet, make_source: MakeSource, hand: FleetClock) -> None:
    web = fleet.services["id-web"]
    web.domains = [fleet.domain("shop.example"), fleet.domain("off.example", enabled=False)]
    failed = {"deploymentId": "run-1", "status": "error", "createdAt": iso(T0), "errorMessage": "PASSWORD=hunter2"}
    web.backups = [{"backupId": "b1", "database": "orders", "enabled": True, "deployments": [failed]}]
    source = make_source()
    await source.look()
    view = await view_after(source, hand, 60)
    (one,) = view.managed
    assert [(each.host, each.port, each.service, each.is_enabled) for each in one.domains] == [
        ("shop.example", 8000, "web", True),
        ("off.example", 8000, "web", False),
    ]
    assert (one.source, one.type) == ("raw", "stack")
    (backup,) = view.backups
    assert (backup.name, backup.status, backup.at) == ("web (orders)", DeployStatus.ERROR, T0)
    assert "hunter2" not in repr(view)


async def test_a_new_stack_is_found_by_its_first_deployment(
    fleet: Fleet, make_source: MakeSource, hand: FleetClock
) -> None:
    source = make_source()
    await source.look()
    new = fleet.compose("blog", "writing")
    fleet.deployment(new, "running", T0, None)
    hand.forward(8)
    view = await view_of(source)
    assert [one.name for one in view.managed] == ["web", "blog"]
    assert view.managed[1].last_deployment is not None


async def test_a_new_stack_that_was_never_deployed_is_found_by_the_round(
    fleet: Fleet, make_source: MakeSource, hand: FleetClock
) -> None:
    source = make_source()
    await source.look()
    fleet.compose("blog")
    del fleet.services["id-web"]
    view = await view_after(source, hand, 90)
    assert [one.name for one in view.managed] == ["blog"]


async def test_statuses_come_with_the_list_of_projects(fleet: Fleet, make_source: MakeSource, hand: FleetClock) -> None:
    source = make_source()
    await source.look()
    fleet.services["id-web"].status = "idle"
    view = await view_after(source, hand, 90)
    assert view.managed[0].status == "idle"
    assert view.status_at is not None
    assert view.status_at > T0


async def test_a_failed_deployment_brings_the_line_of_its_log(
    fleet: Fleet, make_source: MakeSource, hand: FleetClock
) -> None:
    source = make_source()
    await source.look()
    row = fleet.deployment(fleet.services["id-web"], "error", T0, 3, errorMessage="echo c2VjcmV0 | base64")
    fleet.logs[row["deploymentId"]] = "Pulling\nError response from daemon: manifest for shop/web:nope not found\n"
    hand.forward(8)
    view = await view_of(source)
    last = view.managed[0].last_deployment
    assert last is not None
    assert (last.error, "manifest for shop/web:nope not found" in last.error_line) == ("image_not_found", True)
    await view_after(source, hand, 80)
    assert fleet.asked["deployment.readLogs"] == 1, "read once"


async def test_what_failed_before_the_watch_began_is_not_read(
    fleet: Fleet, make_source: MakeSource, hand: FleetClock
) -> None:
    fleet.deployment(fleet.services["id-web"], "error", T0 - timedelta(hours=3), 3)
    await make_source().look()
    assert fleet.asked["deployment.readLogs"] == 0


async def test_a_failed_query_loses_nothing(fleet: Fleet, make_source: MakeSource, hand: FleetClock) -> None:
    fleet.services["id-web"].domains = [fleet.domain("shop.example")]
    source = make_source()
    await source.look()
    await view_after(source, hand, 60)
    fleet.broken = {"project.all", "compose.one", "deployment.queueList"}
    view = await view_after(source, hand, 120)
    assert [one.host for one in view.managed[0].domains] == ["shop.example"]


async def test_a_failed_deployment_query_is_an_error(fleet: Fleet, make_source: MakeSource, hand: FleetClock) -> None:
    source = make_source()
    await source.look()
    fleet.broken = {"deployment.allCentralized"}
    hand.forward(8)
    with pytest.raises(SystemUnavailable, match="the proxy before Dokploy answers 502"):
        await source.look()
    fleet.broken = set()
    assert (await view_of(source)).managed, "asked again with the next look, not with the next poll"


async def test_a_missing_permission_stops_only_its_own_query(
    fleet: Fleet, make_source: MakeSource, hand: FleetClock
) -> None:
    fleet.denied = {"deployment.queueList", "compose.one"}
    source = make_source()
    await source.look()
    view = await view_after(source, hand, 300)
    assert [one.name for one in view.managed] == ["web"]
    assert view.queue_at is None
    assert set(source.limits) == {PollTopic.QUEUE, PollTopic.DETAIL}
    assert fleet.asked["deployment.queueList"] == 1, "not asked again for an hour"
    fleet.denied = set()
    view = await view_after(source, hand, 4000)
    assert view.queue_at is not None
    assert not source.limits


async def test_without_the_right_to_deployments_the_projects_tell_that_it_is_there(
    fleet: Fleet, make_source: MakeSource, hand: FleetClock
) -> None:
    fleet.denied = {"deployment.allCentralized"}
    source = make_source()
    view = await view_of(source)
    assert view.managed[0].deployments == ()
    fleet.broken = {"project.all"}
    hand.forward(8)
    with pytest.raises(SystemUnavailable):
        await source.look()


async def test_a_refused_key_is_left_alone_for_a_while(fleet: Fleet, make_source: MakeSource, hand: FleetClock) -> None:
    source = make_source()
    await source.look()
    fleet.takes_key = False
    hand.forward(8)
    with pytest.raises(SystemUnavailable, match="key"):
        await source.look()
    asked = fleet.asked.total()
    for _ in range(5):
        hand.forward(5)
        with pytest.raises(SystemUnavailable, match="key"):
            await source.look()
    assert fleet.asked.total() == asked
    fleet.takes_key = True
    hand.forward(1000)
    assert (await view_of(source)).managed


async def test_new_names_are_reported_once(fleet: Fleet, make_dokploy: MakeDokploy, hand: FleetClock) -> None:
    names, told = StackNames(), []
    client = make_dokploy()
    source = DokploySource(
        client,
        client.settings,
        names,
        clock=hand,
        since=T0,
        redact=redact,
        on_names=lambda: told.append(names.to_json()),
    )
    await source.look()
    hand.forward(8)
    await source.look()
    assert told == [{"web-x7f3k2": "web"}]


async def test_two_hundred_composes_are_known_at_once(fleet: Fleet, make_source: MakeSource, hand: FleetClock) -> None:
    for number in range(199):
        made = fleet.compose(f"stack{number}", f"project{number % 50}")
        for index in range(10):
            fleet.deployment(made, "done", T0 - timedelta(hours=index + 1), 30)
    source = make_source()
    await source.look()
    hand.forward(1)
    snapshot = await source.look()
    took_s = []
    for _ in range(5):
        began = time.perf_counter()
        inventory = join([snapshot.inventory()])
        source.view()
        assert inventory.managed_one("stack7") is not None
        took_s.append(time.perf_counter() - began)
    assert min(took_s) <= 0.05


async def test_a_watcher_runs_on_dokploy(server: ReplayServer, make_dokploy: MakeDokploy) -> None:
    fleet = Fleet()
    web = fleet.compose("web")
    fleet.mount(server)
    clock, heard = WallClock(), Heard()
    client = make_dokploy(retries=0, breaker_failures=1000, poll_s=0.6)
    source = DokploySource(client, client.settings, StackNames(), clock=clock, since=clock.now(), redact=redact)
    settings = WatchSettings(poll_s=0.6, unreachable_after_s=0.3)
    async with Watcher(source, DOKPLOY_DETECTORS, sink=heard, clock=clock, settings=settings) as watcher:
        await eventually(watcher.has_looked.is_set)
        fleet.deployment(web, "error", clock.now() + timedelta(seconds=1), 1)
        await source.changed(web.id)
        watcher.poke()
        await eventually(lambda: [one.kind for _, one in heard.raised] == ["deploy_failed"])
        fleet.broken = {"deployment.allCentralized"}
        await eventually(lambda: [one.kind for _, one in heard.raised] == ["deploy_failed", "platform_unreachable"])
        assert heard.raised[1][1].message.key == "alert.platform_unreachable.proxy"
        assert watcher.is_firing("deploy_failed:dokploy/web/-"), "what is not seen is not over"
        fleet.broken = set()
        fleet.deployment(web, "done", clock.now() + timedelta(seconds=3), 1)
        await eventually(
            lambda: sorted(heard.cleared) == ["deploy_failed:dokploy/web/-", "platform_unreachable:dokploy/-/-"]
        )


def test_settings_bound_the_rate() -> None:
    settings = DokploySettings(url="http://d", api_key="k")
    assert 1 / settings.poll_s + 1 / settings.sweep_s <= 1 / 5
