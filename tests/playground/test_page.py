"""The chat page in a real browser."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Literal

import aiohttp
import pytest
from playwright.async_api import Browser, Page, ViewportSize, async_playwright, expect
from telegram import (
    Bot,
    CallbackQuery,
    CopyTextButton,
    ForceReply,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    ReplyParameters,
)

from playground import BotApiServer, Group, PlaygroundPerson
from playground.page.page_api import PAGE_FOLDER
from tests.playground.conftest import TOKEN, running_bot
from tests.playground.pictures import png

Scheme = Literal["light", "dark"]
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
APPROVE = InlineKeyboardMarkup(
    [
        [
            InlineKeyboardButton("Approve", callback_data="ok", style="success"),
            InlineKeyboardButton("Deny", callback_data="no", style="danger"),
        ],
        [
            InlineKeyboardButton("Open", url="https://example.org/"),
            InlineKeyboardButton("Copy", copy_text=CopyTextButton("x")),
        ],
    ]
)


@pytest.fixture
async def browser(chromium_path: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        yield browser
        await browser.close()


@asynccontextmanager
async def opened(
    browser: Browser, server: BotApiServer, *, is_phone: bool = False, scheme: Scheme = "light"
) -> AsyncIterator[Page]:
    """Give the page, opened and connected; nothing may go wrong in its console."""
    size: ViewportSize = {"width": 390, "height": 844} if is_phone else {"width": 1280, "height": 860}
    window = await browser.new_context(viewport=size, color_scheme=scheme, has_touch=is_phone)
    page = await window.new_page()
    page.set_default_timeout(10_000)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(server.page_url)
    await expect(page.locator("#title")).not_to_be_empty()
    yield page
    assert [text for text in complaints if "ERR_CONNECTION" not in text and "WebSocket" not in text] == []
    await window.close()


@pytest.fixture
async def page(
    browser: Browser, server: BotApiServer, ada: PlaygroundPerson, grace: PlaygroundPerson
) -> AsyncIterator[Page]:
    async with opened(browser, server) as page:
        yield page


async def test_a_conversation_with_buttons(server: BotApiServer, bot: Bot, page: Page, ada: PlaygroundPerson) -> None:
    await expect(page).to_have_title("InfraGuardian")
    assert page.url == f"http://127.0.0.1:{server.port}/chat"
    await page.get_by_role("button", name="Start").click()
    await server.wait_until(lambda: [message.text for message in ada.chat.messages] == ["/start"])
    card = await bot.send_message(ada.id, "<b>api</b> is down", parse_mode="HTML", reply_markup=APPROVE)
    bubble = page.locator(f"#m{card.message_id}")
    await expect(bubble.locator("strong")).to_have_text("api")
    await expect(bubble.get_by_role("button", name="Approve")).to_have_class(re.compile("success"))
    await expect(bubble.get_by_role("link", name="Open")).to_have_attribute("rel", "noopener noreferrer")
    await bubble.get_by_role("button", name="Approve").click()
    query = await tapped(bot)
    assert query.data == "ok" and query.from_user.id == ada.id
    await query.answer("On it")
    await expect(page.get_by_text("On it")).to_be_visible()
    await query.edit_message_text("restarted")
    await expect(bubble.locator(".text")).to_have_text("restarted")
    await expect(bubble.get_by_text("edited")).to_have_attribute("title", re.compile("api is down"))
    await expect(bubble.locator(".key")).to_have_count(0)


async def tapped(bot: Bot) -> CallbackQuery:
    """Return the newest tap, once there is one; what people wrote before is skipped."""
    offset = 0
    while True:
        for update in await bot.get_updates(timeout=5, offset=offset):
            offset = update.update_id + 1
            if update.callback_query is not None:
                return update.callback_query


async def test_an_alert_asks_to_be_closed(bot: Bot, page: Page, ada: PlaygroundPerson) -> None:
    card = await bot.send_message(ada.id, "?", reply_markup=APPROVE)
    await page.locator(f"#m{card.message_id}").get_by_role("button", name="Deny").click()
    query = await tapped(bot)
    await query.answer("Only an operator may", show_alert=True)
    await expect(page.locator("#alert")).to_contain_text("Only an operator may")
    await page.get_by_role("button", name="OK").click()
    await expect(page.locator("#alert")).to_be_hidden()


async def test_every_entity_is_drawn(bot: Bot, page: Page, ada: PlaygroundPerson) -> None:
    long = "\n".join(f"line {number}" for number in range(30))
    sent = await bot.send_message(
        ada.id,
        "😀<b>b<i>bi</i></b> <u>u</u> <s>s</s> <code>c</code> <a href='https://example.org/?a=1'>l</a> /help "
        "<tg-spoiler>hidden</tg-spoiler>\n<pre><code class='language-py'>x = 1</code></pre>\n"
        f"<blockquote>q</blockquote>\n<blockquote expandable>{long}</blockquote>\n"
        "<tg-time unix='1700000000' format='r'>then</tg-time>",
        parse_mode="HTML",
    )
    bubble = page.locator(f"#m{sent.message_id}")
    await expect(bubble.locator("strong > em")).to_have_text("bi")
    await expect(bubble.locator("u")).to_have_text("u")
    await expect(bubble.locator(".text > code")).to_have_text("c")
    await expect(bubble.locator("pre code")).to_have_text("x = 1")
    await expect(bubble.locator(".pre-head span")).to_have_text("py")
    await expect(bubble.get_by_role("link", name="l", exact=True)).to_have_attribute("href", "https://example.org/?a=1")
    quote = bubble.locator("blockquote.expandable")
    closed = await quote.bounding_box()
    await bubble.get_by_role("button", name="Show all").click()
    opened_box = await quote.bounding_box()
    assert closed and opened_box and opened_box["height"] > closed["height"] * 4
    await bubble.get_by_role("button", name="Hidden text").click()
    await expect(bubble.locator(".spoiler")).to_have_class(re.compile("revealed"))
    await bubble.get_by_role("button", name="/help").click()
    await expect(page.locator(".own .text").last).to_have_text("/help")


async def test_markup_in_a_text_stays_text(bot: Bot, page: Page, ada: PlaygroundPerson) -> None:
    evil = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
    sent = await bot.send_message(
        ada.id, evil, reply_markup=InlineKeyboardMarkup([[InlineKeyboardButton(evil, callback_data="x")]])
    )
    await expect(page.locator(f"#m{sent.message_id} .text")).to_have_text(evil)
    assert await page.locator(f"#m{sent.message_id} img").count() == 0
    await expect(page).to_have_title("InfraGuardian")


async def test_the_command_menu_speaks_the_persons_language(
    server: BotApiServer, bot: Bot, page: Page, grace: PlaygroundPerson
) -> None:
    await bot.set_my_commands([("status", "All stacks"), ("stop", "Stop a service"), ("logs", "Last lines")])
    await bot.set_my_commands([("status", "Todos los stacks")], language_code="es")
    await page.get_by_role("button", name="Commands").click()
    await expect(page.locator("#commands").get_by_role("option")).to_have_count(3)
    await page.keyboard.press("Escape")
    await page.locator("#input").fill("/st")
    await expect(page.locator("#commands").get_by_role("option")).to_have_text(
        ["/statusAll stacks", "/stopStop a service"]
    )
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.locator(".own .text").last).to_have_text("/stop")
    await page.get_by_role("button", name="Grace").click()
    await page.get_by_role("button", name="Comandos").click()
    await expect(page.locator("#commands").get_by_role("option")).to_have_text("/statusTodos los stacks")
    await page.locator("#commands").get_by_role("option").click()
    await server.wait_until(lambda: [message.text for message in grace.chat.messages] == ["/status"])


async def test_replying_editing_and_quoting(server: BotApiServer, bot: Bot, page: Page, ada: PlaygroundPerson) -> None:
    card = await bot.send_message(ada.id, "Incident 7")
    await page.locator(f"#m{card.message_id}").hover()
    await page.locator(f"#m{card.message_id}").get_by_role("button", name="Reply").click()
    await page.locator("#input").fill("why?")
    await page.keyboard.press("Enter")
    await server.wait_until(lambda: ada.chat.messages[-1].reply_to == card.message_id)
    own = ada.chat.messages[-1].id
    await page.locator(f"#m{own}").hover()
    await page.locator(f"#m{own}").get_by_role("button", name="Edit").click()
    await page.locator("#input").fill("why now?")
    await page.get_by_role("button", name="Send").click()
    await server.wait_until(lambda: ada.chat.message(own).text == "why now?")
    answer = await bot.send_message(ada.id, "Because", reply_parameters=ReplyParameters(own))
    await page.locator(f"#m{answer.message_id} .quote").click()
    await expect(page.locator(f"#m{own}")).to_have_class(re.compile("found"))


async def test_a_question_that_asks_for_a_reply(
    server: BotApiServer, bot: Bot, page: Page, ada: PlaygroundPerson
) -> None:
    question = await bot.send_message(ada.id, "For how long?", reply_markup=ForceReply(input_field_placeholder="2h"))
    await expect(page.locator("#input")).to_have_attribute("placeholder", "2h")
    await page.locator("#input").fill("30m")
    await page.keyboard.press("Enter")
    await server.wait_until(lambda: ada.chat.messages[-1].reply_to == question.message_id)


async def test_typing_and_a_streamed_draft(bot: Bot, page: Page, ada: PlaygroundPerson) -> None:
    await bot.send_chat_action(ada.id, "typing")
    await expect(page.locator("#status")).to_have_text("is typing…")
    await expect(page.locator(".dots")).to_be_visible()
    for text in ("The memory", "The memory <b>grew</b>"):
        await bot.send_message_draft(ada.id, 5, text, parse_mode="HTML")
    await expect(page.locator(".draft")).to_have_text("The memory grew")
    await bot.send_message(ada.id, "The memory grew.")
    await expect(page.locator(".draft, .dots")).to_have_count(0)


async def test_pictures_and_files_both_ways(
    server: BotApiServer, bot: Bot, page: Page, ada: PlaygroundPerson, tmp_path: Path
) -> None:
    await bot.send_photo(ada.id, png(300, 200), caption="chart")
    await bot.send_document(ada.id, b"all lines", filename="<api>.log")
    await expect(page.get_by_role("img", name="chart")).to_be_visible()
    assert await page.get_by_role("img", name="chart").evaluate("image => image.naturalWidth") == 300
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Save").click()
    saved = tmp_path / "saved.log"
    await (await download.value).save_as(saved)
    assert await asyncio.to_thread(saved.read_bytes) == b"all lines"
    await page.locator("#file").set_input_files({"name": "plan.yml", "mimeType": "text/yaml", "buffer": b"steps: []"})
    await server.wait_until(lambda: len(ada.chat.messages) == 3)
    document = ada.chat.messages[-1].document
    assert document is not None and (document.name, document.content) == ("plan.yml", b"steps: []")
    await page.get_by_role("button", name="chart").click()
    await expect(page.locator("#viewer-image")).to_be_visible()


async def test_topics_polls_and_pins(
    server: BotApiServer, bot: Bot, page: Page, ada: PlaygroundPerson, forum: Group
) -> None:
    topic = await bot.create_forum_topic(forum.id, "granada")
    await bot.send_message(forum.id, "general talk")
    poll = await bot.send_poll(forum.id, "Freeze?", ["yes", "no"], message_thread_id=topic.message_thread_id)
    await bot.pin_chat_message(forum.id, poll.message_id)
    await page.get_by_role("button", name="Ops").click()
    await expect(page.locator("#title")).to_have_text("Ops")
    await page.get_by_role("button", name="granada").click()
    await expect(page.get_by_text("general talk")).to_have_count(0)
    await page.locator(".option").first.click()
    await expect(page.locator(".option-share").first).to_have_text("100 %")
    await page.locator("#input").fill("/ack")
    await page.keyboard.press("Enter")
    await server.wait_until(lambda: forum.messages[-1].text == "/ack")
    assert forum.messages[-1].thread_id == topic.message_thread_id


async def test_the_page_comes_back_after_a_restart(browser: Browser, state_path: Path) -> None:
    async with AsyncExitStack() as first_run:
        server = await first_run.enter_async_context(BotApiServer(token=TOKEN, state_path=state_path))
        server.person(1001, "Ada")
        async with running_bot(server) as bot:
            await bot.send_message(1001, "before")
        async with opened(browser, server) as page:
            await expect(page.locator(".message")).to_have_count(1)
            await first_run.aclose()
            await expect(page.locator("#status")).to_have_text("Connecting…")
            async with BotApiServer(token=TOKEN, state_path=state_path, port=server.port) as again:
                async with running_bot(again) as bot:
                    await bot.send_message(1001, "after")
                await expect(page.locator(".message .text")).to_have_text(["before", "after"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_a_phone(
    browser: Browser, server: BotApiServer, bot: Bot, ada: PlaygroundPerson, scheme: Scheme
) -> None:
    await bot.send_message(ada.id, "x" * 500 + "\n" + "word " * 60, reply_markup=APPROVE)
    await bot.send_message(ada.id, f"<pre>{'y' * 400}</pre>", parse_mode="HTML")
    await bot.send_photo(ada.id, png(1600, 900), caption="chart")
    async with opened(browser, server, is_phone=True, scheme=scheme) as page:
        await expect(page.locator(".message")).to_have_count(3)
        for selector in ("html", "#log"):
            assert await page.locator(selector).evaluate("element => element.scrollWidth <= element.clientWidth")
        background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", background))) > 382) == (scheme == "light")
        smallest = await page.locator(".key").evaluate_all("keys => Math.min(...keys.map(key => key.offsetHeight))")
        assert smallest >= 40
        await page.get_by_role("button", name="Switch person").tap()
        await expect(page.locator("#side")).to_have_class(re.compile("open"))
        await page.keyboard.press("Escape")


async def test_a_bot_that_was_blocked(page: Page, ada: PlaygroundPerson) -> None:
    await ada.block()
    await expect(page.locator("#composer")).to_be_hidden()
    await page.get_by_role("button", name="Unblock the bot").click()
    await expect(page.locator("#composer")).to_be_visible()
    assert not ada.record.has_blocked


async def test_other_pages_are_kept_out(server: BotApiServer, ada: PlaygroundPerson) -> None:
    origin = f"http://127.0.0.1:{server.port}"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        for path in ("/chat", "/chat?key=wrong", "/chat/static/app.js", "/chat/live"):
            async with session.get(origin + path) as response:
                assert response.status == 403, path
        async with session.get(server.page_url) as response:
            assert response.status == 200
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy
        order = json.dumps({"act": "say", "text": "hi"})
        for headers, status in [
            ({}, 403),
            ({"Origin": "http://evil.example"}, 403),
            ({"Origin": origin, "Host": f"evil.example:{server.port}"}, 403),
            ({"Origin": origin}, 200),
        ]:
            async with session.post(f"{origin}/chat/act?as={ada.id}", data=order, headers=headers) as response:
                assert response.status == status, headers
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(f"{origin}/chat/live", origin="http://evil.example")
        async with session.post(f"{origin}/chat/act", data="[", headers={"Origin": origin}) as response:
            assert response.status == 400
        async with session.post(f"{origin}/chat/act", data='{"act":"fly"}', headers={"Origin": origin}) as response:
            assert (await response.json())["error"] == "there is no act 'fly'"
    assert [message.text for message in ada.chat.messages] == ["hi"]


def test_every_text_of_the_page_exists_in_both_languages() -> None:
    texts = json.loads((PAGE_FOLDER / "texts.json").read_text("utf-8"))
    sources = "".join(path.read_text("utf-8") for path in PAGE_FOLDER.iterdir() if path.suffix in {".js", ".html"})
    used = set(re.findall(r'\bt\("(\w+)"', sources)) | set(re.findall(r'data-(?:text|label)="(\w+)"', sources))
    assert used and used <= texts["en"].keys() == texts["es"].keys()


def test_the_page_loads_nothing_from_elsewhere() -> None:
    for path in PAGE_FOLDER.iterdir():
        text = path.read_text("utf-8")
        assert "innerHTML" not in text and "insertAdjacentHTML" not in text
        assert not re.findall(r"(?:src|href|@import|url\()\W*https?:", text), path.name


async def test_many_messages_at_once_stay_in_order(
    server: BotApiServer, bot: Bot, page: Page, ada: PlaygroundPerson
) -> None:
    await asyncio.gather(*(bot.send_message(ada.id, f"n{number}") for number in range(100)))
    await expect(page.locator(".message")).to_have_count(100)
    shown = await page.locator(".message .text").all_text_contents()
    assert shown == [message.text for message in ada.chat.messages]


async def test_a_diff_tells_what_is_added_from_what_is_gone(bot: Bot, page: Page, ada: PlaygroundPerson) -> None:
    await page.get_by_role("button", name="Start").click()
    shown = '<pre><code class="language-diff">  api:\n-   mem_limit: 2g\n+   mem_limit: 4g &lt;b&gt;</code></pre>'
    card = await bot.send_message(ada.id, shown, parse_mode="HTML")
    code = page.locator(f"#m{card.message_id} pre code")
    await expect(code).to_have_text("  api:\n-   mem_limit: 2g\n+   mem_limit: 4g <b>\n")
    await expect(code.locator(".gone")).to_have_text("-   mem_limit: 2g\n")
    await expect(code.locator(".added")).to_have_text("+   mem_limit: 4g <b>\n")
