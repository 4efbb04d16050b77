"""A watched Dokploy from end to end: the stand-in runs composes on the real engine and posts its notifications."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.deployments.platform import StackNames
from core.incidents.alerts import Alert
from core.monitoring.hosts import WatcherGroup
from core.monitoring.inventory import Stack
from core.monitoring.watcher import Watcher
from core.redaction import redact
from core.settings import DokploySettings, EngineSettings, WatchSettings, WebSettings
from integrations.docker_engine.client.real_engine import RealEngine
from integrations.docker_engine.detectors import DETECTORS as DOCKER_DETECTORS
from integrations.docker_engine.host_source import EngineSnapshotSource
from integrations.dokploy.client.dokploy_client import Dokploy
from integrations.dokploy.detectors import DOKPLOY_DETECTORS
from integrations.dokploy.polling.platform_source import DokploySource
from integrations.dokploy.webhook import DokployWebhook
from tests.core.scripted_watcher import Heard, WallClock
from tests.standins.dokploy import DokployStandin, Service
from tests.testbed.world import eventually
from web.app import WebApp
from web.hooks import SECRET_HEADER, WebhookReceiver

HOOK_SECRET = "the-hook-secret-of-this-test"
PLANTED = "planted-secret-hunter2-Zx81"
LONG = "import time; time.sleep(600)"
CRASH = "import sys, time; time.sleep(1); sys.exit(3)"


@dataclass(kw_only=True)
class World:
    """The parts of a running watch over a stand-in."""

    standin: DokployStandin
    source: DokploySource
    watch: WatcherGroup
    heard: Heard
    client: Dokploy
    hook_url: str
    image: str

    def compose(self, name: str, *, image: str | None = None, program: str = LONG) -> Service:
        """A compose of one service `app`, not deployed yet."""
        file = (
            f"services:\n  app:\n    image: {image or self.image}\n    command: ['python3', '-c', {program!r}]\n"
            "    init: true\n    stop_grace_period: 0s\n"
        )
        project = self.standin.add_project(f"project-{name}")
        return self.standin.add_compose(project, name, compose_file=file, env=f"API_TOKEN={PLANTED}")

    def hooked(self) -> None:
        """Have notifications posted to us."""
        self.standin.add_notification(self.hook_url, headers={SECRET_HEADER: HOOK_SECRET})

    def said(self, kind: str) -> list[Alert]:
        """What was raised of that kind."""
        return [alert for _, alert in self.heard.raised if alert.kind == kind]


@asynccontextmanager
async def _world(
    docker_host: str, compose_config: str, image: str, home: Path, **settings: float
) -> AsyncIterator[World]:
    names, clock, heard = StackNames(), WallClock(), Heard()
    async with AsyncExitStack() as stack:
        standin = stack.enter_context(DokployStandin(docker_host=docker_host, docker_config=compose_config, home=home))
        given = DokploySettings.model_validate(
            {
                "url": standin.url,
                "api_key": SecretStr(standin.api_key),
                "pace_s": 0.0,
                "breaker_rest_s": 0.5,
                **settings,
            }
        )
        client = await stack.enter_async_context(Dokploy(given))
        engine = RealEngine("local", EngineSettings(url=docker_host), names=names)
        stack.push_async_callback(engine.close)
        source = DokploySource(client, given, names, clock=clock, since=clock.now(), redact=redact)
        watch_settings = WatchSettings(unreachable_after_s=1.0)
        docker = Watcher(
            EngineSnapshotSource(engine, only=("*",)),
            DOCKER_DETECTORS,
            sink=Heard(),
            clock=clock,
            settings=watch_settings,
        )
        watchers = [docker]
        watch = WatcherGroup(watchers)
        platform = Watcher(
            source,
            DOKPLOY_DETECTORS,
            sink=heard,
            clock=clock,
            settings=watch_settings.model_copy(update={"poll_s": given.poll_s}),
            around=lambda: watch.inventory(),
        )
        watch = WatcherGroup([docker, platform])
        hooks = WebhookReceiver({"dokploy": DokployWebhook(SecretStr(HOOK_SECRET), source.announce, platform.poke)})
        app = WebApp(WebSettings(host="127.0.0.1", port=0), _healthy)
        hooks.mount(app.application)
        await stack.enter_async_context(app)
        await stack.enter_async_context(hooks)
        await stack.enter_async_context(watch)
        await watch.looked()
        yield World(
            standin=standin,
            source=source,
            watch=watch,
            heard=heard,
            client=client,
            hook_url=f"http://127.0.0.1:{app.port}/hooks/dokploy",
            image=image,
        )


async def _healthy() -> dict[str, object]:
    return {"ok": True}


@pytest.fixture
async def world(docker_host: str, compose_config: str, testbed_image: str, tmp_path: Path) -> AsyncIterator[World]:
    """A watch with the default rhythm."""
    async with _world(docker_host, compose_config, testbed_image, tmp_path / "dokploy") as made:
        yield made


@pytest.fixture
async def quick_world(
    docker_host: str, compose_config: str, testbed_image: str, tmp_path: Path
) -> AsyncIterator[World]:
    """A watch that polls several times a second."""
    async with _world(
        docker_host, compose_config, testbed_image, tmp_path / "dokploy", poll_s=0.4, sweep_s=0.3
    ) as made:
        yield made


async def _deployed(world: World, service: Service) -> datetime:
    """Have it deployed as Dokploy's own page does; when the deployment ended."""
    await world.client.composes.deploy(service.compose_id, title="from the page")

    def end() -> str | None:
        rows = world.standin.deployments(service)
        return rows[0]["finishedAt"] if rows and rows[0]["status"] != "running" else None

    finished = await eventually(end, 60)
    return datetime.fromisoformat(str(finished)).astimezone(UTC)


async def test_an_announced_failure_is_told_with_its_line_within_two_seconds(world: World) -> None:
    world.hooked()
    broken = world.compose("granada", image="127.0.0.1:1/shop/web:nope")
    ended = await _deployed(world, broken)
    (alert,) = await eventually(lambda: world.said("deploy_failed"))
    heard_at = next(at for at, one in world.heard.raised if one is alert)
    assert (heard_at - ended).total_seconds() <= 2.0
    facts = alert.facts()
    assert (alert.host, alert.stack, facts["deploy_status"]) == ("local", "granada", "error")
    assert "127.0.0.1:1" in str(facts["deploy_error_line"])
    _no_secret_in(world, alert)


async def test_a_failure_nobody_announces_is_told_within_ten_seconds(world: World) -> None:
    broken = world.compose("granada", image="127.0.0.1:1/shop/web:nope")
    ended = await _deployed(world, broken)
    (alert,) = await eventually(lambda: world.said("deploy_failed"), 15)
    heard_at = next(at for at, one in world.heard.raised if one is alert)
    assert (heard_at - ended).total_seconds() <= 10.0
    assert alert.message.key == "alert.deploy_failed.line"
    _no_secret_in(world, alert)


def _no_secret_in(world: World, alert: Alert) -> None:
    assert PLANTED not in repr(alert)
    assert PLANTED not in repr(world.source.view())
    assert PLANTED not in repr(world.watch.inventory())


async def test_a_deployment_that_is_done_and_crashes_is_told(quick_world: World) -> None:
    service = quick_world.compose("granada", program=CRASH)
    await _deployed(quick_world, service)
    (alert,) = await eventually(lambda: quick_world.said("deploy_crashed"), 20)
    assert (alert.host, alert.stack, alert.message.values["services"]) == ("local", "granada", "app")
    assert alert.facts()["platform_status"] == "done"
    assert not quick_world.said("deploy_failed")


async def test_a_good_deployment_is_no_trouble_and_joins_its_containers(quick_world: World) -> None:
    service = quick_world.compose("granada")
    await _deployed(quick_world, service)

    def joined() -> Stack | None:
        stack = quick_world.watch.inventory().stack("granada")
        last = stack.managed.last_deployment if stack and stack.managed else None
        return stack if stack and stack.services and last and last.status == "done" else None

    stack = await eventually(joined, 20)
    assert stack is not None
    assert stack.managed is not None
    assert [one.name for one in stack.services] == ["app"]
    assert (stack.managed.app_name, stack.managed.host) == (service.app_name, "local")
    assert not quick_world.heard.raised


async def test_what_a_restart_of_dokploy_left_running_is_found(quick_world: World) -> None:
    service = quick_world.compose("granada")
    quick_world.standin.hold_running()
    await quick_world.client.composes.deploy(service.compose_id)
    await eventually(lambda: [one for one in quick_world.source.managed() if one.deployments], 20)
    quick_world.standin.restart(marks_leftovers=False)
    (alert,) = await eventually(lambda: quick_world.said("deploy_stuck"), 30)
    assert alert.message.key == "alert.deploy_stuck.forgotten"


async def test_a_failed_backup_is_told_when_it_is_announced(quick_world: World) -> None:
    quick_world.hooked()
    standin = quick_world.standin
    database = standin.add_database(standin.add_project("shop"), "orders")
    backup = standin.add_backup(database)
    await eventually(lambda: quick_world.watch.inventory().managed_one("orders"))
    standin.run_backup(backup, fails_with="pg_dump: error: connection failed")
    (alert,) = await eventually(lambda: quick_world.said("backup_failed"))
    assert (alert.stack, alert.facts()["backup_error"]) == ("orders", "pg_dump: error: connection failed")
    standin.run_backup(backup)
    await eventually(lambda: quick_world.heard.cleared == [alert.fingerprint])


async def test_dokploy_going_down_and_coming_back_is_reported(quick_world: World) -> None:
    quick_world.standin.go_down()
    (alert,) = await eventually(lambda: quick_world.said("platform_unreachable"), 40)
    assert alert.message.key == "alert.platform_unreachable.network"
    quick_world.standin.come_back()
    await eventually(lambda: quick_world.heard.cleared, 40)


async def test_fifty_projects_are_known_within_two_seconds(
    docker_host: str, compose_config: str, tmp_path: Path
) -> None:
    clock = WallClock()
    with DokployStandin(docker_host=docker_host, docker_config=compose_config, home=tmp_path / "d") as standin:
        standin.fill(projects=50, composes=4)
        standin.set_latency(0.15)
        standin.forget_requests()
        settings = DokploySettings(url=standin.url, api_key=SecretStr(standin.api_key))
        async with Dokploy(settings) as client:
            source = DokploySource(client, settings, StackNames(), clock=clock, since=clock.now(), redact=redact)
            began = time.perf_counter()
            snapshot = await source.look()
            took_s = time.perf_counter() - began
    assert len(snapshot.inventory().managed) == 200
    assert len(standin.asked("project.all")) + len(standin.asked("environment.byProjectId")) == 51
    assert standin.most_at_once <= 8
    assert took_s <= 2.0
