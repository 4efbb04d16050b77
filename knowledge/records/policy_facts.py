"""Facts for the policy: settings, changes made in the chat, the inventory, and counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from core.actions.calls import Budget, Call
from core.actions.catalog import Risk
from core.actions.policy import ActorKind, Facts
from core.clock import Clock
from core.incidents.incident import WITH_A_PERSON, IncidentState
from core.monitoring.inventory import Container, Inventory
from core.settings import Autonomy, Settings
from knowledge.database import Database
from knowledge.records.call_records import LedgerRecords
from knowledge.records.incident_records import IncidentRecords
from knowledge.records.lesson_records import LessonRecords
from knowledge.records.setting_records import SettingRecords
from knowledge.tables import calls

TRUE_WORDS = ("true", "1", "yes", "on")
FALSE_WORDS = ("false", "0", "no", "off")


@dataclass(frozen=True, kw_only=True)
class FactSources:
    """Sources of the facts."""

    database: Database
    ledger: LedgerRecords
    incidents: IncidentRecords
    lessons: LessonRecords
    changed: SettingRecords
    settings: Settings
    clock: Clock


def stack_of_target(target: str | None) -> tuple[str | None, None]:
    """The stack of a target such as `stack:granada`."""
    kind, _, name = (target or "").partition(":")
    return (name, None) if kind == "stack" and name else (None, None)


class PolicyFactRecords:
    """core.actions.calls.PolicyFacts over the records."""

    def __init__(self, sources: FactSources, inventory: Callable[[], Inventory]) -> None:
        self._from = sources
        self._inventory = inventory

    async def load(self, call: Call, target: str | None) -> tuple[Facts, str | None, str | None]:
        """Load the facts, and the stack and service that the target belongs to.

        A target that is not (or no longer) in the inventory is taken for that of the call's incident.
        """
        container = self._inventory().container(target) if target else None
        stack, service = (container.stack, container.service) if container else stack_of_target(target)
        incident = await self._from.incidents.get(call.incident_id) if call.incident_id is not None else None
        if stack is None and container is None and incident is not None:
            stack, service = incident.stack, incident.service
        now = self._from.clock.now()
        facts = Facts(
            autonomy=await self._autonomy(stack),
            is_frozen=await self._from.changed.freeze() is not None,
            is_critical=self._is_critical(container, stack, service),
            is_proven=await self._is_proven(call, stack),
            attempts=await self._attempts(call),
            disruptive_last_hour=await self._spent(Risk.DISRUPTIVE, stack, service, now - timedelta(hours=1)),
            changes_today=await self._spent(Risk.CHANGE, stack, None, now - timedelta(days=1)),
            is_with_a_person=incident is not None and incident.state in {*WITH_A_PERSON, IncidentState.CLOSED},
        )
        return facts, stack, service

    async def autonomy(self, stack: str | None) -> Autonomy:
        """The autonomy in force for a stack: set in the chat, else in its settings, else in the general ones."""
        return await self._autonomy(stack)

    async def _autonomy(self, stack: str | None) -> Autonomy:
        settings = self._from.settings
        if stack is None:
            return settings.policy.autonomy
        changed = await self._from.changed.autonomy(stack)
        own = settings.stacks[stack].autonomy if stack in settings.stacks else None
        return changed or own or settings.policy.autonomy

    def _is_critical(self, container: Container | None, stack: str | None, service: str | None) -> bool:
        settings = self._from.settings
        if stack in settings.stacks and service in settings.stacks[stack].critical:
            return True
        if container is None:
            parts = [one for one in self._inventory().containers if stack is not None and one.stack == stack]
            return any(self._is_marked(one) for one in parts)
        return self._is_marked(container)

    def _is_marked(self, container: Container) -> bool:
        settings = self._from.settings
        said = container.labels.get(settings.policy.critical_label, "").strip().lower()
        if said in TRUE_WORDS:
            return True
        if said in FALSE_WORDS:
            return False
        image = container.image.lower()
        return any(word in image for word in settings.policy.critical_words)

    async def _is_proven(self, call: Call, stack: str | None) -> bool:
        if call.actor.kind is not ActorKind.RUNBOOK or not call.cause:
            return False
        wins = await self._from.lessons.wins_since_failure(runbook=call.actor.id, cause=call.cause, stack=stack)
        return wins >= self._from.settings.policy.proven_after

    async def _attempts(self, call: Call) -> int:
        """Number of the incident's plans that began to act, this one included."""
        if call.incident_id is None:
            return 0
        query = (
            select(calls.c.attempt)
            .distinct()
            .where(
                calls.c.incident_id == call.incident_id, calls.c.by_machine.is_(True), calls.c.started_at.is_not(None)
            )
        )
        async with self._from.database.read() as connection:
            begun = set((await connection.execute(query)).scalars())
        return len(begun | {call.attempt})

    async def _spent(self, risk: Risk, stack: str | None, service: str | None, since: datetime) -> int:
        if stack is None and service is None:
            return 0
        budget = Budget(risks=(risk,), stack=stack, service=service, since=since, limit=0)
        return await self._from.ledger.machine_made(budget)
