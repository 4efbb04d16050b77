"""A small world behind the door: real records and runs, and a toolset that begins things and shows what it would do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from core.actions.call_context import current_call
from core.actions.calls import CallRecord
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
from core.actions.executor import ExecutorDeps
from core.actions.gateway import ActionGateway
from core.actions.policy import Actor, ActorKind
from core.bus import Bus
from core.errors import ActionFailed, SystemUnavailable
from core.monitoring.inventory import Inventory
from core.redaction import redact
from core.runs import Done, Run, Waiting
from core.settings import Settings
from core.text import text
from knowledge.stores import Knowledge
from tests.testbed.world import eventually

ADA = Actor(kind=ActorKind.PERSON, id="1001", name="Ada", role=Role.ADMIN)
COOKED = text("door.settled_ok")


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
            return Result(outcome=Outcome.FAILED, message=text("door.settled_failed"))
        if answer == "nothing":
            return Result(outcome=Outcome.NO_DATA, message=text("door.settled_ok"), ends_here=True)
        self.oven.begun.append(call.key)
        if answer == "lost":
            raise SystemUnavailable("oven", "the answer was lost")
        return Result(message=text("door.settled_ok"))


@dataclass(kw_only=True)
class Kitchen:
    """The door and what is behind it."""

    door: ActionGateway
    oven: Oven
    knowledge: Knowledge

    async def ended(self, key: str) -> CallRecord:
        """The record of a call, once it is over."""

        async def is_over() -> bool:
            found = await self.door.ledger.get(key)
            return found is not None and found.state.is_final

        await eventually(is_over, 15, what=f"{key} to end")
        record = await self.door.ledger.get(key)
        assert record is not None
        return record


class WallClock:
    """The real time."""

    def now(self) -> datetime:
        """UTC."""
        return datetime.now(UTC)


@asynccontextmanager
async def kitchen(home: Path, oven: Oven) -> AsyncIterator[Kitchen]:
    """One life of the program."""
    clock = WallClock()
    settings = Settings(data_dir=home)
    async with Knowledge(settings, clock) as knowledge:

        async def follow(run: Run) -> Done | Waiting:
            oven.followed.append(run)
            return Waiting(until=clock.now()) if oven.end is None else Done(result=oven.end)

        knowledge.runs.register("bake", follow)
        carriage = ExecutorDeps(
            catalog=Catalog([OvenToolset(oven)]),
            ledger=knowledge.ledger,
            locks=knowledge.locks,
            facts=knowledge.facts(Inventory),
            runs=knowledge.runs,
            bus=Bus(),
            clock=clock,
            policy=settings.policy,
            redact=redact,
        )
        door = ActionGateway(carriage, knowledge.approvals)
        await knowledge.runs.start()
        await door.recover()
        try:
            yield Kitchen(door=door, oven=oven, knowledge=knowledge)
        finally:
            await knowledge.runs.stop()
