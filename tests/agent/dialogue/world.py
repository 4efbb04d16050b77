"""Three stacks, a small catalogue over them, a real door over SQLite, and a dialogue that answers about them."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Annotated, cast

from pydantic import Field, JsonValue

from agent.chat.conversation import AnswerPart, ChatQuestion
from agent.chat.dialogue import ChatDeps, RulesFirstDialogue
from core.actions.catalog import Catalog, Outcome, Params, Result, Risk, Role, Toolset, action
from core.actions.executor import ExecutorDeps
from core.actions.gateway import ActionGateway
from core.actions.policy import Actor, ActorKind
from core.bus import Bus
from core.errors import SystemUnavailable
from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert, Evidence, Severity
from core.incidents.incident import Incident
from core.language_model import LanguageModel
from core.monitoring.inventory import Container, ContainerState, Health, Host, Inventory
from core.redaction import Redactor
from core.settings import Settings
from core.text import Language, text
from knowledge.config.text_files import load_texts
from knowledge.stores import Knowledge
from tests.knowledge.tools import SetClock

ADA = Actor(kind=ActorKind.PERSON, id="tg:1", name="Ada", role=Role.ADMIN)
GRACE = Actor(kind=ActorKind.PERSON, id="tg:2", name="Grace", role=Role.VIEWER)
MB = 1024 * 1024
SERVICES = {
    "granada": ("api", "frontend", "celery", "postgres"),
    "rag": ("api", "weaviate"),
    "n8n": ("worker",),
}


class ContainerParams(Params):
    """One container."""

    container: str

    def target(self) -> str | None:
        return self.container


class LogsParams(ContainerParams):
    """Which lines."""

    tail: Annotated[int, Field(ge=1, le=2000, description="so many last lines")] = 100


class ListParams(Params):
    """Which containers."""

    stack: str | None = None


class StatsParams(Params):
    """Whose resources."""

    container: str | None = None

    def target(self) -> str | None:
        return self.container


class SmallDocker(Toolset):
    """Actions on the world's containers; remembers what was asked of it."""

    system = "docker"

    def __init__(self, inventory: Callable[[], Inventory]) -> None:
        self._inventory = inventory
        self.asked: list[str] = []
        self.log_lines: list[str] = ["ready"]
        self.is_away = False

    @action(Risk.READ)
    async def list(self, params: ListParams) -> Result:
        """List containers."""
        self.asked.append(f"list {params.stack}")
        refs: list[JsonValue] = [one.ref for one in self._inventory().containers]
        return Result(message=text("docker.listed", count=len(refs), running=1), data={"containers": refs})

    @action(Risk.READ)
    async def logs(self, params: LogsParams) -> Result:
        """Read the last lines of a container's log."""
        self.asked.append(f"logs {params.container} {params.tail}")
        lines = cast("list[JsonValue]", self.log_lines)
        return Result(message=text("docker.logs_read", container=params.container, count=1), data={"lines": lines})

    @action(Risk.READ)
    async def stats(self, params: StatsParams) -> Result:
        """Measure a container."""
        self.asked.append(f"stats {params.container}")
        if self.is_away:
            raise SystemUnavailable("docker", "no answer")
        row: JsonValue = {"container": params.container, "cpu_pct": 12.5, "memory_mb": 300.0}
        return Result(message=text("docker.stats_all", count=1), data={"containers": [row]})

    @action(Risk.READ, role=Role.ADMIN)
    async def secrets(self, params: ListParams) -> Result:
        """Something that only admins may look at."""
        return Result(outcome=Outcome.OK, message=text("docker.listed", count=0, running=0))

    @action(Risk.DISRUPTIVE)
    async def restart(self, params: ContainerParams) -> Result:
        """Restart a container."""
        self.asked.append(f"restart {params.container}")
        return Result(message=text("docker.restarted", container=params.container, state="running"))


@dataclass
class World:
    """Everything a test needs."""

    clock: SetClock
    settings: Settings
    knowledge: Knowledge
    inventory: Inventory
    alerts: list[Alert] = field(default_factory=list)
    redactor: Redactor = field(default_factory=Redactor)
    sees: Callable[[Actor, str | None], bool] = lambda _, __: True

    def __post_init__(self) -> None:
        self.docker = SmallDocker(lambda: self.inventory)
        self.texts = load_texts()
        self.gateway = ActionGateway(
            ExecutorDeps(
                catalog=Catalog([self.docker]),
                ledger=self.knowledge.ledger,
                locks=self.knowledge.locks,
                facts=self.knowledge.facts(lambda: self.inventory),
                runs=self.knowledge.runs,
                bus=Bus(),
                clock=self.clock,
                policy=self.settings.policy,
                redact=self.redactor.redact,
            ),
            self.knowledge.approvals,
        )

    def dialogue(self, model: LanguageModel | None = None) -> RulesFirstDialogue:
        return RulesFirstDialogue(
            ChatDeps(
                gateway=self.gateway,
                inventory=lambda: self.inventory,
                firing=lambda: self.alerts,
                incidents=self.knowledge.incidents,
                series=self.knowledge.series,
                model=model,
                texts=self.texts,
                redact=self.redactor.redact,
                clock=self.clock,
                settings=self.settings,
                sees=lambda actor, stack: self.sees(actor, stack),
                called=lambda actor: {"tg:1": "Ada", "tg:2": "Grace"}.get(actor, actor),
                deploys=self.knowledge.deploys,
                versions=self.knowledge.versions,
            )
        )

    def becomes(self, ref: str, **changes: object) -> None:
        """Change a container of the inventory."""
        changed = [replace(one, **changes) if one.ref == ref else one for one in self.inventory.containers]  # type: ignore[arg-type]
        self.inventory = replace(self.inventory, containers=tuple(changed))

    async def opens(self, target: str = "granada/api", *, ago_s: float = 60, **changes: object) -> Incident:
        """An incident in the records."""
        stack, _, service = target.partition("/")
        at = self.clock.now() - timedelta(seconds=ago_s)
        alert = an_alert(stack, service, at)
        incident = Incident(
            severity=Severity.CRITICAL,
            host="local",
            stack=stack,
            service=service,
            container=f"{stack}-{service}-1",
            message=alert.message,
            kind=alert.kind,
            opened_at=at,
            occurred_at=at,
            updated_at=at,
            alerts=(alert,),
        )
        return await self.knowledge.incidents.open(replace(incident, **changes))  # type: ignore[arg-type]


def an_alert(stack: str, service: str, at: object, **facts: JsonValue) -> Alert:
    evidence = tuple(Evidence(name=name, value=value, at=at, source="test") for name, value in facts.items())  # type: ignore[arg-type]
    return Alert(
        kind=AlertKind.CONTAINER_DIED,
        severity=Severity.CRITICAL,
        host="local",
        stack=stack,
        service=service,
        container=f"{stack}-{service}-1",
        at=at,  # type: ignore[arg-type]
        message=text("watch.quiet.down", container=f"{stack}-{service}-1"),
        evidence=evidence,
    )


def inventory(clock: SetClock) -> Inventory:
    started = clock.now() - timedelta(days=3)
    containers = [
        Container(
            host="local",
            id=f"{stack}{service}".encode().hex(),
            name=f"{stack}-{service}-1",
            stack=stack,
            service=service,
            image=f"example/{service}:1",
            state=ContainerState.RUNNING,
            health=Health.HEALTHY if service == "api" else Health.NONE,
            created_at=started,
            started_at=started,
            memory_limit_bytes=1024 * MB if service == "api" else 0,
        )
        for stack, services in SERVICES.items()
        for service in services
    ]
    return Inventory(hosts=(Host(name="local"),), containers=tuple(containers))


def question(
    words: str,
    *,
    language: Language = "en",
    actor: Actor = ADA,
    incident_id: int | None = None,
    chat: str = "10:0",
) -> ChatQuestion:
    return ChatQuestion(text=words, language=language, actor=actor, chat=chat, incident_id=incident_id)


async def parts_of(dialogue: RulesFirstDialogue, asked: ChatQuestion) -> list[AnswerPart]:
    """All parts of an answer; fails when it takes longer than a moment."""
    async with asyncio.timeout(10), aclosing(dialogue.answer(asked)) as answer:
        return [part async for part in answer]


def kinds(parts: Sequence[AnswerPart]) -> list[str]:
    return [type(part).__name__ for part in parts]
