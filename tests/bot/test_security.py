"""Who may do what: strangers, forwarded and anonymous orders, foreign, old and forged buttons."""

from __future__ import annotations

from datetime import timedelta

from core.actions.catalog import Role
from core.incidents.alerts import Silence
from core.people import Person
from tests.bot.world import ADA, MALLORY, OPS, FaceWorld
from tests.testbed.world import eventually


async def _restarts(world: FaceWorld) -> int:
    return len([run for run in await world.knowledge.runs.list(kind="call") if run.key.startswith("call:tg:")])


async def test_a_stranger_gets_one_refusal_in_private_and_nothing_in_a_group(world: FaceWorld) -> None:
    await world.mallory.say("/status")
    await world.says(world.mallory.chat, "This bot is private", str(MALLORY))
    await world.mallory.say("/restart granada api")
    await world.mallory.say("/status", chat=world.ops)
    await world.quiet()
    assert len(world.mallory.chat.bot_messages) == 1
    assert not world.ops.bot_messages
    assert not await _restarts(world)


async def test_a_viewer_may_look_and_not_act(world: FaceWorld) -> None:
    await world.grace.say("/status")
    await world.says(world.grace.chat, "Todo bien")
    await world.grace.say("/restart granada api")
    await world.says(world.grace.chat, "Para esto necesitas el rol de operador")
    assert not await _restarts(world)


async def test_a_role_for_one_stack_counts_there_only(world: FaceWorld) -> None:
    person = await world.knowledge.people.get(world.grace.id)
    assert person is not None
    await world.knowledge.people.save(
        type(person)(user_id=person.user_id, name="Grace", stack_roles={"malaga": Role.OPERATOR}), by="test"
    )
    await world.grace.say("/restart granada api")
    await world.says(world.grace.chat, "Para esto necesitas el rol de operador")
    await world.grace.say("/restart malaga api")
    await world.says(world.grace.chat, "local/malaga-api-1")


async def test_a_role_for_one_stack_shows_that_stack_only(world: FaceWorld) -> None:
    vera = world.server.person(1004, "Vera")
    await world.knowledge.people.save(
        Person(user_id=vera.id, name="Vera", stack_roles={"malaga": Role.OPERATOR}), by="test"
    )
    await world.knowledge.silences.add(
        Silence(target="granada", until=world.clock.now() + timedelta(hours=1), by="tg:1")
    )
    for words in ("/status", "/services", "/health api", "/services granada", "/incidents", "/silence"):
        before = vera.chat.last_id
        await vera.say(words)
        await world.says(vera.chat, "", after=before)
    said = " ".join(f"{one.text} {one.labels}" for one in vera.chat.bot_messages)
    assert "malaga" in said
    assert "granada" not in said.replace("no stack or service “granada”", "")


async def test_an_edited_command_does_not_run(world: FaceWorld) -> None:
    sent = await world.ada.say("hello there /restart")
    await world.quiet()
    await world.ada.edit(sent, "/restart granada api")
    world.server.push_update(
        {
            "edited_message": {
                "message_id": sent, "date": 1, "edit_date": 2, "text": "/restart granada api",
                "chat": {"id": ADA, "type": "private"}, "from": {"id": ADA, "is_bot": False, "first_name": "Ada"},
                "entities": [{"type": "bot_command", "offset": 0, "length": 8}],
            }
        }
    )  # fmt: skip
    await world.quiet()
    assert not await _restarts(world)


async def test_a_forwarded_command_does_not_run(world: FaceWorld) -> None:
    await world.ada.say("/restart granada api", forwarded=True)
    await world.says(world.ada.chat, "I don't act on forwarded messages")
    assert not await _restarts(world)


async def test_an_anonymous_admin_does_not_count(idle: FaceWorld) -> None:
    idle.telegram["alert_chats"] = (OPS,)
    async with idle.running() as world:
        await world.ada.say("/restart granada api", chat=world.ops, as_anonymous_admin=True)
        await world.says(world.ops, "I can't tell who you are")
        assert not await _restarts(world)


async def test_a_channel_post_and_a_via_bot_message_do_not_count(world: FaceWorld) -> None:
    message = {
        "message_id": 900, "date": int(world.clock.now().timestamp()), "text": "/restart granada api",
        "chat": {"id": ADA, "type": "private", "first_name": "Ada"},
        "from": {"id": ADA, "is_bot": False, "first_name": "Ada"},
    }  # fmt: skip
    world.server.push_update({"message": {**message, "via_bot": {"id": 5, "is_bot": True, "first_name": "Other"}}})
    await world.says(world.ada.chat, "through another bot")
    channel = {"id": -1009, "type": "channel", "title": "News"}
    world.server.push_update({"channel_post": {**message, "chat": channel, "sender_chat": channel}})
    linked = {"chat": {"id": OPS, "type": "supergroup", "title": "Ops"}, "sender_chat": channel}
    world.server.push_update({"message": {**message, **linked, "is_automatic_forward": True}})
    await world.quiet()
    assert not await _restarts(world)


async def test_a_command_that_waited_too_long_is_answered_and_not_run(world: FaceWorld) -> None:
    world.server.hold_updates()
    await world.ada.say("/restart granada api")
    await world.ada.say("/status")
    world.clock.shift = timedelta(minutes=11)
    world.server.release_updates()
    await world.says(world.ada.chat, "reached me too late")
    await world.says(world.ada.chat, "All good")
    assert not await _restarts(world)


async def test_only_the_asker_may_choose(world: FaceWorld) -> None:
    await world.ada.say("/restart api", chat=world.ops)
    question = await world.says(world.ops, "matches several")
    for person, words in ((world.mallory, "isn't for you"), (world.olga, "only for whoever asked")):
        answer = await (await person.tap(question, "malaga/api")).answer()
        assert answer.show_alert and words in answer.text
    assert not await _restarts(world)
    await (await world.ada.tap(question, "malaga/api")).answer()
    await world.says(world.ops, "Restarted local/malaga-api-1")


async def test_a_choice_counts_once_and_expires(world: FaceWorld) -> None:
    await world.ada.say("/restart api")
    question = await world.says(world.ada.chat, "matches several")
    data = question.button("granada/api").data
    await (await world.ada.tap(question, "granada/api")).answer()
    await world.says(world.ada.chat, "Restarted local/granada-api-1")
    await (await world.ada.replay(question, data)).answer()
    await world.quiet()
    assert await _restarts(world) == 1
    world.clock.shift = timedelta(hours=2)
    answer = await (await world.ada.replay(question, question.button("malaga/api").data)).answer()
    assert answer.show_alert and "has expired" in answer.text
    assert await _restarts(world) == 1


async def test_forged_foreign_and_inaccessible_buttons_are_answered(world: FaceWorld) -> None:
    await world.ada.say("/restart api")
    question = await world.says(world.ada.chat, "matches several")
    await world.ada.say("/status", chat=world.ops)
    elsewhere = await world.says(world.ops, "All good")
    token = question.button("granada/api").data
    cases = [
        (question, "nonsense", "don't know this button"),
        (question, "ap:unknown-id:0", "no longer exists"),
        (question, "go:0000000000000000", "has expired"),
        (question, "aa:77:00000000", "Nothing is waiting"),
        (question, "tk:77", "There is no incident 77"),
        (question, "si:99999999999999999999", "don't know this button"),
        (elsewhere, token, "has expired"),
    ]
    for message, data, words in cases:
        answer = await (await world.ada.replay(message, data, chat=message.chat_id)).answer()
        assert answer.show_alert and words in answer.text, data
    gone = await (await world.ada.replay(question, token, inaccessible=True)).answer()
    assert gone.show_alert and "has expired" in gone.text
    assert not await _restarts(world)


async def test_the_first_admin_enrols_by_a_link_that_works_once(idle: FaceWorld) -> None:
    idle.telegram |= {"admins": (), "operators": (), "viewers": ()}
    async with idle.running() as world:
        greeting = await world.face.greeting()
        link = str(greeting[-1].values["url"])
        token = link.partition("?start=")[2]
        await world.mallory.say("/start wrong-token")
        await world.says(world.mallory.chat, "This bot is private")
        await world.olga.say(f"/start {token}")
        await world.says(world.olga.chat, "Welcome, Olga. Your role: admin")
        await world.mallory.say(f"/start {token}")
        await world.quiet()
        assert await world.knowledge.people.get(world.mallory.id) is None
        await world.olga.say("/settings invite operator")
        invitation = await world.says(world.olga.chat, "Whoever opens it gets the role operator")
        await world.ada.say("/start " + invitation.text.partition("?start=")[2].split()[0])
        await world.says(world.ada.chat, "Your role: operator")


async def test_an_invitation_expires(idle: FaceWorld) -> None:
    idle.telegram |= {"admins": (), "operators": (), "viewers": ()}
    async with idle.running() as world:
        token = str((await world.face.greeting())[-1].values["url"]).partition("?start=")[2]
        world.clock.shift = timedelta(hours=25)
        await world.olga.say(f"/start {token}")
        await world.says(world.olga.chat, "This bot is private")


async def test_a_group_that_no_admin_chose_is_left(world: FaceWorld) -> None:
    by_mallory = world.server.group(-1005550001, "Bad", members=[world.mallory])
    await by_mallory.set_bot_status("member", world.mallory)
    await eventually(lambda: world.server.calls_of("leaveChat"), what="leaving")
    by_ada = world.server.group(-1005550002, "Good", members=[world.ada])
    await by_ada.set_bot_status("member", world.ada)
    await world.quiet()
    assert len(world.server.calls_of("leaveChat")) == 1


async def test_commands_for_another_bot_and_chatter_in_a_group_are_left_alone(world: FaceWorld) -> None:
    await world.ada.say("/status@other_bot", chat=world.ops)
    await world.ada.say("what a day", chat=world.ops)
    await world.quiet()
    assert not world.ops.bot_messages
    await world.ada.say("/status@infraguardian_bot", chat=world.ops)
    await world.says(world.ops, "All good")


async def test_names_with_markup_are_shown_as_they_are(idle: FaceWorld) -> None:
    recipe = idle.recipes[0]
    idle.recipes = (type(recipe)(stack="<b>&</b>", service="a'<i>\"", image="x/y:1", restart="no"),)
    idle.engine = type(idle.engine)("local", idle.recipes)
    async with idle.running() as world:
        await world.ada.say("/status")
        await world.says(world.ada.chat, "<b>&</b>")
        await world.ada.say("/services <b>&</b>")
        await world.says(world.ada.chat, "a'<i>\"")
