"""A Dokploy whose clock goes wrong by ten minutes: its moments are compared with its own clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web

from core.deployments.platform import DeployStatus
from integrations.dokploy.deploys.deploy_follower import find_deployment
from tests.core.scripted_watcher import at
from tests.integrations.dokploy.conftest import MakeDokploy
from tests.integrations.dokploy.fleet import T0, Fleet, FleetClock
from tests.integrations.dokploy.replay import ReplayServer
from tests.integrations.dokploy.scenes import Scene, deployment, ended, kinds, managed, own, waiting
from tests.integrations.dokploy.source_world import MakeSource, view_of
from tests.integrations.dokploy.test_follower import NOON, a_deploy, a_row, rows

AHEAD = [timedelta(minutes=10), timedelta(minutes=-10)]


@pytest.mark.parametrize(
    ("date", "ahead_s"),
    [
        (timedelta(minutes=10), 600),
        (timedelta(minutes=-10), -600),
        (timedelta(seconds=3), 0),
        ("yesterday", 0),
        ("", 0),
        ("Fri, 31 Dec 9999 23:59:59 -1200", 0),
    ],
)
async def test_the_clock_difference_is_read_from_the_date_header(
    date: timedelta | str, ahead_s: float, server: ReplayServer, make_dokploy: MakeDokploy
) -> None:
    written = date if isinstance(date, str) else format_datetime(datetime.now(UTC) + date, usegmt=True)
    server.says(b"[]", Date=written)
    client = make_dokploy()
    assert await client.deployments.all() == []
    assert client.transport.clock_ahead.total_seconds() == pytest.approx(ahead_s, abs=3)


@pytest.mark.parametrize("ahead", AHEAD)
def test_a_commits_deployment_is_found_by_the_clock_that_wrote_it(ahead: timedelta) -> None:
    commit = f"Commit: {'a' * 40}"
    shift = ahead.total_seconds()
    early = a_row("early", "feat: pushed before", shift - 60, description=commit)
    ours = a_row("ours", "feat: x", shift + 1, description=commit)
    row = find_deployment(a_deploy("mine", ordered_at=NOON), rows(ours, early), ahead=ahead)
    assert row is not None
    assert row.deployment_id == "ours"


@pytest.mark.parametrize("ahead", AHEAD)
def test_alerts_are_the_same_when_the_clocks_differ(ahead: timedelta) -> None:
    shift = ahead.total_seconds()
    failed = deployment(2, "error", shift, 5)
    assert "deploy_failed" in kinds(Scene(since_s=-60).shows(7, [managed("shop", failed)], [own()], clock_ahead=ahead))
    done, crashed = deployment(2, "done", shift, 5), ended(1, 9 + shift, created_at=at(3 + shift))
    found = Scene().shows(12, [managed("shop", done)], [crashed], clock_ahead=ahead)
    assert "deploy_crashed" in kinds(found)
    running = deployment(2, "running", shift, None)
    assert "deploy_stuck" not in kinds(Scene().shows(300, [managed("shop", running)], clock_ahead=ahead))
    assert "deploy_stuck" in kinds(Scene().shows(1300, [managed("shop", running)], clock_ahead=ahead))
    queue = (waiting("shop", shift),)
    assert "queue_blocked" not in kinds(Scene().shows(700, [managed("shop")], queue=queue, clock_ahead=ahead))
    assert "queue_blocked" in kinds(Scene().shows(1300, [managed("shop")], queue=queue, clock_ahead=ahead))


@pytest.mark.parametrize("ahead", AHEAD)
async def test_an_old_deployment_overrules_no_newer_status(
    ahead: timedelta, fleet: Fleet, make_source: MakeSource, hand: FleetClock, server: ReplayServer
) -> None:
    answered = server.answer
    written = format_datetime(datetime.now(UTC) + ahead, usegmt=True)

    async def answer(request: web.Request) -> web.StreamResponse:
        assert answered is not None
        response = await answered(request)
        response.headers["Date"] = written
        return response

    server.answer = answer
    fleet.deployment(fleet.services["id-web"], "done", T0 + ahead - timedelta(minutes=2), 60)
    source = make_source()
    await view_of(source)
    fleet.services["id-web"].status = "idle"
    for _ in range(12):
        hand.forward(8)
        view = await view_of(source)
    assert view.managed[0].last_deployment is not None
    assert view.managed[0].last_deployment.status is DeployStatus.DONE
    assert view.managed[0].status == "idle"
