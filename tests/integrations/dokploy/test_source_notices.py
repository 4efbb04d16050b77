"""What Dokploy announces is asked for at once; backups tell how they went."""

from __future__ import annotations

from core.deployments.platform import DeployStatus
from integrations.dokploy.webhook import DokployNotice, NoticeKind, parse_notice
from tests.integrations.dokploy.fleet import T0, Fleet, FleetClock, iso
from tests.integrations.dokploy.source_world import MakeSource, view_after, view_of


async def test_an_announced_build_is_asked_for_at_once(fleet: Fleet, make_source: MakeSource, hand: FleetClock) -> None:
    source = make_source()
    await source.look()
    fleet.deployment(fleet.services["id-web"], "error", T0, 1)
    hand.forward(1)
    notice = DokployNotice(kind=NoticeKind.BUILD, is_failure=True, managed_id="id-web", project_id="project-shop")
    await source.announce(notice)
    await source.announce(notice)
    view = await view_of(source)
    last = view.managed[0].last_deployment
    assert last is not None
    assert last.status is DeployStatus.ERROR
    assert view.managed[0].status == "error"
    assert fleet.asked["deployment.allByCompose"] == 1, "said twice, asked once"
    assert fleet.asked["deployment.allCentralized"] == 1, "before its time"


async def test_an_announced_build_of_a_stack_not_known_yet_brings_it(
    fleet: Fleet, make_source: MakeSource, hand: FleetClock
) -> None:
    source = make_source()
    await source.look()
    new = fleet.compose("blog", "writing")
    fleet.deployment(new, "done", T0, 1)
    await source.announce(DokployNotice(kind=NoticeKind.BUILD, managed_id=new.id, project_id="project-writing"))
    view = await view_of(source)
    assert {one.name: len(one.deployments) for one in view.managed} == {"web": 0, "blog": 1}


async def test_an_announcement_of_something_strange_does_no_harm(
    fleet: Fleet, make_source: MakeSource, hand: FleetClock
) -> None:
    source = make_source()
    await source.look()
    fleet.denied = {"deployment.allByCompose"}
    for number in range(200):
        await source.announce(DokployNotice(kind=NoticeKind.BUILD, managed_id=f"nobody{number}"))
    for _ in range(20):
        assert (await view_of(source)).managed
    assert fleet.asked["deployment.allByCompose"] <= 64


async def test_a_failed_backup_of_dokploy_itself_is_known_by_its_notice_alone(
    fleet: Fleet, make_source: MakeSource, hand: FleetClock
) -> None:
    source = make_source()
    await source.look()
    await source.announce(DokployNotice(kind=NoticeKind.OWN_BACKUP, is_failure=True, at=T0))
    (backup,) = (await view_of(source)).backups
    assert (backup.name, backup.status, backup.at) == ("Dokploy", DeployStatus.ERROR, T0)


async def test_an_announced_database_backup_asks_that_database(
    fleet: Fleet, make_source: MakeSource, hand: FleetClock
) -> None:
    database = fleet.compose("orders", kind="postgres")
    source = make_source()
    await source.look()
    run = {"deploymentId": "run-1", "status": "error", "createdAt": iso(T0)}
    database.backups = [{"backupId": "b1", "database": "orders", "deployments": [run]}]
    fleet.logs["run-1"] = "pg_dump: error: connection to server failed: FATAL: database is starting up\n"
    notice = DokployNotice(kind=NoticeKind.DATABASE_BACKUP, is_failure=True, project="shop", name="orders")
    await source.announce(notice)
    (backup,) = (await view_of(source)).backups
    assert backup.status is DeployStatus.ERROR
    assert "pg_dump" in backup.detail
    (backup,) = (await view_after(source, hand, 120)).backups
    assert "pg_dump" in backup.detail, "it stays known while it is the last run"
    assert fleet.asked["deployment.readLogs"] == 1


async def test_runs_that_do_not_come_with_a_backup_are_asked_for(
    fleet: Fleet, make_source: MakeSource, hand: FleetClock
) -> None:
    web = fleet.services["id-web"]
    web.backups = [{"backupId": "b1", "database": "orders"}, {"backupId": "b2", "enabled": False}]
    web.volume_backups = [{"volumeBackupId": "v1", "volumeName": "uploads"}]
    fleet.runs = {
        "b1": [{"deploymentId": "r1", "status": "done", "createdAt": iso(T0)}],
        "v1": [{"deploymentId": "r2", "status": "error", "createdAt": iso(T0)}],
    }
    source = make_source()
    await source.look()
    view = await view_after(source, hand, 300)
    assert {one.name: str(one.status) for one in view.backups} == {"web (orders)": "done", "web (uploads)": "error"}


async def test_a_storm_of_notices_of_one_thing_is_asked_about_once(
    fleet: Fleet, make_source: MakeSource, hand: FleetClock
) -> None:
    fleet.compose("granada")
    source = make_source()
    await view_of(source)
    before = sum(fleet.asked.values())
    for number in range(60):
        title = ("Dokploy Server Restarted", "Database Backup Successful", "Build Error")[number % 3]
        link = "http://d/dashboard/project/shop1234/environment/e/services/compose/id-granada"
        body = {"title": title, "timestamp": f"2026-01-01T12:00:{number:02}Z", "buildLink": link}
        notice = parse_notice({**body, "projectName": "shop", "applicationName": "granada"})
        assert notice is not None
        await source.announce(notice)
    hand.forward(1)
    await view_of(source)
    assert sum(fleet.asked.values()) - before <= 8
    before = sum(fleet.asked.values())
    hand.forward(0.5)
    await view_of(source)
    assert sum(fleet.asked.values()) == before
