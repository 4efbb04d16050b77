"""Messages as the real client sends, edits and deletes them."""

import time

import pytest
from telegram import Bot, CopyTextButton, InlineKeyboardButton, InlineKeyboardMarkup, ReactionTypeEmoji, ReplyParameters
from telegram.error import BadRequest, ChatMigrated, Forbidden

from playground import BotApiServer, Group, PlaygroundPerson


def keyboard(*labels: str) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup([[InlineKeyboardButton(label, callback_data=label.lower()) for label in labels]])


async def test_who_the_bot_is(bot: Bot) -> None:
    me = await bot.get_me()
    assert (me.id, me.is_bot, me.username, me.can_read_all_group_messages) == (
        123456789,
        True,
        "infraguardian_bot",
        False,
    )


async def test_a_message_with_everything(server: BotApiServer, bot: Bot, ada: PlaygroundPerson) -> None:
    before = time.monotonic()
    asked = await ada.say("restart the api")
    markup = InlineKeyboardMarkup([
        [InlineKeyboardButton("Approve", callback_data="a:1", style="success"), InlineKeyboardButton("x", url="https://x.org")],
        [InlineKeyboardButton("Copy", copy_text=CopyTextButton("docker ps"))],
    ])  # fmt: skip
    sent = await bot.send_message(
        ada.id,
        "Sure?",
        reply_markup=markup,
        disable_notification=True,
        protect_content=True,
        reply_parameters=ReplyParameters(asked, quote="the api"),
    )
    assert sent.reply_to_message is not None and sent.reply_to_message.text == "restart the api"
    assert sent.quote is not None and sent.quote.position == 8
    assert sent.has_protected_content and sent.chat.type == "private" and sent.from_user == await bot.get_me()
    seen = ada.chat.message(sent.message_id)
    assert seen.silent and seen.reply_to == asked and seen.from_bot
    assert [button.label for button in seen.buttons[0]] == ["Approve", "x"]
    assert seen.button("appr") == ("Approve", "a:1", "success", "", "")
    assert seen.button("Copy").copy_text == "docker ps"
    assert before <= seen.sent_at <= time.monotonic()
    assert [call.method for call in server.calls][-2:] == ["sendMessage", "getMe"]
    assert server.calls_of("sendmessage")[0].params["text"] == "Sure?"


async def test_edits_in_place(bot: Bot, ada: PlaygroundPerson) -> None:
    sent = await bot.send_message(ada.id, "one", reply_markup=keyboard("Stop"))
    first = ada.chat.message(sent.message_id)
    edited = await bot.edit_message_text("two", ada.id, sent.message_id, reply_markup=keyboard("Stop"))
    assert not isinstance(edited, bool) and edited.edit_date is not None
    await bot.edit_message_reply_markup(ada.id, sent.message_id, reply_markup=keyboard("Go"))
    await bot.edit_message_text("three", ada.id, sent.message_id)
    seen = ada.chat.message(sent.message_id)
    assert (seen.text, seen.edits, seen.labels) == ("three", ["one", "two", "two"], [])
    assert seen.edit_date is not None and seen.sent_at == first.sent_at < seen.delivered_at


async def test_an_edit_that_changes_nothing_is_refused(bot: Bot, ada: PlaygroundPerson) -> None:
    sent = await bot.send_message(ada.id, "one", reply_markup=keyboard("Stop"))
    with pytest.raises(BadRequest) as raised:
        await bot.edit_message_text("one", ada.id, sent.message_id, reply_markup=keyboard("Stop"))
    assert raised.value.message == (
        "Message is not modified: specified new message content and reply markup are exactly the same as a current "
        "content and reply markup of the message"
    )
    with pytest.raises(BadRequest, match="Message is not modified"):
        await bot.edit_message_reply_markup(ada.id, sent.message_id, reply_markup=keyboard("Stop"))
    await bot.edit_message_text("one", ada.id, sent.message_id)


async def test_messages_to_wrong_targets_are_refused(bot: Bot, ada: PlaygroundPerson) -> None:
    own = await ada.say("mine")
    refused = {
        "Chat not found": bot.send_message(4711, "x"),
        "Message to edit not found": bot.edit_message_text("x", ada.id, 99),
        "Message can't be edited": bot.edit_message_text("x", ada.id, own),
        "Message to be replied not found": bot.send_message(ada.id, "x", reply_to_message_id=99),
        "Message to delete not found": bot.delete_message(ada.id, 99),
        "Message thread not found": bot.send_message(ada.id, "x", message_thread_id=99),
    }
    for refusal, call in refused.items():
        with pytest.raises(BadRequest) as raised:
            await call
        assert raised.value.message == refusal
    await bot.send_message(ada.id, "x", reply_to_message_id=99, allow_sending_without_reply=True)


async def test_keyboards_that_are_refused(bot: Bot, ada: PlaygroundPerson) -> None:
    def row(data: str) -> InlineKeyboardMarkup:
        return InlineKeyboardMarkup([[InlineKeyboardButton("b", callback_data=data)]])

    await bot.send_message(ada.id, "x", reply_markup=row("é" * 32))
    with pytest.raises(BadRequest) as raised:
        await bot.send_message(ada.id, "x", reply_markup=row("x" * 65))
    assert raised.value.message == "Button_data_invalid"
    with pytest.raises(BadRequest, match=r"(?i)button_data_invalid"):
        await bot.send_message(ada.id, "x", reply_markup=row("é" * 33))
    with pytest.raises(BadRequest, match="Reply markup is too long"):
        await bot.send_message(ada.id, "x", reply_markup=InlineKeyboardMarkup([keyboard("a").inline_keyboard[0]] * 101))


async def test_deleting(server: BotApiServer, bot: Bot, ada: PlaygroundPerson) -> None:
    asked = await ada.say("hello")
    sent = [await bot.send_message(ada.id, text) for text in ("a", "b", "c")]
    assert await bot.delete_message(ada.id, asked)
    assert await bot.delete_messages(ada.id, [sent[0].message_id, sent[1].message_id, 999])
    assert [message.text for message in ada.chat.messages] == ["c"]
    server.clock.advance(48 * 3600)
    with pytest.raises(BadRequest, match="Message can't be deleted"):
        await bot.delete_message(ada.id, sent[2].message_id)


async def test_reactions_and_pins(bot: Bot, ada: PlaygroundPerson) -> None:
    asked = await ada.say("hello")
    await bot.set_message_reaction(ada.id, asked, "👀")
    assert list(ada.chat.message(asked).reactions.values()) == ["👀"]
    with pytest.raises(BadRequest, match=r"(?i)reaction_invalid"):
        await bot.set_message_reaction(ada.id, asked, [ReactionTypeEmoji("✅")])
    await bot.set_message_reaction(ada.id, asked, None)
    assert ada.chat.message(asked).reactions == {}
    board = await bot.send_message(ada.id, "board")
    await bot.pin_chat_message(ada.id, board.message_id)
    pinned = (await bot.get_chat(ada.id)).pinned_message
    assert pinned is not None and pinned.message_id == board.message_id
    await bot.unpin_chat_message(ada.id, board.message_id)
    await bot.pin_chat_message(ada.id, board.message_id, disable_notification=True)
    await bot.unpin_all_chat_messages(ada.id)
    with pytest.raises(BadRequest, match="Message to unpin not found"):
        await bot.unpin_chat_message(ada.id)


async def test_typing_and_drafts(bot: Bot, ada: PlaygroundPerson, forum: Group) -> None:
    await bot.send_chat_action(ada.id, "typing")
    assert [action.action for action in ada.chat.actions] == ["typing"]
    with pytest.raises(BadRequest, match="Wrong parameter action in request"):
        await bot.send_chat_action(ada.id, "dancing")
    for text in ("Look", "Looking", "<b>Looking</b> good"):
        await bot.send_message_draft(ada.id, 7, text, parse_mode="HTML")
    assert [draft.text for draft in ada.chat.drafts] == ["Look", "Looking", "Looking good"]
    assert ada.chat.messages == []
    with pytest.raises(BadRequest):
        await bot.send_message_draft(forum.id, 7, "x")
    with pytest.raises(BadRequest):
        await bot.send_message_draft(ada.id, 0, "x")


async def test_who_may_not_be_written_to(server: BotApiServer, bot: Bot, ada: PlaygroundPerson) -> None:
    stranger = server.person(1003, "Stranger", has_started=False)
    with pytest.raises(Forbidden, match="initiate conversation with a user"):
        await bot.send_message(stranger.id, "hi")
    await stranger.say("/start")
    await bot.send_message(stranger.id, "hi")
    await ada.block()
    with pytest.raises(Forbidden) as raised:
        await bot.send_message(ada.id, "hi")
    assert raised.value.message == "Forbidden: bot was blocked by the user"
    await ada.unblock()
    await bot.send_message(ada.id, "hi")
    updates = await bot.get_updates()
    states = [u.my_chat_member.new_chat_member.status for u in updates if u.my_chat_member]
    assert states == ["kicked", "member"]


async def test_topics(bot: Bot, ada: PlaygroundPerson, forum: Group) -> None:
    topic = await bot.create_forum_topic(forum.id, "granada")
    sent = await bot.send_message(forum.id, "down", message_thread_id=topic.message_thread_id)
    assert sent.is_topic_message and sent.message_thread_id == topic.message_thread_id
    await bot.edit_forum_topic(forum.id, topic.message_thread_id, name="granada · solved")
    await bot.close_forum_topic(forum.id, topic.message_thread_id)
    await bot.reopen_forum_topic(forum.id, topic.message_thread_id)
    answer = await ada.say("/ack", chat=forum, reply_to=sent.message_id)
    assert forum.message(answer).thread_id == topic.message_thread_id
    assert not (await bot.send_message(forum.id, "general")).is_topic_message
    await forum.delete_topic(topic.message_thread_id)
    with pytest.raises(BadRequest, match="Message thread not found"):
        await bot.send_message(forum.id, "down", message_thread_id=topic.message_thread_id)
    other = await forum.open_topic("celery", ada)
    assert await bot.delete_forum_topic(forum.id, other)


async def test_chats_and_members(
    server: BotApiServer, bot: Bot, ada: PlaygroundPerson, grace: PlaygroundPerson, forum: Group
) -> None:
    assert (await bot.get_chat(forum.id)).is_forum
    assert (await bot.get_chat(ada.id)).first_name == "Ada"
    assert (await bot.get_chat_member(forum.id, ada.id)).status == "administrator"
    assert (await bot.get_chat_member(forum.id, grace.id)).status == "member"
    assert {admin.user.id for admin in await bot.get_chat_administrators(forum.id)} == {ada.id, bot.id}
    assert await bot.get_chat_member_count(forum.id) == 3
    await bot.leave_chat(forum.id)
    with pytest.raises(Forbidden, match="not a member of the supergroup chat"):
        await bot.send_message(forum.id, "x")
    other = server.group(-1009, "Other", members=[ada])
    await other.set_bot_status("kicked", ada)
    with pytest.raises(Forbidden, match="Forbidden: bot was kicked from the supergroup chat"):
        await bot.send_message(other.id, "x")


async def test_a_group_becomes_a_supergroup(server: BotApiServer, bot: Bot, ada: PlaygroundPerson) -> None:
    group = server.group(-55, "Small", members=[ada])
    upgraded = await group.migrate(-10055, ada)
    with pytest.raises(ChatMigrated) as raised:
        await bot.send_message(group.id, "x")
    assert raised.value.new_chat_id == upgraded.id
    await bot.send_message(upgraded.id, "x")
    notes = [update.message for update in await bot.get_updates() if update.message]
    assert [(note.migrate_to_chat_id, note.migrate_from_chat_id) for note in notes] == [(-10055, None), (None, -55)]


async def test_people_come_and_go(
    server: BotApiServer, bot: Bot, ada: PlaygroundPerson, grace: PlaygroundPerson
) -> None:
    group = server.group(-1008, "Ops", members=[ada])
    with pytest.raises(ValueError, match=r"Grace is not in chat -1008; add them with group.add"):
        await grace.say("/status", chat=group)
    await group.add(grace)
    await grace.say("/status", chat=group)
    await group.remove(grace)
    notes = [update.message for update in await bot.get_updates() if update.message]
    assert [bool(note.new_chat_members) for note in notes] == [True, False, False]
    assert notes[2].left_chat_member is not None and notes[2].left_chat_member.id == grace.id


async def test_privacy_mode_hides_what_is_not_for_the_bot(
    server: BotApiServer, bot: Bot, ada: PlaygroundPerson
) -> None:
    group = server.group(-1007, "Ops", members=[ada])
    question = await bot.send_message(group.id, "Which one?")
    for text in ("good morning", "/status", "/status@other_bot", "/status@infraguardian_bot"):
        await ada.say(text, chat=group)
    await ada.say("the api", chat=group, reply_to=question.message_id)
    await ada.say("hey @infraguardian_bot", chat=group)
    heard = [update.message.text for update in await bot.get_updates() if update.message]
    assert heard == ["/status", "/status@infraguardian_bot", "the api", "hey @infraguardian_bot"]


async def test_message_ids_count_per_supergroup_and_per_account(
    server: BotApiServer, bot: Bot, ada: PlaygroundPerson, grace: PlaygroundPerson, forum: Group
) -> None:
    ids = [(await bot.send_message(chat, "x")).message_id for chat in (ada.id, grace.id, forum.id, forum.id, ada.id)]
    assert ids == [1, 2, 2, 3, 3]
