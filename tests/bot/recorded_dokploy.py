"""A Dokploy on paper, for what the chat shows of it: its deploys go exactly as far as a test lets them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from pydantic import JsonValue

from core.actions.call_context import current_call
from core.actions.calls import Call, CallState
from core.actions.catalog import JsonObject, Outcome, Preview, Result, Risk, Toolset, action
from core.actions.executor import CallFinished
from core.actions.policy import Actor, ActorKind
from core.deployments.deploys import (
    FOLLOW_KIND,
    Deploy,
    DeployChanged,
    DeployKind,
    DeployPhase,
    StackVersion,
    VersionContent,
)
from core.deployments.platform import (
    Deployment,
    DeployStatus,
    Domain,
    DomainState,
    ManagedKind,
    ManagedResource,
)
from core.errors import Refused
from core.incidents.incident import Incident
from core.monitoring.inventory import Host
from core.monitoring.snapshot import PlatformView
from core.runs import Done, Run, Waiting
from core.text import Text, text
from integrations.dokploy.actions.stack_params import (
    DeploymentLogParams,
    DeployParams,
    ImageTagParams,
    RollbackParams,
    StackParams,
    UpdateImagesParams,
    VersionDiffParams,
)
from tests.bot.world import FaceWorld
from tests.testbed.world import eventually

FILE = ("services:", "  api:", "    image: granada/api:1", "    environment:", "      TOKEN: •••")
DIFF = (
    "--- then",
    "+++ now",
    "@@ -2,6 +2,6 @@",
    "   api:",
    "     image: granada/api:1",
    "-    mem_limit: 2g",
    "+    mem_limit: 4g",
    "     restart: unless-stopped",
)
LOG = ("Cloning into code", "Pulling api", "Error response from daemon: manifest for granada/api:9 not found")


class PaperDokploy(Toolset):
    """The actions of a Dokploy by their real names and parameters; what they order is only written down."""

    system = "dokploy.compose"

    def __init__(self, world: DokployWorld) -> None:
        self._world = world
        self.asked: list[tuple[str, JsonObject]] = []
        self.problem = ""
        """Why the next order is refused."""

    def failure(self, problem: str) -> Text:
        """How an order fails that was written down before."""
        return text("dokploy.not_ordered", stack="granada", problem=problem)

    def _note(self, name: str, params: StackParams) -> None:
        self.asked.append((name, params.model_dump(exclude_none=True)))

    @action(Risk.READ)
    async def file(self, params: StackParams) -> Result:
        """Show the file."""
        return _lines(FILE * self._world.file_times)

    @action(Risk.READ)
    async def deployment_log(self, params: DeploymentLogParams) -> Result:
        """Show a log."""
        self._note("deployment_log", params)
        result = _lines(LOG)
        return replace(result, data={**result.data, "error_line": LOG[-1], "error": "image_not_found"})

    @action(Risk.READ)
    async def changes(self, params: VersionDiffParams) -> Result:
        """Show a difference."""
        self._note("changes", params)
        return _lines(DIFF)

    async def shown(self, params: StackParams) -> Preview:
        """What would be done."""
        if self.problem:
            raise Refused(self.problem)
        warning = text("dokploy.warn.no_change")
        return Preview(lines=DIFF, warnings=(warning,) if isinstance(params, ImageTagParams) else (), basis="same")

    @action(Risk.CHANGE, preview="shown", follow=FOLLOW_KIND)
    async def deploy(self, params: DeployParams) -> Result:
        """Deploy."""
        return await self._order("deploy", params, DeployKind.DEPLOY, why=params.why)

    @action(Risk.CHANGE, preview="shown", follow=FOLLOW_KIND)
    async def rollback(self, params: RollbackParams) -> Result:
        """Roll back."""
        return await self._order("rollback", params, DeployKind.ROLLBACK, why=params.why)

    @action(Risk.CHANGE, preview="shown", follow=FOLLOW_KIND)
    async def change_image_tag(self, params: ImageTagParams) -> Result:
        """Change a tag."""
        return await self._order("change_image_tag", params, DeployKind.UPDATE, why=f"{params.service}:{params.tag}")

    @action(Risk.CHANGE, preview="shown", follow=FOLLOW_KIND)
    async def update_images(self, params: UpdateImagesParams) -> Result:
        """Fetch newer images."""
        return await self._order("update_images", params, DeployKind.UPDATE, why="newer api")

    @action(Risk.SAFE)
    async def cancel_waiting(self, params: StackParams) -> Result:
        """Take it out of the queue."""
        self._note("cancel_waiting", params)
        return Result(message=text("dokploy.queue_cleaned", stack=params.stack, titles="new memory"))

    async def _order(self, name: str, params: StackParams, what: DeployKind, *, why: str) -> Result:
        by = current_call()
        assert by is not None
        self._note(name, params)
        world = self._world
        versions = await world.knowledge.versions.of("c1")
        await world.put(
            Deploy(
                key=by.key,
                what=what,
                managed_id="c1",
                stack=params.stack,
                app_name=params.stack,
                type="docker-compose",
                host="local",
                title=f"{by.actor.name}: {why} · ig-1a2b3c4d",
                why=why,
                requested_by=by.actor.id,
                requested_name=by.actor.name,
                approved_by=by.approved_by,
                incident_id=by.incident_id,
                ordered_at=world.clock.now(),
                version_id=versions[0].id if versions else None,
                version_before=versions[1].id if len(versions) > 1 else None,
            )
        )
        return Result(message=text("dokploy.ordered", stack=params.stack, title=why))


def _lines(lines: Sequence[str]) -> Result:
    listed: list[JsonValue] = [*lines]
    return Result(message=text("dokploy.file_shown", stack="granada", count=len(lines)), data={"lines": listed})


@dataclass(kw_only=True)
class DokployWorld(FaceWorld):
    """granada and the never deployed nerja are managed by Dokploy, malaga is a plain Compose project."""

    file_times: int = 1
    has_application: bool = False
    """Whether malaga is an application of Dokploy."""
    deployments: tuple[Deployment, ...] = ()
    problem: str = ""
    """Why Dokploy does not answer."""
    paper: PaperDokploy = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.paper = PaperDokploy(self)

    def more_toolsets(self) -> Sequence[Toolset]:
        self.knowledge.runs.register(FOLLOW_KIND, self._follow)
        return (self.paper,)

    async def _follow(self, run: Run) -> Done | Waiting:
        deploy = await self.knowledge.deploys.get(str(run.payload["call"]))
        assert deploy is not None
        if not deploy.phase.is_over:
            return Waiting(until=self.clock.now() + timedelta(seconds=0.05))
        outcome = Outcome.OK if deploy.phase is DeployPhase.GOOD else Outcome.FAILED
        message = deploy.message or text("deploys.runs", stack=deploy.stack)
        return Done(result={"outcome": outcome.value, "message": dict(message.to_json()), "data": {}})

    async def look(self) -> None:
        """What the watchers would see, Dokploy's too."""
        await super().look()
        now = self.clock.now()
        good = Deployment(
            id="d1",
            title="Fix the memory of the api",
            commit="5f3c2d1aa0bb",
            status=DeployStatus.DONE,
            started_at=now - timedelta(hours=2, minutes=1),
            finished_at=now - timedelta(hours=2),
        )
        domain = Domain(id="m1", host="granada.example.com", https=True, service="api", port=8000)
        granada = ManagedResource(
            id="c1",
            kind=ManagedKind.COMPOSE,
            name="granada",
            app_name="granada",
            project="shop",
            environment="production",
            host="local",
            source="git",
            branch="main",
            domains=(domain, Domain(id="m2", host="admin.example.com", service="web", port=9000)),
            deployments=self.deployments or (good,),
            databases=("granada-db",),
        )
        nerja = ManagedResource(
            id="c2", kind=ManagedKind.COMPOSE, name="nerja", app_name="nerja-x7f3k2", source="raw", host="local"
        )
        malaga = ManagedResource(id="a1", kind=ManagedKind.APPLICATION, name="malaga", app_name="malaga", host="local")
        extra = (malaga,) if self.has_application else ()
        dokploy = Host(name="dokploy", is_platform=True, is_reachable=not self.problem, problem=self.problem)
        self._inventory = replace(
            self._inventory, hosts=(*self._inventory.hosts, dokploy), managed=(granada, nerja, *extra)
        )
        states = {
            "m1": DomainState(domain_id="m1", at=now, http_status=200),
            "m2": DomainState(domain_id="m2", at=now, problem="bad_gateway", detail="502"),
        }
        self.platform = PlatformView(managed=self._inventory.managed, domains=states, since=now)

    # -- deploys -----------------------------------------------------------------------------------------------------

    async def put(self, deploy: Deploy) -> None:
        """Write a deploy down and tell of it, as the follower does."""
        before = await self.knowledge.deploys.get(deploy.key)
        await self.knowledge.deploys.put(deploy)
        await self.bus.publish(DeployChanged(deploy=deploy, before=before))

    async def under_way(self) -> Deploy:
        """The one deploy that has no verdict."""

        async def found() -> Deploy | None:
            return next(iter(await self.knowledge.deploys.unfinished()), None)

        deploy = await eventually(found, 10, what="a deploy under way")
        assert deploy is not None
        return deploy

    async def goes(self, phase: DeployPhase, **changes: object) -> Deploy:
        """The deploy under way comes to a phase."""
        deploy = replace(await self.under_way(), phase=phase, **changes)  # type: ignore[arg-type]
        if phase.is_over:
            deploy = replace(deploy, over_at=deploy.ordered_at + timedelta(seconds=72))
        await self.put(deploy)
        return deploy

    async def ends_without_verdict(self, deploy: Deploy, message: Text) -> None:
        """The call ends, and its deploy never gets a verdict."""
        result = Result(outcome=Outcome.FAILED, message=message)
        await self.knowledge.ledger.finish(deploy.key, CallState.FAILED, result, self.clock.now())
        record = await self.knowledge.ledger.get(deploy.key)
        assert record is not None
        await self.bus.publish(CallFinished(record=record))

    async def propose_deploy(self, incident: Incident) -> None:
        """The machine asks for leave to deploy, as the graph would."""
        call = Call(
            key=f"{incident.key}:plan:1:1",
            action="dokploy.compose.deploy",
            params={"stack": "granada"},
            actor=Actor(kind=ActorKind.RUNBOOK, id="bad_deploy", name="bad_deploy"),
            incident_id=incident.id,
            message=text("order.deploy", stack="granada"),
        )
        await self.gateway.submit_plan([call])

    async def fails(self, error_line: str = LOG[-1]) -> Deploy:
        """The deploy under way fails with an error that its log names."""
        first = text("deploys.failed", stack="granada", error=error_line)
        second = text("deploys.still_runs", well=2, total=2)
        message: Text = text("deploys.two", first=first, second=second)
        return await self.goes(
            DeployPhase.FAILED, deployment_id="d9", error_line=error_line, log_tail=LOG, message=message
        )

    async def keep_versions(self) -> list[StackVersion]:
        """A version that held, and one that nobody has judged yet; newest last."""
        kept = []
        for number, (tag, keys) in enumerate((("1", ("DB_URL", "OLD")), ("2", ("DB_URL", "SMTP_HOST")))):
            version = StackVersion(
                managed_id="c1",
                stack="granada",
                app_name="granada",
                source="raw",
                at=self.clock.now() - timedelta(days=2 - number),
                by="tg:1001",
                digest=f"digest-{tag}",
                env_keys=keys,
                images={"api": f"granada/api:{tag}", "postgres": "postgres:16"},
            )
            kept.append(await self.knowledge.versions.add(version, VersionContent(compose_file=f"v{tag}")))
        return kept
