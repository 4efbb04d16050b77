"""The contract of decisions, without any face: real records, the real gateway, and a toolset that only counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from core.actions.approvals import Approval, ApprovalState
from core.actions.calls import Call
from core.actions.catalog import Catalog, Params, Result, Risk, Role, Toolset, action
from core.actions.executor import ExecutorDeps
from core.actions.gateway import ActionGateway
from core.actions.policy import Actor, ActorKind
from core.bus import Bus
from core.clock import SystemClock
from core.decisions import ApprovalDecided, DecisionDeps, Decisions
from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert, Severity
from core.incidents.incident import Incident, IncidentState
from core.incidents.tracker import IncidentTracker
from core.monitoring.inventory import Inventory
from core.monitoring.topology import Topology
from core.people import Person
from core.redaction import redact
from core.settings import Autonomy, Settings
from core.text import text
from core.views.incident_card import digest_of
from knowledge.stores import Knowledge
from tests.testbed.world import eventually

ADA = Person(user_id=1, name="Ada", role=Role.ADMIN)
OLGA = Person(user_id=2, name="Olga", role=Role.OPERATOR)
GRACE = Person(user_id=3, name="Grace", role=Role.VIEWER, stack_roles={"blog": Role.OPERATOR})
MALLORY = Person(user_id=4, name="Mallory")


class GateParams(Params):
    """Which gate."""

    name: str = "north"


class GateToolset(Toolset):
    """Gates that are opened, or torn down."""

    system = "gate"

    def __init__(self) -> None:
        self.done: list[str] = []

    @action(Risk.CHANGE)
    async def open(self, params: GateParams) -> Result:
        """Open a gate."""
        self.done.append(params.name)
        return Result(message=text("gateway.settled_ok"))

    @action(Risk.DESTRUCTIVE)
    async def destroy(self, params: GateParams) -> Result:
        """Tear a gate down."""
        self.done.append(params.name)
        return Result(message=text("gateway.settled_ok"))


@dataclass(kw_only=True)
class House:
    """Everything that decisions rest on."""

    knowledge: Knowledge
    gateway: ActionGateway
    tracker: IncidentTracker
    gates: GateToolset
    bus: Bus
    clock: SystemClock
    woken: list[int] = field(default_factory=list)
    decided: list[Approval] = field(default_factory=list)

    def face(self) -> Decisions:
        """One of several faces."""
        return Decisions(
            DecisionDeps(
                gateway=self.gateway,
                tracker=self.tracker,
                silences=self.knowledge.silences,
                overrides=self.knowledge.settings,
                audit=self.knowledge.audit,
                bus=self.bus,
                clock=self.clock,
                redact=redact,
                wake=self._wake,
            )
        )

    async def _wake(self, incident: Incident) -> None:
        self.woken.append(incident.id)

    async def hear(self, event: ApprovalDecided) -> None:
        """A face shows it."""
        self.decided.append(event.approval)

    async def incident(self, stack: str = "shop") -> Incident:
        """Something died."""
        now = self.clock.now()
        alert = Alert(
            kind=AlertKind.CONTAINER_DIED,
            severity=Severity.CRITICAL,
            host="local",
            stack=stack,
            service="api",
            container=f"{stack}-api-1",
            at=now,
            message=text("alert.container_died.oom", service=f"{stack}/api", limit=512),
        )
        incident = await self.tracker.raise_alert(alert, Topology())
        assert incident is not None
        return incident

    async def asked(self, incident: Incident, name: str = "open", count: int = 1) -> list[Approval]:
        """A runbook asks people."""
        calls = [
            Call(
                key=f"{incident.key}:plan:{place}:1",
                action=f"gate.{name}",
                params={"name": f"gate-{place}"},
                actor=Actor(kind=ActorKind.RUNBOOK, id="gates", name="gates"),
                incident_id=incident.id,
            )
            for place in range(count)
        ]
        await self.gateway.submit_plan(calls)
        return [one for one in await self.gateway.approvals.pending() if one.incident_id == incident.id]

    async def audited(self) -> list[tuple[str, str]]:
        """Who did what, oldest first."""
        return [(one.actor_name, one.what) for one in reversed(await self.knowledge.audit.recent())]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Give a house over SQLite."""
    clock, settings, bus, gates = SystemClock(), Settings(data_dir=tmp_path), Bus(), GateToolset()
    async with Knowledge(settings, clock) as knowledge:
        deps = ExecutorDeps(
            catalog=Catalog([gates]),
            ledger=knowledge.ledger,
            locks=knowledge.locks,
            facts=knowledge.facts(Inventory),
            runs=knowledge.runs,
            bus=bus,
            clock=clock,
            policy=settings.policy,
            redact=redact,
        )
        tracker = IncidentTracker(
            store=knowledge.incidents, silences=knowledge.silences, bus=bus, clock=clock, settings=settings.watch
        )
        gateway = ActionGateway(deps, knowledge.approvals)
        house = House(knowledge=knowledge, gateway=gateway, tracker=tracker, gates=gates, bus=bus, clock=clock)
        bus.subscribe(ApprovalDecided, house.hear)
        await knowledge.runs.start()
        yield house
        await knowledge.runs.stop()


async def test_the_first_decision_wins_whichever_face_it_comes_from(house: House) -> None:
    incident = await house.incident()
    [asked] = await house.asked(incident)
    chat, page = house.face(), house.face()
    results = await asyncio.gather(chat.approve(ADA, asked.id, 0), page.deny(OLGA, asked.id, "not now"))
    assert sorted(one.is_done for one in results) == [False, True]
    decided = await house.gateway.approvals.get(asked.id)
    assert decided is not None
    is_approved = results[0].is_done
    assert decided.state is (ApprovalState.APPROVED if is_approved else ApprovalState.DENIED)
    assert [one.state for one in house.decided] == [decided.state]
    assert await house.audited() == [("Ada", "approve") if is_approved else ("Olga", "deny")]


async def test_an_impatient_person_acts_once(house: House) -> None:
    incident = await house.incident()
    [asked] = await house.asked(incident)
    face = house.face()
    results = await asyncio.gather(*(face.approve(ADA, asked.id, 0) for _ in range(3)))
    assert sum(one.is_done for one in results) == 1
    await eventually(lambda: house.gates.done, 10, what="the gate being open")
    assert not (await face.approve(ADA, asked.id, 0)).is_done
    assert house.gates.done == ["gate-0"]
    assert await house.audited() == [("Ada", "approve")]


async def test_a_double_tap_is_one_confirmation_of_two(house: House) -> None:
    incident = await house.incident()
    [asked] = await house.asked(incident, "destroy")
    face = house.face()
    assert asked.confirmations_needed == 2
    first = await face.approve(ADA, asked.id, 0)
    assert first.is_done and first.message == text("decide.confirmed", missing=1)
    again = await face.approve(ADA, asked.id, 0)
    assert not again.is_done and again.message == text("decide.counted_before")
    assert [(one.state, len(one.confirmed_by)) for one in house.decided] == [(ApprovalState.PENDING, 1)]
    assert (await face.approve(ADA, asked.id, 1)).message == text("decide.approved")
    await eventually(lambda: house.gates.done, 10, what="the gate being down")


@pytest.mark.parametrize("person", [GRACE, MALLORY], ids=lambda one: one.name)
async def test_nobody_decides_without_the_role_on_the_stack(house: House, person: Person) -> None:
    incident = await house.incident()
    [asked] = await house.asked(incident)
    face = house.face()
    silenced, _ = await face.silence(ADA, "shop", "shop", timedelta(hours=1))
    [held] = await house.knowledge.silences.active(house.clock.now())
    refused = [
        await face.approve(person, asked.id, 0),
        await face.deny(person, asked.id),
        await face.approve_all(person, incident.id, digest_of([asked])),
        await face.deny_all(person, incident.id),
        await face.take(person, incident),
        await face.close(person, incident, "mine"),
        (await face.silence(person, "shop", "shop", timedelta(hours=1)))[0],
        await face.end_silence(person, held.id),
        await face.freeze(person, True),
        await face.autonomy(person, "shop", Autonomy.AUTO),
    ]
    assert silenced.is_done and not any(one.is_done for one in refused)
    still = await house.gateway.approvals.get(asked.id)
    now = await house.tracker.get(incident.id)
    assert still is not None and still.state is ApprovalState.PENDING and now is not None and now.is_open
    assert await house.knowledge.silences.active(house.clock.now()) == [held]
    assert await house.audited() == [("Ada", "silence")]
    assert not house.woken and not house.decided


async def test_a_role_on_a_stack_decides_there(house: House) -> None:
    incident = await house.incident("blog")
    face = house.face()
    assert (await face.silence(GRACE, "blog/api", "blog", timedelta(hours=1)))[0].is_done
    [held] = await house.knowledge.silences.active(house.clock.now())
    assert (await face.end_silence(GRACE, held.id)).is_done
    assert (await face.take(GRACE, incident)).is_done
    assert not (await face.freeze(GRACE, True)).is_done
    assert not (await face.autonomy(GRACE, "blog", Autonomy.AUTO)).is_done
    assert await house.audited() == [("Grace", "silence"), ("Grace", "unsilence"), ("Grace", "acknowledge")]


async def test_a_button_for_all_stands_for_exactly_what_it_showed(house: House) -> None:
    incident = await house.incident()
    asked = await house.asked(incident, count=2)
    face = house.face()
    assert (await face.approve_all(ADA, incident.id, digest_of(asked[:1]))).message == text("decide.changed")
    assert (await face.approve_all(ADA, incident.id, digest_of(asked))).is_done
    assert (await face.deny_all(ADA, incident.id)).message == text("decide.nothing_asked")
    await eventually(lambda: sorted(house.gates.done) == ["gate-0", "gate-1"], 10, what="both gates being open")


async def test_the_first_to_take_an_incident_has_it(house: House) -> None:
    incident = await house.incident()
    [asked] = await house.asked(incident)
    results = await asyncio.gather(house.face().take(ADA, incident), house.face().take(OLGA, incident))
    assert sorted(one.is_done for one in results) == [False, True]
    now = await house.tracker.get(incident.id)
    assert now is not None and now.state is IncidentState.ACKNOWLEDGED
    winner = ADA if results[0].is_done else OLGA
    assert now.acknowledged_by == winner.actor_id
    assert await house.audited() == [(winner.name, "acknowledge")]
    withdrawn = await house.gateway.approvals.get(asked.id)
    assert withdrawn is not None and withdrawn.state is ApprovalState.WITHDRAWN
    assert house.woken == [incident.id]


async def test_an_incident_is_closed_once(house: House) -> None:
    incident = await house.incident()
    results = await asyncio.gather(*(house.face().close(ADA, incident, "by hand") for _ in range(2)))
    assert sorted(one.is_done for one in results) == [False, True]
    assert await house.audited() == [("Ada", "close")]
    assert not (await house.face().take(OLGA, incident)).is_done


async def test_a_freeze_holds_until_it_is_taken_back(house: House) -> None:
    face = house.face()
    assert (await face.freeze(OLGA, True, "moving house")).is_done
    assert not (await face.freeze(ADA, True)).is_done
    assert (await face.freeze(ADA, False)).is_done
    assert not (await face.freeze(ADA, False)).is_done
    assert await house.audited() == [("Olga", "freeze"), ("Ada", "unfreeze")]
