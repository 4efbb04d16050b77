"""People, enrolment, changed settings, audit, start times, and the facts that the policy gets."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from core.actions.calls import CallState
from core.actions.catalog import Risk, Role
from core.actions.policy import Facts
from core.incidents.incident import IncidentState
from core.incidents.lessons import Lesson
from core.monitoring.inventory import Container, ContainerState, Host, Inventory
from core.people import Person
from core.settings import Autonomy, PolicySettings, Settings, StackSettings, TelegramSettings
from knowledge.database import Database
from knowledge.records.audit_records import AuditRecords
from knowledge.records.people_records import PeopleRecords
from knowledge.records.setting_records import SettingRecords
from knowledge.records.start_time_records import StartTimeRecords
from knowledge.stores import Knowledge
from tests.knowledge.tools import ADA, NOON, RUNBOOK, SetClock, a_call, a_record, an_incident, cleaned


@pytest.fixture
def people(database: Database, clock: SetClock) -> PeopleRecords:
    return PeopleRecords(database, clock, TelegramSettings(admins=(1,), viewers=(2,)))


async def test_whoever_writes_people_is_heard_by_every_reader(people: PeopleRecords) -> None:
    """The chat of the playground reads the same people under other settings."""
    chat = people.with_roles_of(TelegramSettings(operators=(3,)))
    assert [(one.user_id, one.role) for one in await chat.all()] == [(3, Role.OPERATOR)]
    await people.save(Person(user_id=4, name="Dee", role=Role.ADMIN), by="tg:1")
    assert [one.user_id for one in await chat.all()] == [3, 4]
    assert await chat.remove(4)
    assert await people.get(4) is None
    token = await chat.invite(Role.VIEWER, by="tg:1")
    assert await people.get(5) is None
    await chat.enrol(token, user_id=5, name="Eve")
    eve = await people.get(5)
    assert eve is not None and eve.role is Role.VIEWER


async def test_the_settings_name_people(people: PeopleRecords) -> None:
    ada = await people.get(1)
    assert ada is not None
    assert (ada.role, ada.actor_id) == (Role.ADMIN, "tg:1")
    assert await people.get(3) is None
    assert await people.has_admin()
    await people.save(Person(user_id=2, name="Bo", role=Role.OPERATOR, language="es"), by="tg:1")
    await people.save(Person(user_id=1, name="Ada", role=Role.VIEWER), by="tg:1")
    assert [(one.name, one.role) for one in await people.all()] == [("Ada", Role.ADMIN), ("Bo", Role.OPERATOR)]
    assert await people.remove(2)
    assert not await people.remove(2)
    bo = await people.get(2)
    assert bo is not None
    assert bo.role is Role.VIEWER


async def test_a_person_reads_back_with_a_role_per_stack(people: PeopleRecords) -> None:
    eve = Person(
        user_id=9,
        name="Eve",
        stack_roles={"shop": Role.OPERATOR},
        language="en",
        quiet_from="22:00",
        quiet_to="07:00",
        preferences={"level": "critical"},
    )
    await people.save(eve, by="tg:1")
    assert await people.get(9) == eve
    assert (eve.role_on("shop"), eve.role_on("blog"), eve.role_on(None)) == (Role.OPERATOR, None, None)
    both = replace(eve, role=Role.VIEWER)
    assert (both.role_on("shop"), both.role_on("blog")) == (Role.OPERATOR, Role.VIEWER)


async def test_a_token_enrols_once_and_in_time(people: PeopleRecords, clock: SetClock) -> None:
    token, late = await people.invite(Role.OPERATOR, by="tg:1"), await people.invite(Role.ADMIN, by="tg:1")
    assert await people.open_invitations() == 2
    taken = await asyncio.gather(*(people.enrol(token, user_id=n, name=f"n{n}") for n in range(50, 70)))
    winners = [one for one in taken if one is not None]
    assert [one.role for one in winners] == [Role.OPERATOR]
    assert await people.get(winners[0].user_id) == winners[0]
    assert await people.enrol("made up", user_id=80, name="x") is None
    clock.advance(hours=24)
    assert await people.enrol(late, user_id=80, name="x") is None
    assert await people.open_invitations() == 0


async def test_a_token_takes_no_role_away(people: PeopleRecords) -> None:
    enrolled = await people.enrol(await people.invite(Role.VIEWER, by="tg:1"), user_id=1, name="Ada")
    assert enrolled is not None
    assert enrolled.role is Role.ADMIN


async def test_what_the_chat_changes_is_kept_until_taken_back(database: Database, clock: SetClock) -> None:
    changed = SettingRecords(database, clock)
    assert await changed.autonomy("shop") is None
    await changed.set_autonomy("shop", Autonomy.OBSERVE, by="tg:1")
    await changed.set_autonomy("shop", Autonomy.AUTO, by="tg:1")
    assert await changed.autonomy("shop") is Autonomy.AUTO
    await changed.set_autonomy("shop", None, by="tg:1")
    assert await changed.autonomy("shop") is None
    assert await changed.freeze() is None
    await changed.set_freeze(True, by="tg:1", why="migration")
    frozen = await changed.freeze()
    assert frozen is not None
    assert (frozen.by, frozen.at, frozen.why) == ("tg:1", NOON, "migration")
    await changed.set_freeze(False, by="tg:1")
    assert await changed.freeze() is None
    await changed.set_language(-100, "es", by="tg:1")
    assert (await changed.language(-100), await changed.language(5)) == ("es", None)
    await changed.put("x:1", {"a": [1]}, by="tg:1")
    await changed.put("xy", 3, by="tg:1")
    assert await changed.all("x:") == {"x:1": {"a": [1]}}


async def test_the_audit_lists_decisions(database: Database, clock: SetClock) -> None:
    audit = AuditRecords(database, clock)
    await audit.add(ADA, "silence", "shop", details={"hours": 2})
    await audit.add(ADA, "approve", "a1", incident_id=7)
    assert [one.what for one in await audit.recent()] == ["approve", "silence"]
    (one,) = await audit.recent(incident_id=7)
    assert (one.actor_id, one.subject, one.at) == ("tg:1", "a1", NOON)
    assert await cleaned(database, clock, "audit") == 0
    clock.advance(days=401)
    assert await cleaned(database, clock, "audit") == 2


async def test_start_times_are_learnt(database: Database, clock: SetClock) -> None:
    times = StartTimeRecords(database, clock)
    assert await times.typical("shop/api") is None
    for seconds in [500.0, *range(1, 21)]:
        await times.learn("shop/api", seconds)
    assert await times.typical("shop/api") == 19.0
    assert await times.typical("shop/db") is None


def a_container(service: str, image: str, **labels: str) -> Container:
    return Container(
        host="local",
        id=service * 20,
        name=f"shop-{service}-1",
        stack="shop",
        service=service,
        image=image,
        state=ContainerState.RUNNING,
        labels={name.replace("_", "."): value for name, value in labels.items()},
    )


INVENTORY = Inventory(
    hosts=(Host(name="local"),),
    containers=(
        a_container("api", "shop/api:3"),
        a_container("db", "docker.io/library/postgres:16"),
        a_container("mail", "mailer", infraguardian_critical="true"),
        a_container("cache", "redis:7", infraguardian_critical="no"),
        a_container("pay", "pay:1"),
    ),
)


class TestFacts:
    """What the policy learns of a call."""

    @pytest.fixture
    async def knowledge(self, tmp_path: Path, clock: SetClock) -> Knowledge:
        stacks = {"shop": StackSettings(autonomy=Autonomy.PROPOSE, critical=("pay",))}
        settings = Settings(data_dir=tmp_path, stacks=stacks, policy=PolicySettings(autonomy=Autonomy.AUTO))
        return Knowledge(settings, clock)

    async def load(self, knowledge: Knowledge, target: str | None, **call: object) -> Facts:
        wish = a_call("new", **call)  # type: ignore[arg-type]
        facts, _, _ = await knowledge.facts(lambda: INVENTORY).load(wish, target)
        return facts

    async def test_the_target_and_its_mode(self, knowledge: Knowledge) -> None:
        async with knowledge:
            facts = knowledge.facts(lambda: INVENTORY)
            loaded, stack, service = await facts.load(a_call(), "local/shop-api-1")
            assert (stack, service, loaded.autonomy) == ("shop", "api", Autonomy.PROPOSE)
            await knowledge.settings.set_autonomy("shop", Autonomy.GUARDED, by="tg:1")
            await knowledge.settings.set_freeze(True, by="tg:1")
            loaded, _, _ = await facts.load(a_call(), "local/shop-api-1")
            assert (loaded.autonomy, loaded.is_frozen) == (Autonomy.GUARDED, True)
            loaded, stack, service = await facts.load(a_call(incident_id=None), None)
            assert (stack, service, loaded.autonomy) == (None, None, Autonomy.AUTO)
            opened = await knowledge.incidents.open(an_incident(state=IncidentState.ACKNOWLEDGED))
            loaded, stack, service = await facts.load(a_call(incident_id=opened.id), "local/gone-1")
            assert (stack, service, loaded.is_with_a_person) == ("shop", "api", True)
            opened = await knowledge.incidents.open(an_incident(state=IncidentState.CLOSED))
            loaded, _, _ = await facts.load(a_call(incident_id=opened.id), "local/gone-1")
            assert loaded.is_with_a_person

    @pytest.mark.parametrize(
        ("service", "is_critical"), [("api", False), ("db", True), ("mail", True), ("cache", False), ("pay", True)]
    )
    async def test_what_is_critical(self, knowledge: Knowledge, service: str, is_critical: bool) -> None:
        async with knowledge:
            assert (await self.load(knowledge, f"local/shop-{service}-1")).is_critical is is_critical

    @pytest.mark.parametrize(
        ("ends", "is_proven"),
        [
            ([True, True], False),
            ([True, True, True], True),
            ([True, None, True, True], True),
            ([False, True, True, True], True),
            ([True, True, True, False], False),
            ([True, True, True, False, True, True], False),
        ],
    )
    async def test_what_is_proven(self, knowledge: Knowledge, ends: list[bool | None], is_proven: bool) -> None:
        async with knowledge:
            for number, held in enumerate(ends):
                lesson = Lesson(
                    incident_id=number,
                    at=NOON + timedelta(minutes=number),
                    stack="shop",
                    service="api",
                    kind="container_died",
                    cause="memory_limit",
                    text="t",
                    runbook=RUNBOOK.id,
                    held=held,
                )
                await knowledge.lessons.save(lesson)
            assert (await self.load(knowledge, "local/shop-api-1")).is_proven is is_proven
            assert not (await self.load(knowledge, "local/shop-api-1", cause="other")).is_proven
            assert not (await self.load(knowledge, "local/shop-api-1", actor=ADA)).is_proven

    async def test_attempts_and_budgets(self, knowledge: Knowledge) -> None:
        async with knowledge:
            assert (await self.load(knowledge, "local/shop-api-1")).attempts == 1
            await knowledge.ledger.insert(
                [
                    a_record(a_call("k1")),
                    a_record(a_call("k2", attempt=2), CallState.APPROVED, risk=Risk.CHANGE),
                    a_record(a_call("k3", attempt=3)),
                ]
            )
            await knowledge.ledger.start("k1", NOON, None)
            await knowledge.ledger.start("k2", NOON, None)
            facts = await self.load(knowledge, "local/shop-api-1", attempt=4)
            assert (facts.attempts, facts.disruptive_last_hour, facts.changes_today) == (3, 1, 1)
