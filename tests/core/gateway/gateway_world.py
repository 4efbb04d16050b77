"""A small world behind the gateway: real records and runs, and a toolset that begins things and previews them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from core.actions.call_context import current_call
from core.actions.call_outcome import CallLimits
from core.actions.calls import Call, CallRecord
from core.actions.catalog import (
    Catalog,
    JsonObject,
    Outcome,
    Params,
    Preview,
    Result,
    Risk,
    Role,
    Toolset,
    action,
)
from core.actions.executor import CallFinished, ExecutorDeps
from core.actions.gateway import ActionGateway
from core.actions.policy import Actor, ActorKind
from core.bus import Bus
from core.errors import ActionFailed, SystemUnavailable
from core.monitoring.inventory import Inventory
from core.redaction import redact
from core.runs import Done, Run, Waiting
from core.settings import Settings
from core.text import text
from knowledge.database import sqlite_url
from knowledge.stores import Knowledge
from tests.knowledge.failing_database import FailingDatabase
from tests.testbed.world import eventually

ADA = Actor(kind=ActorKind.PERSON, id="1001", name="Ada", role=Role.ADMIN)
COOKED = text("gateway.settled_ok")
WARM = text("action.oven.warm")
QUICK = CallLimits(lock_s=5.0, settle_s=0.4, answer_s=0.2, records_s=0.05)


class OvenParams(Params):
    """What to bake."""

    dish: str = "bread"
    spice: SecretStr | None = None
    """The cook's own."""

    def target(self) -> str:
        """One thing at a time."""
        return "stack:kitchen"


@dataclass
class Oven:
    """The world outside."""

    recipe: str = "flour"
    begun: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    """`lost`, `refused`, or nothing more: it goes well."""
    end: JsonObject | None = None
    """What the following run says in the end; None: it goes on."""
    followed: list[Run] = field(default_factory=list)
    spices: list[str] = field(default_factory=list)
    is_there: bool = True
    warmed: list[str] = field(default_factory=list)
    """Keys of the calls that warmed it."""
    meanwhile: Callable[[], Awaitable[None]] | None = None
    """What happens while it is being warmed."""
    shows: Outcome | None = Outcome.OK
    """What it answers when it is asked whether it is warm; None: it never answers."""
    asked: int = 0
    inside: int = 0
    most_inside: int = 0
    """How many worked on it, or asked it, at once."""

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Somebody is at it."""
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        try:
            yield
        finally:
            self.inside -= 1


class OvenToolset(Toolset):
    """Begins to bake."""

    system = "oven"

    def __init__(self, oven: Oven) -> None:
        self.oven = oven

    def unavailable(self) -> str | None:
        """Sold, perhaps."""
        return None if self.oven.is_there else "there is no oven any more"

    async def shown(self, params: OvenParams) -> Preview:
        """The recipe as it is."""
        if params.dish == "stone":
            raise ActionFailed("a stone cannot be baked; choose bread")
        return Preview(lines=(f"- {self.oven.recipe}", f"+ {params.dish}"), basis=self.oven.recipe)

    @action(Risk.CHANGE, preview="shown", follow="bake", time_limit_s=5.0)
    async def bake(self, params: OvenParams) -> Result:
        """Begin to bake."""
        call = current_call()
        assert call is not None
        if params.spice is not None:
            self.oven.spices.append(params.spice.get_secret_value())
        answer = self.oven.answers.pop(0) if self.oven.answers else ""
        if answer == "refused":
            return Result(outcome=Outcome.FAILED, message=text("gateway.settled_failed"))
        if answer == "nothing":
            return Result(outcome=Outcome.NO_DATA, message=text("gateway.settled_ok"), ends_here=True)
        self.oven.begun.append(call.key)
        if answer == "lost":
            raise SystemUnavailable("oven", "the answer was lost")
        return Result(message=text("gateway.settled_ok"))

    @action(Risk.SAFE, outcome="is_warm", undo="cooled", snapshot="temperature", time_limit_s=1.0)
    async def warm(self, params: OvenParams) -> Result:
        """Warm it, at once."""
        call = current_call()
        assert call is not None
        with self.oven.at_work():
            self.oven.warmed.append(call.key)
            if self.oven.meanwhile is not None:
                await self.oven.meanwhile()
            answer = self.oven.answers.pop(0) if self.oven.answers else ""
            if answer == "lost":
                raise SystemUnavailable("oven", "the answer was lost")
            return Result(outcome=Outcome.FAILED if answer == "refused" else Outcome.OK, message=WARM)

    async def temperature(self, params: OvenParams) -> JsonObject:
        """It was cold."""
        return {"celsius": 20}

    async def cooled(self, params: OvenParams, snapshot: JsonObject) -> Result:
        """Cool it down again."""
        if self.oven.meanwhile is not None:
            await self.oven.meanwhile()
        return Result(message=WARM)

    async def is_warm(self, params: OvenParams, started_at: datetime) -> Outcome:
        """Touch it."""
        with self.oven.at_work():
            self.oven.asked += 1
            if self.oven.shows is None:
                await asyncio.Event().wait()
            return self.oven.shows or Outcome.UNKNOWN


@dataclass(kw_only=True)
class Kitchen:
    """The gateway and what is behind it."""

    gateway: ActionGateway
    oven: Oven
    knowledge: Knowledge
    database: FailingDatabase
    told: list[CallRecord] = field(default_factory=list)
    """Ends that everybody heard of."""
    is_facts_broken: bool = False

    def inventory(self) -> Inventory:
        """What the policy rests on."""
        if self.is_facts_broken:
            raise RuntimeError("nobody knows what is where")
        return Inventory()

    async def warm(self, key: str = "w1") -> None:
        """A person orders it."""
        await self.gateway.submit(Call(key=key, action="oven.warm", params={}, actor=ADA))

    async def ended(self, key: str) -> CallRecord:
        """The record of a call, once it is over and the records are back."""
        await eventually(lambda: not self.database.is_failing, what="the records being back")

        async def is_over() -> bool:
            found = await self.gateway.ledger.get(key)
            return found is not None and found.state.is_final

        await eventually(is_over, 15, what=f"{key} to end")
        record = await self.gateway.ledger.get(key)
        assert record is not None
        return record


class WallClock:
    """The real time."""

    def now(self) -> datetime:
        """UTC."""
        return datetime.now(UTC)


@asynccontextmanager
async def kitchen(home: Path, oven: Oven, limits: CallLimits = QUICK) -> AsyncIterator[Kitchen]:
    """One life of the program."""
    clock = WallClock()
    settings = Settings(data_dir=home)
    database = FailingDatabase(sqlite_url(home / "guardian.db"))
    async with Knowledge(settings, clock, database=database) as knowledge:

        async def follow(run: Run) -> Done | Waiting:
            oven.followed.append(run)
            return Waiting(until=clock.now()) if oven.end is None else Done(result=oven.end)

        async def note(event: CallFinished) -> None:
            world.told.append(event.record)

        knowledge.runs.register("bake", follow)
        bus = Bus()
        bus.subscribe(CallFinished, note)
        deps = ExecutorDeps(
            catalog=Catalog([OvenToolset(oven)]),
            ledger=knowledge.ledger,
            locks=knowledge.locks,
            facts=knowledge.facts(lambda: world.inventory()),
            runs=knowledge.runs,
            bus=bus,
            clock=clock,
            policy=settings.policy,
            redact=redact,
            limits=limits,
        )
        gateway = ActionGateway(deps, knowledge.approvals)
        world = Kitchen(gateway=gateway, oven=oven, knowledge=knowledge, database=database)
        await knowledge.runs.start()
        await gateway.recover()
        try:
            yield world
        finally:
            await knowledge.runs.stop()
