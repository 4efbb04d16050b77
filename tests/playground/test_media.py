"""Files, albums, polls and the bot's profile, with the real client."""

import pytest
from telegram import Bot, BotCommand, BotCommandScopeChatMember, InputMediaDocument, InputMediaPhoto, MenuButtonCommands
from telegram.constants import BotCommandScopeType
from telegram.error import BadRequest, RetryAfter

from playground import BotApiServer, Group, PlaygroundPerson
from tests.playground.pictures import png


async def test_a_photo_there_and_back(bot: Bot, ada: PlaygroundPerson) -> None:
    picture = png(40, 20)
    sent = await bot.send_photo(ada.id, picture, caption="<b>CPU</b>", parse_mode="HTML")
    assert (sent.photo[-1].width, sent.photo[-1].height) == (40, 20)
    seen = ada.chat.message(sent.message_id)
    assert seen.photo == picture and seen.html == "<b>CPU</b>"
    file = await bot.get_file(sent.photo[-1].file_id)
    assert bytes(await file.download_as_bytearray()) == picture
    again = await bot.send_photo(ada.id, sent.photo[-1].file_id)
    assert ada.chat.message(again.message_id).photo == picture


async def test_a_document_and_a_new_caption(bot: Bot, ada: PlaygroundPerson) -> None:
    sent = await bot.send_document(ada.id, b"line\n" * 10, filename="api.log", caption="last 10")
    await bot.edit_message_caption(ada.id, sent.message_id, caption="last <i>ten</i>", parse_mode="HTML")
    document = ada.chat.message(sent.message_id).document
    assert document is not None and (document.name, document.content) == ("api.log", b"line\n" * 10)
    assert ada.chat.message(sent.message_id).html == "last <i>ten</i>"
    with pytest.raises(BadRequest, match="Message caption is too long"):
        await bot.send_document(ada.id, b"x", caption="x" * 1025)
    with pytest.raises(BadRequest, match="There is no text in the message to edit"):
        await bot.edit_message_text("x", ada.id, sent.message_id)


async def test_a_file_that_is_no_picture_is_refused(bot: Bot, ada: PlaygroundPerson) -> None:
    for content in (b"not a picture", png(9000, 2000)):
        with pytest.raises(BadRequest):
            await bot.send_photo(ada.id, content)
    with pytest.raises(BadRequest, match="Wrong file_id or the file is temporarily unavailable"):
        await bot.get_file("nonsense")


async def test_albums(bot: Bot, ada: PlaygroundPerson) -> None:
    album = await bot.send_media_group(ada.id, [InputMediaPhoto(png(8, 8), caption="a"), InputMediaPhoto(png(9, 9))])
    assert len({message.media_group_id for message in album}) == 1
    assert [message.photo is not None for message in ada.chat.messages] == [True, True]
    files = await bot.send_media_group(ada.id, [InputMediaDocument(b"1", filename="a.txt"), InputMediaDocument(b"2")])
    assert files[0].document is not None and files[0].document.file_name == "a.txt"
    with pytest.raises(BadRequest, match="2-10 items"):
        await bot.send_media_group(ada.id, [InputMediaPhoto(png(8, 8))])


async def test_files_from_people(bot: Bot, ada: PlaygroundPerson) -> None:
    await ada.send_document("plan.yml", b"steps: []", caption="/runbook")
    await ada.send_photo(png(5, 5))
    document, photo = [update.message for update in await bot.get_updates() if update.message]
    assert document.document is not None and photo.photo[0].width == 5
    assert bytes(await (await document.document.get_file()).download_as_bytearray()) == b"steps: []"


async def test_a_poll(bot: Bot, ada: PlaygroundPerson, grace: PlaygroundPerson, forum: Group) -> None:
    sent = await bot.send_poll(forum.id, "Restart?", ["yes", "no"], is_anonymous=False)
    await ada.vote(sent.message_id, [0], chat=forum)
    await grace.vote(sent.message_id, [1], chat=forum)
    await grace.vote(sent.message_id, [0], chat=forum)
    updates = await bot.get_updates()
    assert [u.poll_answer.option_ids for u in updates if u.poll_answer] == [(0,), (1,), (0,)]
    poll = await bot.stop_poll(forum.id, sent.message_id)
    assert poll.is_closed and [option.voter_count for option in poll.options] == [2, 0]
    with pytest.raises(BadRequest, match="Poll has already been closed"):
        await bot.stop_poll(forum.id, sent.message_id)


async def test_commands_by_scope_and_language(bot: Bot, ada: PlaygroundPerson) -> None:
    english, spanish = [BotCommand("status", "All stacks")], [BotCommand("status", "Todos los stacks")]
    await bot.set_my_commands(english)
    await bot.set_my_commands(spanish, language_code="es")
    scope = BotCommandScopeChatMember(-1001, ada.id)
    await bot.set_my_commands([BotCommand("exec", "Run")], scope=scope)
    assert list(await bot.get_my_commands()) == english
    assert list(await bot.get_my_commands(language_code="es")) == spanish
    assert [command.command for command in await bot.get_my_commands(scope=scope)] == ["exec"]
    await bot.delete_my_commands(scope=scope)
    assert scope.type == BotCommandScopeType.CHAT_MEMBER and await bot.get_my_commands(scope=scope) == ()
    with pytest.raises(BadRequest, match=r"(?i)bot_command_invalid"):
        await bot.set_my_commands([("Status", "x")])


async def test_name_descriptions_and_menu_button(bot: Bot, ada: PlaygroundPerson) -> None:
    await bot.set_my_name("Guardian")
    await bot.set_my_description("Watches", language_code="es")
    await bot.set_my_short_description("W")
    assert (await bot.get_my_name()).name == "Guardian" and (await bot.get_me()).first_name == "Guardian"
    assert (await bot.get_my_description("es")).description == "Watches"
    assert (await bot.get_my_short_description()).short_description == "W"
    await bot.set_chat_menu_button(ada.id, MenuButtonCommands())
    assert (await bot.get_chat_menu_button(ada.id)).type == "commands"


async def test_close_and_log_out(server: BotApiServer, bot: Bot, ada: PlaygroundPerson) -> None:
    with pytest.raises(RetryAfter):
        await bot.close()
    server.clock.advance(600)
    assert await bot.close()
    assert await bot.log_out()
    with pytest.raises(BadRequest, match="Logged out"):
        await bot.send_message(ada.id, "x")
