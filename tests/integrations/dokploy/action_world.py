"""A Dokploy with its engine, and calls of its actions carried out as the gateway does: shown, kept, done, undone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import docker
from pydantic import SecretStr

from core.actions.call_context import CurrentCall, as_current_call
from core.actions.catalog import Action, Catalog, JsonObject, Preview, Result, Role
from core.actions.policy import Actor, ActorKind
from core.deployments.deploys import Deploy, DeployPhase, Deploys, VersionVerdict
from core.deployments.platform import (
    Deployment,
    DeployStatus,
    ManagedKind,
    ManagedResource,
    StackName,
    StackNames,
)
from core.monitoring.inventory import Host, Inventory, join
from core.redaction import Redactor
from integrations.docker_engine.client.real_engine import RealEngine
from integrations.docker_engine.deploy_images import DeployImageStore
from integrations.dokploy.actions.dokploy_toolsets import DokployDeps, build_toolsets
from integrations.dokploy.client.dokploy_client import Dokploy
from integrations.dokploy.deploys.version_keeping import sort_deployment_rows
from integrations.dokploy.models import ComposeRow
from knowledge.records.deploy_records import DeployRecords
from knowledge.records.version_records import VersionRecords
from tests.standins.dokploy import DokployStandin, Project, Service
from tests.testbed.world import eventually

ADA = Actor(kind=ActorKind.PERSON, id="tg:1", name="Ada", role=Role.ADMIN)
HOST = "local"


class WallClock:
    """The real time."""

    def now(self) -> datetime:
        """The moment."""
        return datetime.now(UTC)


@dataclass(kw_only=True)
class ActionWorld:
    """One of everything. `stack`s are named as in Dokploy; `look` takes a new inventory."""

    standin: DokployStandin
    client: Dokploy
    engine: RealEngine
    docker: docker.DockerClient
    image: str
    deploys: DeployRecords
    versions: VersionRecords
    names: StackNames
    redactor: Redactor = field(default_factory=Redactor)
    inventory: Inventory = field(default_factory=Inventory)
    services: list[Service] = field(default_factory=list)
    calls: int = 0
    memory_mb: int = 8192
    is_watched: bool = True
    others: list[Dokploy] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.project: Project = self.standin.add_project("shop")
        self.catalog = self.catalog_with(self.client)

    def catalog_with(self, client: Dokploy | None, *, deploys: Deploys | None = None) -> Catalog:
        """The same world through another client, or with other records."""
        parts = DokployDeps(
            client=client,
            inventory=lambda: self.inventory,
            deploys=deploys or self.deploys,
            versions=self.versions,
            images=DeployImageStore({HOST: self.engine}),
            redact=self.redactor.redact,
            clock=WallClock(),
        )
        return Catalog(build_toolsets(parts))

    def client_of(self, key: str) -> Dokploy:
        """A client with another key; closed with the world."""
        settings = self.client.settings.model_copy(update={"api_key": SecretStr(key)})
        self.others.append(Dokploy(settings))
        return self.others[-1]

    # -- the world ---------------------------------------------------------------------------------------------------

    def file(self, *, program: str = "web.py", image: str | None = None, more: str = "", top: str = "") -> str:
        """A file with one service `web`."""
        return (
            f"# kept by hand\nservices:\n  web:\n    image: {image or self.image}  # ours\n"
            f'    command: ["python3", "/srv/{program}"]\n    stop_grace_period: 1s\n{more}{top}'
        )

    async def compose(self, name: str = "granada", file: str | None = None, **columns: object) -> Service:
        """A compose that was never deployed."""
        given = {"compose_file": self.file() if file is None else file, **columns}
        made = self.standin.add_compose(self.project, name, **given)  # type: ignore[arg-type]
        self.services.append(made)
        self.names.learn([StackName(app_name=made.app_name, name=name)])
        await self.look()
        return made

    async def running(self, name: str = "granada", file: str | None = None, **columns: object) -> Service:
        """A compose that somebody deployed in Dokploy itself, and that runs."""
        made = await self.compose(name, file, **columns)
        await self.deployed_by_hand(made)
        return made

    async def deployed_by_hand(self, service: Service) -> None:
        """Somebody deploys it in Dokploy itself."""
        count = len(self.standin.deployments(service))
        await self.client.composes.deploy(service.id)
        await eventually(lambda: len(self.standin.deployments(service)) > min(count, 9) and self._is_quiet(service))
        await self.look()

    def _is_quiet(self, service: Service) -> bool:
        found = self.standin.deployments(service)
        return bool(found) and all(row["status"] != "running" for row in found)

    async def look(self) -> None:
        """Take an inventory as the watchers would."""
        rows = [await self.client.composes.one(one.id) for one in self.services]
        managed = tuple(_managed(row) for row in rows)
        ours = {one.app_name for one in managed}
        containers = await self.engine.containers() if self.is_watched else []
        host = Host(name=HOST, cpus=4, memory_total_bytes=self.memory_mb * 1024 * 1024)
        part = Inventory(hosts=(host,), containers=tuple(one for one in containers if one.project in ours))
        self.inventory = join([part, Inventory(managed=managed)])
        if not self.is_watched:
            self.inventory = replace(self.inventory, managed=managed)

    # -- calls -------------------------------------------------------------------------------------------------------

    def action(self, name: str) -> Action:
        """An action of the catalogue."""
        return self.catalog.get(f"dokploy.{name}")

    async def preview(self, name: str, /, **params: object) -> Preview:
        """What it would do."""
        action = self.action(name)
        assert action.preview is not None
        return await action.preview(action.parse(params))

    async def read(self, name: str, /, **params: object) -> Result:
        """A question."""
        action = self.action(name)
        return await action.run(action.parse(params))

    async def do(self, name: str, /, **params: object) -> Done:
        """A call from its snapshot on; errors pass."""
        action = self.action(name)
        given = action.parse(params)
        with self.calling() as key:
            snapshot = await action.snapshot(given) if action.snapshot is not None else {}
            result = await action.run(given)
        return Done(name=name, params=params, key=key, snapshot=snapshot, result=result)

    async def undo(self, done: Done) -> Done:
        """The call that takes it back."""
        action = self.action(done.name)
        assert action.undo is not None
        with self.calling() as key:
            result = await action.undo(action.parse(done.params), done.snapshot)
        return replace(done, key=key, result=result)

    @contextmanager
    def calling(self, actor: Actor = ADA) -> Iterator[str]:
        """What is awaited inside belongs to a new call."""
        self.calls += 1
        key = f"call-{self.calls}"
        with as_current_call(CurrentCall(key=key, actor=actor)):
            yield key

    async def ended(self, service: Service, key: str, *, verdict: VersionVerdict = VersionVerdict.GOOD) -> Deploy:
        """Wait until its deployment is over, and judge it, as following a deploy does."""
        deploy = await self.deploys.get(key)
        assert deploy is not None
        await eventually(lambda: any(row["deploymentId"] not in deploy.known_ids for row in self._over(service)))
        await self.look()
        ran = {one.service: one.image_id for one in self.inventory.containers if one.project == service.app_name}
        new = next(row for row in self._over(service) if row["deploymentId"] not in deploy.known_ids)
        phase = DeployPhase.GOOD if verdict is VersionVerdict.GOOD else DeployPhase.CRASHED
        over = replace(deploy, phase=phase, deployment_id=str(new["deploymentId"]), over_at=datetime.now(UTC))
        await self.deploys.put(over)
        if deploy.version_id is not None:
            await self.versions.judge(deploy.version_id, verdict, image_ids=ran)
        return over

    def _over(self, service: Service) -> list[dict[str, object]]:
        return [row for row in self.standin.deployments(service) if row["status"] != "running"]

    def posts(self, procedure: str) -> int:
        """How often it was ordered."""
        return len(self.standin.asked(procedure))


@dataclass(frozen=True, kw_only=True)
class Done:
    """A call that was carried out."""

    name: str
    params: dict[str, object]
    key: str
    snapshot: JsonObject
    result: Result


def _managed(row: ComposeRow) -> ManagedResource:
    deployments = tuple(
        Deployment(id=one.deployment_id, status=DeployStatus(str(one.status)), created_at=one.created_at)
        for one in sort_deployment_rows(row.deployments)
    )
    branch = getattr(row, row.branch_field) if row.branch_field else None
    return ManagedResource(
        id=row.compose_id,
        kind=ManagedKind.COMPOSE,
        name=row.name,
        app_name=row.app_name or "",
        project="shop",
        environment="production",
        source=str(row.source_type),
        type=str(row.compose_type),
        server=row.server_id,
        branch=branch,
        status=str(row.compose_status),
        deployments=deployments,
    )
