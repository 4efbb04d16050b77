"""What goes wrong between the bot and Telegram: nothing is lost, order is kept, limits are obeyed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from core.actions.catalog import JsonObject, Role
from core.errors import SettingsError
from core.incidents.incident import IncidentState
from core.people import Person
from core.text import text
from knowledge.records.inbox_records import RawUpdate
from playground.api.faults import Fault, RateLimits
from tests.bot.world import FaceWorld
from tests.testbed.world import eventually


async def test_a_rate_limit_is_obeyed_and_no_message_is_lost(world: FaceWorld) -> None:
    world.server.faults.add("sendMessage", Fault.too_many(retry_after=1))
    await world.ada.say("/whoami")
    answer = await world.says(world.ada.chat, "1001")
    first, second = world.server.calls_of("sendMessage")
    assert second.at - first.at >= 1.0
    assert answer.text


async def test_a_message_that_was_not_sent_is_retried(world: FaceWorld) -> None:
    world.server.faults.add("sendMessage", Fault.bad_gateway())
    world.server.faults.add("sendMessage", Fault.reset(stage="before"))
    await world.ada.say("/whoami")
    await world.says(world.ada.chat, "1001")
    await world.quiet()
    assert len(world.ada.chat.bot_messages) == 1


async def test_a_connection_lost_after_sending_may_repeat_the_message_but_not_lose_it(world: FaceWorld) -> None:
    world.server.faults.add("sendMessage", Fault.reset(stage="after"))
    incident = await world.trouble()
    await world.quiet()
    cards = [one for one in world.ada.chat.bot_messages if f"Incident {incident.id}" in one.text]
    assert 1 <= len(cards) <= 2


async def test_a_lost_edit_is_repeated(world: FaceWorld) -> None:
    incident = await world.trouble()
    await world.says(world.ada.chat, "granada/api")
    world.server.faults.add("editMessageText", Fault.reset(stage="after"))
    await world.tracker.update(incident.id, lambda one: replace(one, state=IncidentState.DIAGNOSING))
    await world.says(world.ada.chat, "Looking for the cause")
    await world.quiet()
    assert len(world.ada.chat.bot_messages) == 1


async def test_refused_markup_is_sent_plain_once(world: FaceWorld) -> None:
    world.server.faults.add("sendMessage", Fault.parse_error())
    await world.ada.say("/help")
    answer = await world.says(world.ada.chat, "What you can ask me")
    assert not [one for one in answer.entities if one["type"] == "bold"]


async def test_a_blocked_chat_is_dropped_and_an_admin_is_told(idle: FaceWorld) -> None:
    idle.telegram["alert_chats"] = (idle.ops.id,)
    async with idle.running() as world:
        await world.ada.say("/whoami")
        await world.says(world.ada.chat, "1001")
        world.server.faults.add("sendMessage", Fault.blocked(), chat_id=world.ops.id)
        await world.trouble()
        await world.says(world.ada.chat, "I can't write to chat", "blocked")
        await world.tracker.update(1, partial(replace, state=IncidentState.DIAGNOSING))
        await world.says(world.ops, "Looking for the cause")


async def test_a_group_that_became_a_supergroup_keeps_its_cards(idle: FaceWorld) -> None:
    new = -1009990001
    idle.telegram["alert_chats"] = (idle.ops.id,)
    async with idle.running() as world:
        moved = world.server.group(new, "Ops", members=[world.ada])
        world.server.faults.add("sendMessage", Fault.migrate(new), chat_id=world.ops.id)
        await world.trouble()
        await world.says(moved, "granada/api")
        await world.trouble("web", "malaga")
        await world.says(moved, "malaga/web")


async def test_a_deleted_card_comes_back(world: FaceWorld) -> None:
    incident = await world.trouble()
    await world.says(world.ada.chat, "granada/api")
    gone = Fault.refuse(400, "Bad Request: message to edit not found")
    world.server.faults.add("editMessageText", gone)
    await world.tracker.update(incident.id, lambda one: replace(one, state=IncidentState.DIAGNOSING))
    second = await world.message(world.ada.chat, lambda one: "Looking for the cause" in one.text)
    await world.tracker.update(incident.id, lambda one: replace(one, state=IncidentState.ACTING))
    await world.message(world.ada.chat, lambda one: one.id == second.id and "Repairing" in one.text)


async def test_edits_are_paced_and_only_the_newest_is_sent(idle: FaceWorld) -> None:
    idle.telegram["edit_pace_s"] = 1.5
    async with idle.running() as world:
        incident = await world.trouble()
        card = await world.says(world.ada.chat, "granada/api")
        for number in range(20):
            said = (text("act.up.says", target=f"s{number}"),)
            await world.tracker.update(incident.id, partial(replace, plan_steps=said))
        await world.message(world.ada.chat, lambda one: one.id == card.id and "Start s19" in one.text)
        await world.quiet()
        assert len(world.server.calls_of("editMessageText")) <= 2


async def test_telegrams_limits_are_never_reached(world: FaceWorld) -> None:
    world.server.faults.limit_rates(RateLimits())
    for _ in range(8):
        await world.ada.say("/whoami")
    await eventually(lambda: len(world.ada.chat.bot_messages) == 8, 20, what="eight answers")
    assert not [call for call in world.server.calls_of("sendMessage") if call.status == 429]


async def test_two_hundred_messages_of_twenty_people_keep_their_order(world: FaceWorld) -> None:
    people = [world.server.person(7000 + number, f"P{number}") for number in range(20)]
    for one in people:
        person = Person(user_id=one.id, name=one.record.first_name, role=Role.VIEWER)
        await world.knowledge.people.save(person, by="test")
    for turn in range(10):
        for one in people:
            await one.say(f"/incident {turn + 1000}")

    def all_answered() -> bool:
        return all(len(one.chat.bot_messages) == 10 for one in people)

    await eventually(all_answered, 60, what="two hundred answers")
    for one in people:
        numbers = [int(message.text.split("incident ")[1].split(".")[0]) for message in one.chat.bot_messages]
        assert numbers == list(range(1000, 1010))


async def test_an_update_delivered_twice_is_handled_once(world: FaceWorld) -> None:
    await world.ada.say("/restart granada api")
    await world.says(world.ada.chat, "Restarted")
    tap = await world.ada.replay(1, "wy:1")
    await tap.answer()
    world.server.redeliver(tap.update_id - 1)
    world.server.redeliver(tap.update_id)
    await world.quiet()
    assert len(await world.knowledge.runs.list(kind="call")) == 1
    assert sum("Restarted" in one.text for one in world.ada.chat.bot_messages) == 1


async def test_a_message_received_but_not_handled_is_handled_after_the_restart(idle: FaceWorld) -> None:
    async with idle.running() as world:
        await world.quiet()
        message: JsonObject = {
            "message_id": 50, "date": int(world.clock.now().timestamp()), "text": "/whoami",
            "chat": {"id": world.ada.id, "type": "private", "first_name": "Ada"},
            "from": {"id": world.ada.id, "is_bot": False, "first_name": "Ada"},
        }  # fmt: skip
        payload: JsonObject = {"update_id": 1, "message": message}
        await world.knowledge.inbox.put([RawUpdate(bot_id=700000001, update_id=1, mark="x", payload=payload)])
    async with idle.running() as world:
        await world.says(world.ada.chat, "Role: admin")


async def test_a_second_poller_is_reported_and_survived(world: FaceWorld) -> None:
    world.server.faults.add("getUpdates", Fault.conflict())
    await world.ada.say("/whoami")
    await eventually(lambda: "another program" in world.face.problem, what="the conflict")
    assert not world.face.is_polling
    await world.ada.say("/whoami")
    await eventually(lambda: world.face.is_polling, 15, what="polling again")
    await world.says(world.ada.chat, "Role: admin")


async def test_a_wrong_token_is_reported_clearly(idle: FaceWorld) -> None:
    idle.server.faults.add("getMe", Fault.unauthorized())
    try:
        async with idle.running():
            raise AssertionError("it started")
    except SettingsError as error:
        assert "TELEGRAM_BOT_TOKEN" in str(error)


async def test_the_menu_is_set_once_per_role_and_language(idle: FaceWorld) -> None:
    """Only when every scope was taken is it not set again."""

    async def is_done(world: FaceWorld) -> bool:
        return await world.knowledge.settings.get("menu") is not None

    for person in (idle.ada, idle.olga, idle.grace):
        await person.say("/start")
    async with idle.running() as world:
        await eventually(lambda: is_done(world), what="the introduction")
        calls = world.server.calls_of("setMyCommands")
        assert {call.params.get("language_code", "") for call in calls} == {"", "es"}
        assert len(calls) == 6  # everybody, Ada, Olga; in two languages
        await world.quiet()
    async with idle.running() as world:
        await world.ada.say("/whoami")
        await world.says(world.ada.chat, "Role: admin")
        assert len(world.server.calls_of("setMyCommands")) == 6
