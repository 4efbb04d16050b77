"""How the bot hears of things: polling, confirmation, conflicts, webhooks, taps, and what survives a restart."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.error import BadRequest, Conflict, InvalidToken
from telegram.ext import Application, CallbackQueryHandler, CommandHandler, ContextTypes

from playground import BotApiServer, Group, NotShown, PlaygroundPerson
from tests.playground.conftest import TOKEN, running_bot

APPROVE = InlineKeyboardMarkup([[InlineKeyboardButton("✅ Approve", callback_data="ok:1")]])


async def test_updates_stay_until_confirmed(bot: Bot, ada: PlaygroundPerson) -> None:
    for text in ("a", "b", "c"):
        await ada.say(text)
    first = await bot.get_updates(limit=2)
    assert [update.message.text for update in first if update.message] == ["a", "b"]
    assert [update.update_id for update in await bot.get_updates()] == [first[0].update_id + n for n in range(3)]
    rest = await bot.get_updates(offset=first[-1].update_id + 1)
    assert [update.message.text for update in rest if update.message] == ["c"]
    for text in ("d", "e"):
        await ada.say(text)
    assert [update.message.text for update in await bot.get_updates(offset=-1) if update.message] == ["e"]
    assert len(await bot.get_updates()) == 1


async def test_a_long_poll_returns_when_something_comes(bot: Bot, server: BotApiServer, ada: PlaygroundPerson) -> None:
    poll = asyncio.ensure_future(bot.get_updates(timeout=30))
    await server.wait_until(lambda: server.is_polled)
    await ada.say("hello")
    assert len(await asyncio.wait_for(poll, 5)) == 1
    assert await bot.get_updates(offset=2**40, timeout=0) == ()


async def test_the_second_poll_ends_the_first(bot: Bot, server: BotApiServer, ada: PlaygroundPerson) -> None:
    first = asyncio.ensure_future(bot.get_updates(timeout=30))
    await server.wait_until(lambda: server.is_polled)
    second = asyncio.ensure_future(bot.get_updates(timeout=30))
    with pytest.raises(Conflict) as raised:
        await asyncio.wait_for(first, 5)
    assert raised.value.message == (
        "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
    )
    await ada.say("hello")
    assert len(await asyncio.wait_for(second, 5)) == 1


async def test_wanted_kinds_are_remembered(bot: Bot, ada: PlaygroundPerson) -> None:
    question = await bot.send_message(ada.id, "?")
    await ada.react(question.message_id, "👍")
    await bot.get_updates(allowed_updates=["message_reaction"])
    await ada.say("unheard")
    await ada.react(question.message_id, "👎")
    (update,) = await bot.get_updates()
    assert update.message_reaction is not None
    assert update.message_reaction.new_reaction[0].to_dict()["emoji"] == "👎"
    await bot.get_updates(offset=update.update_id + 1, allowed_updates=[])
    await ada.say("heard")
    assert [update.message.text for update in await bot.get_updates() if update.message] == ["heard"]


async def test_old_updates_expire(server: BotApiServer, bot: Bot, ada: PlaygroundPerson) -> None:
    question = await bot.send_message(ada.id, "?", reply_markup=APPROVE)
    await ada.say("hello")
    await ada.tap(question.message_id, "approve")
    server.clock.advance(151)
    assert [update.callback_query for update in await bot.get_updates()] == [None]
    server.clock.advance(86_400)
    assert await bot.get_updates() == ()


async def test_a_tap_and_its_answer(
    bot: Bot, server: BotApiServer, ada: PlaygroundPerson, grace: PlaygroundPerson, forum: Group
) -> None:
    question = await bot.send_message(forum.id, "Restart?", reply_markup=APPROVE)
    tap = await grace.tap(forum.message(question.message_id), "approve")
    (update,) = await bot.get_updates()
    query = update.callback_query
    assert query is not None and (query.id, query.data, query.from_user.id) == (tap.id, "ok:1", grace.id)
    assert query.message is not None and query.message.chat.id == forum.id
    assert not tap.is_answered and update.update_id == tap.update_id
    await query.answer("Not yours", show_alert=True)
    answer = await tap.answer()
    assert (answer.text, answer.show_alert) == ("Not yours", True)
    server.clock.advance(151)
    with pytest.raises(BadRequest) as raised:
        await query.answer()
    assert raised.value.message == "Query is too old and response timeout expired or query id is invalid"
    with pytest.raises(NotShown, match="no button 'Deny'"):
        await ada.tap(question.message_id, "Deny", chat=forum)


async def test_replayed_and_inaccessible_taps(bot: Bot, ada: PlaygroundPerson) -> None:
    plain = await bot.send_message(ada.id, "no buttons")
    await ada.replay(plain.message_id, "ok:1")
    await ada.replay(plain.message_id, "ok:1", inaccessible=True)
    first, second = [update.callback_query for update in await bot.get_updates()]
    assert first is not None and first.data == "ok:1" and first.message is not None and first.message.is_accessible
    assert second is not None and second.message is not None and not second.message.is_accessible


async def test_edited_forwarded_and_anonymous_messages(bot: Bot, ada: PlaygroundPerson, forum: Group) -> None:
    said = await ada.say("/restart api")
    await ada.edit(said, "/restart db")
    await ada.say("/stop api", forwarded=True)
    await ada.say("/stop api", chat=forum, as_anonymous_admin=True)
    new, edited, forwarded, anonymous = await bot.get_updates()
    assert new.message is not None and edited.edited_message is not None and edited.edited_message.text == "/restart db"
    assert ada.chat.message(said).edits == ["/restart api"]
    assert forwarded.message is not None and forwarded.message.forward_origin is not None
    assert anonymous.message is not None and anonymous.message.sender_chat is not None
    assert anonymous.message.from_user is not None and anonymous.message.from_user.id == 1087968824


async def test_updates_twice_out_of_order_and_raw(server: BotApiServer, bot: Bot, ada: PlaygroundPerson) -> None:
    await ada.say("once")
    (first,) = await bot.get_updates()
    await bot.get_updates(offset=first.update_id + 1)
    server.redeliver(first.update_id)
    (again,) = await bot.get_updates()
    assert again.to_dict() == first.to_dict()
    await bot.get_updates(offset=first.update_id + 1)
    server.hold_updates()
    said = await ada.say("a")
    await ada.edit(said, "b")
    assert await bot.get_updates() == ()
    server.release_updates(reverse=True)
    edited, new = await bot.get_updates()
    assert edited.edited_message is not None and new.message is not None and new.message.text == "a"
    await bot.get_updates(offset=new.update_id + 1)
    pushed = server.push_update({"surprise_of_2030": {"a": 1}})
    (unknown,) = await bot.get_updates()
    assert unknown.update_id == pushed and unknown.api_kwargs == {"surprise_of_2030": {"a": 1}}


async def test_wrong_tokens_and_methods(server: BotApiServer, bot: Bot) -> None:
    with pytest.raises(InvalidToken):
        async with running_bot(server, token="123456789:wrong"):
            pass
    async with aiohttp.ClientSession() as session:
        for path, status, description in [
            (f"bot{TOKEN}/getNothing", 404, "Not Found: method not found"),
            ("bot123456789:wrong/getMe", 401, "Unauthorized"),
            ("botnonsense/getMe", 404, "Not Found"),
        ]:
            async with session.get(server.base_url.removesuffix("bot") + path) as response:
                body = await response.json()
                assert (response.status, body["description"], body["ok"]) == (status, description, False)


async def test_every_way_of_arguments(server: BotApiServer, ada: PlaygroundPerson) -> None:
    url = f"{server.base_url}{TOKEN}/SENDMESSAGE"
    async with aiohttp.ClientSession() as session:
        async with session.get(url, params={"chat_id": ada.id, "text": "query"}) as response:
            assert (await response.json())["ok"]
        async with session.post(
            url, json={"chat_id": ada.id, "text": "json", "disable_notification": True}
        ) as response:
            assert (await response.json())["ok"]
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("chat_id", str(ada.id))
        form.add_field("text", "multipart", content_type="text/plain")
        async with session.post(url, data=aiohttp.FormData({"chat_id": str(ada.id), "text": "form"})) as response:
            assert (await response.json())["ok"]
        with aiohttp.MultipartWriter("form-data") as parts:
            for name, value in (("chat_id", str(ada.id)), ("text", "multipart")):
                parts.append(value).set_content_disposition("form-data", name=name)
            async with session.post(url, data=parts) as response:
                assert (await response.json())["ok"]
        async with session.post(url, data=b"{", headers={"Content-Type": "application/json"}) as response:
            assert (await response.json())["description"].startswith("Bad Request: can't parse JSON")
    assert [message.text for message in ada.chat.messages] == ["query", "json", "form", "multipart"]
    assert ada.chat.messages[1].silent


async def test_foreign_host_names_are_refused(server: BotApiServer) -> None:
    async with aiohttp.ClientSession() as session:
        url = f"{server.base_url}{TOKEN}/getMe"
        async with session.get(url, headers={"Host": f"evil.example:{server.port}"}) as response:
            assert response.status == 403
    with pytest.raises(ValueError, match="this machine only"):
        BotApiServer(token=TOKEN, host="0.0.0.0")


class Receiver:
    """A bot's webhook that answers as told."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.secrets: list[str | None] = []
        self.answers: list[web.Response] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.received.append(await request.json())
        self.secrets.append(request.headers.get("X-Telegram-Bot-Api-Secret-Token"))
        return self.answers.pop(0) if self.answers else web.Response()


@pytest.fixture
async def receiver() -> Any:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield receiver
    await runner.cleanup()


async def test_webhook_delivery(server: BotApiServer, bot: Bot, ada: PlaygroundPerson, receiver: Receiver) -> None:
    receiver.answers = [
        web.Response(status=500),
        web.json_response({"method": "sendMessage", "chat_id": ada.id, "text": "yes?"}),
    ]
    await bot.set_webhook(receiver.url, secret_token="s3cret")
    with pytest.raises(Conflict, match="can't use getUpdates method while webhook is active"):
        await bot.get_updates()
    for text in ("a", "b", "c"):
        await ada.say(text)
    await server.wait_until(lambda: len(receiver.received) == 4)
    assert [update["message"]["text"] for update in receiver.received] == ["a", "a", "b", "c"]
    assert set(receiver.secrets) == {"s3cret"}
    assert (await ada.chat.next_message(after=0)).text == "yes?"
    info = await bot.get_webhook_info()
    assert (
        info.url == receiver.url
        and info.last_error_message == "Wrong response from the webhook: 500 Internal Server Error"
    )
    await server.wait_until(lambda: server.pending_update_count == 0)
    await bot.delete_webhook()
    await ada.say("d")
    assert len(await bot.get_updates()) == 1


async def test_webhook_that_asks_to_wait_and_one_that_is_gone(
    server: BotApiServer, bot: Bot, ada: PlaygroundPerson, receiver: Receiver
) -> None:
    receiver.answers = [web.Response(status=410) for _ in range(5)]
    await bot.set_webhook(receiver.url)
    await ada.say("a")
    await server.wait_until(lambda: len(receiver.received) == 5, timeout_s=20)
    await server.wait_until(lambda: not server.webhook_url)
    assert len(await bot.get_updates()) == 1
    with pytest.raises(BadRequest, match="this machine only"):
        await bot.set_webhook("https://example.org/hook")


async def test_ids_and_history_survive_a_restart(state_path: Path) -> None:
    async with BotApiServer(token=TOKEN, state_path=state_path) as server, running_bot(server) as bot:
        ada = server.person(1001, "Ada")
        await ada.say("before")
        sent = await bot.send_photo(ada.id, (Path(__file__).parent / "pixel.png").read_bytes(), caption="chart")
        await bot.edit_message_caption(ada.id, sent.message_id, caption="chart 2", reply_markup=APPROVE)
        tap = await ada.tap(sent.message_id, "approve")
        await bot.set_my_commands([("status", "All stacks")])
        page_key = server.page_url.rpartition("=")[2]
    async with BotApiServer(token=TOKEN, state_path=state_path) as server, running_bot(server) as bot:
        ada = server.person(1001, "Ada")
        assert [message.text for message in ada.chat.messages] == ["before", "chart 2"]
        assert ada.chat.messages[1].edits == ["chart"] and ada.chat.messages[1].photo
        waiting = await bot.get_updates()
        assert [update.callback_query is not None for update in waiting] == [False, True]
        await bot.answer_callback_query(tap.id, "late, but in time")
        assert await ada.say("after") == sent.message_id + 1
        assert (await bot.get_updates(offset=-1))[0].update_id == waiting[-1].update_id + 1
        assert [command.command for command in await bot.get_my_commands()] == ["status"]
        assert server.page_url.endswith(page_key)


SERVE = """
import asyncio, sys
from pathlib import Path
from playground import BotApiServer

async def serve():
    async with BotApiServer(token=sys.argv[1], state_path=Path(sys.argv[2])) as server:
        server.person(1001, "Ada")
        print(server.port, flush=True)
        await asyncio.Event().wait()

asyncio.run(serve())
"""


async def test_what_was_answered_survives_a_kill(state_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVE, TOKEN, str(state_path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    port = int(await asyncio.wait_for(process.stdout.readline(), 20))
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}/bot{TOKEN}/sendMessage"
        for number in range(20):
            async with session.post(url, json={"chat_id": 1001, "text": f"n{number}"}) as response:
                assert (await response.json())["result"]["message_id"] == number + 1
    process.kill()
    await process.wait()
    async with BotApiServer(token=TOKEN, state_path=state_path) as server:
        ada = server.person(1001, "Ada")
        assert [message.text for message in ada.chat.messages] == [f"n{number}" for number in range(20)]
        assert await ada.say("on") == 21


async def test_a_whole_application(server: BotApiServer, ada: PlaygroundPerson) -> None:
    async def start(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        assert update.message is not None
        await update.message.reply_text("Restart?", reply_markup=APPROVE)

    async def approve(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        assert update.callback_query is not None
        await update.callback_query.answer("On it")
        await update.callback_query.edit_message_text("Restarted")

    application = Application.builder().token(TOKEN).base_url(server.base_url).build()
    application.add_handlers([CommandHandler("start", start), CallbackQueryHandler(approve)])
    async with application:
        await application.start()
        assert application.updater is not None
        await application.updater.start_polling()
        await ada.say("/start")
        card = await ada.chat.wait_for("Restart?")
        tap = await ada.tap(card, "Approve")
        assert (await tap.answer()).text == "On it"
        assert (await ada.chat.wait_for("Restarted")).edits == ["Restart?"]
        with pytest.raises(NotShown, match=r"waited 0.05 s for 'never'"):
            await ada.chat.wait_for("never", timeout_s=0.05)
        await application.updater.stop()
        await application.stop()
