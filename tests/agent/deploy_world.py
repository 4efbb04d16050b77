"""Deploys on the stand-in for Dokploy and the real engine, followed by the real runs over real records."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.deploys.deploy_runtime import DeployDeps, DeployRuntime
from core.actions.call_context import current_call
from core.actions.calls import Call, CallRecord
from core.actions.catalog import Catalog, JsonObject, Params, Result, Risk, Role, Toolset, action
from core.actions.executor import ExecutorDeps
from core.actions.gateway import ActionGateway, CallReceipt
from core.actions.policy import Actor, ActorKind
from core.bus import Bus
from core.deployments.deploys import (
    FOLLOW_KIND,
    Deploy,
    DeployChanged,
    DeployKind,
    StackVersion,
    VersionContent,
    VersionVerdict,
)
from core.deployments.platform import Deployment, ManagedKind, ManagedResource, StackName, StackNames
from core.incidents.alerts import Alert
from core.incidents.incident_events import AlertHeldBack, IncidentOpened
from core.incidents.tracker import IncidentTracker
from core.monitoring.hosts import WatcherGroup
from core.monitoring.inventory import Container, Host
from core.monitoring.snapshot import EngineEvent, EventKind, PlatformView, Sample, Snapshot
from core.monitoring.watcher import Watcher
from core.redaction import redact
from core.settings import DokploySettings, EngineSettings, Settings
from core.text import Text, text
from integrations.docker_engine.client.real_engine import RealEngine
from integrations.docker_engine.detectors import DETECTORS
from integrations.docker_engine.host_source import EngineSnapshotSource
from integrations.docker_engine.models import parse_container
from integrations.dokploy.client.dokploy_client import Dokploy
from integrations.dokploy.deploys.deploy_follower import DokployFollower
from knowledge.config.text_files import load_texts
from knowledge.stores import Knowledge
from tests.agent.incident.world import EveryRunTwice
from tests.standins.dokploy import DokployStandin, Service
from tests.testbed.world import eventually

ADA = Actor(kind=ActorKind.PERSON, id="tg:1", name="Ada", role=Role.ADMIN)
FOREVER = "import time; time.sleep(600)"


def compose_file(image: str, *, restart: str = "no", **programs: str) -> str:
    """A compose file whose services run Python programs; none listens to SIGTERM, so none is waited for."""
    lines = ["services:"]
    for name, program in programs.items():
        lines += [f"  {name}:", f"    image: {image}", f"    command: ['python3', '-c', {program!r}]"]
        lines += ["    stop_grace_period: 0s", "    init: true", f"    restart: '{restart}'"]
    return "\n".join(lines) + "\n"


class Tree:
    """What a platform's own watcher would say of its stacks."""

    name = "dokploy"

    def __init__(self, world: DeployWorld) -> None:
        self._world = world

    async def look(self, *, only: Sequence[str] = ()) -> Snapshot:
        managed = tuple(
            ManagedResource(
                id=one.id,
                kind=ManagedKind.COMPOSE,
                name=one.name,
                app_name=one.app_name,
                deployments=self._world.others.get(one.name, ()),
            )
            for one in self._world.services.values()
        )
        host = Host(name=self.name, is_platform=True)
        return Snapshot(at=datetime.now(UTC), host=host, platform=PlatformView(managed=managed))

    async def events(self, since: datetime | None) -> AsyncIterator[EngineEvent]:
        await asyncio.Event().wait()
        yield EngineEvent(at=datetime.now(UTC), kind=EventKind.START, container_id="", name="")

    async def sample(self) -> dict[str, Sample]:
        return {}

    async def oom_kills(self) -> dict[str, int]:
        return {}


class WallClock:
    """The real time."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class Order(Params):
    """What to deploy."""

    stack: str
    file: str = ""
    what: str = "deploy"

    def target(self) -> str:
        return f"stack:{self.stack}"


class Orders(Toolset):
    """The least that orders a deploy and can take it back."""

    system = "orders"

    def __init__(self, world: DeployWorld) -> None:
        self._world = world

    @action(Risk.DISRUPTIVE, follow=FOLLOW_KIND, snapshot="before", undo="put_back", time_limit_s=20)
    async def deploy(self, params: Order) -> Result:
        """Deploy another file, or the same again."""
        return await self._order(params, params.file, DeployKind(params.what))

    async def before(self, params: Order) -> JsonObject:
        return {"file": str(self._world.service(params.stack).row.get("composeFile", ""))}

    async def put_back(self, params: Order, snapshot: JsonObject) -> Result:
        return await self._order(params, str(snapshot["file"]), DeployKind.ROLLBACK)

    async def _order(self, params: Order, file: str, what: DeployKind) -> Result:
        world, call = self._world, current_call()
        assert call is not None
        service = world.service(params.stack)
        is_application = "applicationId" in service.row
        rows = world.client.deployments
        known = await (rows.of_application if is_application else rows.of_compose)(service.id)
        if file:
            await world.client.composes.update(service.id, compose_file=file)
        version = await world.knowledge.versions.add(
            StackVersion(
                managed_id=service.id,
                stack=service.name,
                app_name=service.app_name,
                source="raw",
                at=world.clock.now(),
                by=call.actor.id,
                digest=str(hash(str(service.row.get("composeFile")))),
            ),
            VersionContent(compose_file=str(service.row.get("composeFile"))),
        )
        containers = await world.containers(service)
        deploy = Deploy(
            key=call.key,
            what=what,
            managed_id=service.id,
            managed_kind=ManagedKind.APPLICATION if is_application else ManagedKind.COMPOSE,
            stack=service.name,
            app_name=service.app_name,
            type=str(service.row.get("composeType", "")),
            host="local" if world.is_watched else None,
            title=f"guardian {call.key}",
            requested_by=call.actor.id,
            requested_name=call.actor.name,
            incident_id=call.incident_id,
            ordered_at=world.clock.now(),
            known_ids=tuple(one.deployment_id for one in known),
            version_id=version.id,
            containers_before={one.id: one.restart_count for one in containers},
        )
        await world.knowledge.deploys.put(deploy)
        if is_application:
            await world.client.applications.deploy(service.id, title=deploy.title)
        else:
            await world.client.composes.deploy(service.id, title=deploy.title)
        return Result(message=text("deploys.ordered", stack=service.name))


@dataclass(kw_only=True)
class DeployWorld:
    """`async with world.running(): …`; entered again, it is the next start over the same records."""

    home: Path
    dokploy: DokployStandin
    docker_host: str
    image: str
    window_s: float = 1.5
    is_watched: bool = True
    is_twice: bool = False
    """Each look at a deploy is delivered twice."""
    api_key: str = ""
    """Empty: the owner's."""
    dokploy_settings: dict[str, Any] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    told: list[DeployChanged] = field(default_factory=list)
    heard: list[object] = field(default_factory=list)
    others: dict[str, tuple[Deployment, ...]] = field(default_factory=dict)
    """What the platform's watcher says of deployments, by stack."""
    limit_s: float = 20.0
    names: StackNames = field(default_factory=StackNames)
    clock: WallClock = field(default_factory=WallClock)

    def add(self, name: str, file: str = "", **more: Any) -> Service:
        """A compose that Dokploy knows."""
        file = file or compose_file(self.image, api=FOREVER)
        service = self.dokploy.add_compose(self.dokploy.add_project(name), name, compose_file=file, **more)
        self.services[name] = service
        self.names.learn([StackName(app_name=service.app_name, name=name)])
        return service

    def add_application(self, name: str, program: str) -> Service:
        """An application that runs a Python program."""
        command = f"python3 -c {shlex.quote(program)}"
        project = self.dokploy.add_project(name)
        service = self.dokploy.add_application(project, name, image=self.image, command=command)
        self.services[name] = service
        self.names.learn([StackName(app_name=service.app_name, name=name)])
        return service

    def service(self, name: str) -> Service:
        return self.services[name]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[DeployWorld]:
        quick = {"follow_s": 0.1, "never_after_s": 1.0, "timeout_s": 5.0, "pace_s": 0.0, **self.dokploy_settings}
        settings = Settings(
            data_dir=self.home,
            verification={"window_s": self.window_s, "poll_s": 0.2, "limit_s": self.limit_s},
            watch={"poll_s": 1.0},
            dokploy={"url": self.dokploy.url, "api_key": self.api_key or self.dokploy.api_key, **quick},
        )
        assert settings.dokploy is not None
        async with AsyncExitStack() as stack:
            self.bus = Bus()
            for event in (IncidentOpened, AlertHeldBack):
                self.bus.subscribe(event, self._hear)
            self.bus.subscribe(DeployChanged, self._tell)
            self.client = await stack.enter_async_context(Dokploy(settings.dokploy, back_off_s=(0.05, 0.05)))
            self.knowledge = await stack.enter_async_context(Knowledge(settings, self.clock))
            self.engine = RealEngine("local", EngineSettings(url=self.docker_host), names=self.names)
            stack.push_async_callback(self.engine.close)
            self.tracker = IncidentTracker(
                store=self.knowledge.incidents,
                silences=self.knowledge.silences,
                bus=self.bus,
                clock=self.clock,
                settings=settings.watch,
                is_planned=lambda alert: self.runtime.is_planned(alert),
            )
            only = tuple(self.services) if self.is_watched else ("nothing",)
            self.watch = WatcherGroup(
                [
                    Watcher(
                        EngineSnapshotSource(self.engine, only=only),
                        DETECTORS,
                        sink=self.tracker,
                        clock=self.clock,
                        settings=settings.watch,
                        own_acts=self.knowledge.ledger.acts_since,
                    ),
                    Watcher(Tree(self), (), sink=self.tracker, clock=self.clock, settings=settings.watch),
                ]
            )
            self.gateway = self._gateway(settings)
            self.runtime = self._runtime(settings, settings.dokploy)
            await self.runtime.load()
            await stack.enter_async_context(self.watch)
            await self.watch.looked()
            await self.knowledge.runs.start()
            stack.push_async_callback(self.knowledge.runs.stop)
            await self.gateway.recover()
            yield self

    def _gateway(self, settings: Settings) -> ActionGateway:
        deps = ExecutorDeps(
            catalog=Catalog([Orders(self)]),
            ledger=self.knowledge.ledger,
            locks=self.knowledge.locks,
            facts=self.knowledge.facts(self.watch.inventory),
            runs=self.knowledge.runs,
            bus=self.bus,
            clock=self.clock,
            policy=settings.policy,
            redact=redact,
        )
        return ActionGateway(deps, self.knowledge.approvals)

    def _runtime(self, settings: Settings, dokploy: DokploySettings) -> DeployRuntime:
        return DeployRuntime(
            DeployDeps(
                runs=EveryRunTwice(self.knowledge.runs) if self.is_twice else self.knowledge.runs,
                deploys=self.knowledge.deploys,
                versions=self.knowledge.versions,
                platform=DokployFollower(self.client, redact, lambda host, raw: parse_container(host, raw, self.names)),
                watch=self.watch,
                start_times=self.knowledge.start_times,
                gateway=self.gateway,
                bus=self.bus,
                clock=self.clock,
                settings=dokploy,
                verification=settings.verification,
                redact=redact,
                review=self.tracker.review,
            )
        )

    async def _hear(self, event: object) -> None:
        self.heard.append(event)

    async def _tell(self, event: DeployChanged) -> None:
        self.told.append(event)

    async def containers(self, service: Service) -> list[Container]:
        """What there is of a stack on the engine."""
        return [one for one in await self.engine.containers() if one.project == service.app_name]

    # -- what a test does --------------------------------------------------------------------------------------------

    async def order(self, stack: str, file: str = "", *, key: str = "k1", what: str = "deploy") -> CallReceipt:
        """Wish a deploy, as Ada."""
        params: JsonObject = {"stack": stack, "file": file, "what": what}
        return await self.gateway.submit(Call(key=key, action="orders.deploy", params=params, actor=ADA))

    async def deploy(self, stack: str, file: str = "", *, key: str = "k1", what: str = "deploy") -> Deploy:
        """Wish it and wait for the verdict."""
        await self.order(stack, file, key=key, what=what)
        return await self.verdict(key)

    async def verdict(self, key: str = "k1", within_s: float = 30) -> Deploy:
        """Wait until there is one and the call has heard it."""
        await self.ended(key, within_s)
        found = await self.knowledge.deploys.get(key)
        assert found is not None
        assert found.phase.is_over
        return found

    async def ended(self, key: str = "k1", within_s: float = 30) -> CallRecord:
        """Wait until the call has ended."""

        async def over() -> CallRecord | None:
            record = await self.knowledge.ledger.get(key)
            return record if record is not None and record.state.is_final else None

        record = await eventually(over, within_s, what=f"the end of the call {key}")
        assert record is not None
        return record

    async def phase(self, wanted: Sequence[str], key: str = "k1", within_s: float = 20) -> Deploy:
        """Wait until the deploy is in one of these phases."""

        async def there() -> Deploy | None:
            found = await self.knowledge.deploys.get(key)
            return found if found is not None and found.phase in wanted else None

        found = await eventually(there, within_s, what=f"{key} in {wanted}")
        assert found is not None
        return found

    def phases(self, key: str = "k1") -> list[str]:
        """The phases that were told, in order, each once."""
        return list(dict.fromkeys(str(one.deploy.phase) for one in self.told if one.deploy.key == key))

    def is_in_line(self, key: str) -> bool:
        """Whether its place in the queue was told."""
        return any("queue" in one and "not taken" not in one for one in self.said(key))

    def said(self, key: str = "k1") -> list[str]:
        """What was said, in English."""
        return list(dict.fromkeys(say(one.deploy.message) for one in self.told if one.deploy.key == key))

    async def good_versions(self, stack: str) -> int:
        """How many versions of the stack are kept as good."""
        kept = await self.knowledge.versions.of(self.services[stack].id)
        return sum(one.verdict is VersionVerdict.GOOD for one in kept)

    def held(self) -> list[Alert]:
        """The alerts that were held back."""
        return [one.alert for one in self.heard if isinstance(one, AlertHeldBack)]

    def opened(self) -> list[IncidentOpened]:
        """The incidents that were opened."""
        return [one for one in self.heard if isinstance(one, IncidentOpened)]


TEXTS = load_texts()


def say(words: Text | None) -> str:
    """In English."""
    return TEXTS.render(words, "en") if words is not None else ""
