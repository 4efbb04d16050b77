"""What becomes of a text: entities, offsets, limits, refusals in the server's words."""

import pytest
from telegram import Bot, MessageEntity
from telegram.constants import ParseMode
from telegram.error import BadRequest

from playground import BotApiServer, PlaygroundPerson


async def send_html(bot: Bot, person: PlaygroundPerson, html: str) -> str:
    """Send HTML and return what the person sees, as markup."""
    sent = await bot.send_message(person.id, html, parse_mode=ParseMode.HTML)
    return person.chat.message(sent.message_id).html


@pytest.mark.parametrize(
    ("html", "seen"),
    [
        ("<b>a</b> &lt;c&gt; &amp; &quot;d&#39;", "<b>a</b> &lt;c&gt; &amp; \"d'"),
        ("<strong>a</strong><em>b</em><ins>c</ins><del>d</del>", "<b>a</b><i>b</i><u>c</u><s>d</s>"),
        ("<b>a <i>b</i></b>", "<b>a <i>b</i></b>"),
        ("<b>a <code>b</code> c</b>", "<b>a </b><code>b</code><b> c</b>"),
        ("<code>a <b>b</b></code>", "<code>a b</code>"),
        ('<pre><code class="language-py">x = 1</code></pre>', '<pre><code class="language-py">x = 1</code></pre>'),
        ("<code class='language-py'>x</code>", "<code>x</code>"),
        ("<blockquote expandable>log</blockquote>", "<blockquote expandable>log</blockquote>"),
        ("<blockquote>a <blockquote>b</blockquote></blockquote>", "<blockquote>a b</blockquote>"),
        ('<a href="https://x.org/?a=1&amp;b=2">x</a>', '<a href="https://x.org/?a=1&amp;b=2">x</a>'),
        ('<a href="javascript:alert(1)">x</a>', "x"),
        ('<span class="tg-spoiler">s</span><tg-spoiler>t</tg-spoiler>', "<tg-spoiler>st</tg-spoiler>"),
        ('<tg-time unix="1700000000" format="r">then</tg-time>', '<tg-time unix="1700000000">then</tg-time>'),
        ("  <b> padded </b>  ", "<b>padded</b>"),
        ("a & b &unknown; <b></b>c", "a &amp; b &amp;unknown; c"),
    ],
)
async def test_html_is_shown_as_telegram_shows_it(bot: Bot, ada: PlaygroundPerson, html: str, seen: str) -> None:
    assert await send_html(bot, ada, html) == seen


@pytest.mark.parametrize(
    ("html", "refusal"),
    [
        ("<x>a</x>", 'Unsupported start tag "x" at byte offset 0'),
        ("é<x>a</x>", 'Unsupported start tag "x" at byte offset 2'),
        ("<b>a</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
        ("<b>a", 'Can\'t find end tag corresponding to start tag "b"'),
        ("a</b>", "Unexpected end tag at byte offset 1"),
        ("a <b", "Unclosed start tag at byte offset 2"),
        ('<span class="x">a</span>', 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
    ],
)
async def test_broken_html_is_refused_with_the_servers_words(
    server: BotApiServer, bot: Bot, ada: PlaygroundPerson, html: str, refusal: str
) -> None:
    with pytest.raises(BadRequest):
        await bot.send_message(ada.id, html, parse_mode=ParseMode.HTML)
    assert server.calls[-1].error == f"Bad Request: can't parse entities: {refusal}"
    assert ada.chat.messages == []


async def test_offsets_count_utf16_units(bot: Bot, ada: PlaygroundPerson) -> None:
    sent = await bot.send_message(ada.id, "😀<b>é🚀</b> /status", parse_mode=ParseMode.HTML)
    bold, command = sent.entities
    assert (bold.type, bold.offset, bold.length) == ("bold", 2, 3)
    assert (command.type, command.offset, command.length) == ("bot_command", 6, 7)
    assert sent.parse_entity(bold) == "é🚀"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/start now", [("bot_command", "/start")]),
        ("see /a/b and x/y", []),
        ("/status@infraguardian_bot", [("bot_command", "/status@infraguardian_bot")]),
        ("https://x.org/a?b=1. then", [("url", "https://x.org/a?b=1")]),
        ("example.com, me@example.com", [("url", "example.com"), ("email", "me@example.com")]),
        ("@grace_h #ops", [("mention", "@grace_h"), ("hashtag", "#ops")]),
        ("http://a.b/c/start", [("url", "http://a.b/c/start")]),
    ],
)
async def test_links_and_commands_are_detected(
    bot: Bot, ada: PlaygroundPerson, text: str, found: list[tuple[str, str]]
) -> None:
    sent = await bot.send_message(ada.id, text)
    assert [(str(entity.type), sent.parse_entity(entity)) for entity in sent.entities] == found


async def test_nothing_is_detected_inside_code(bot: Bot, ada: PlaygroundPerson) -> None:
    assert await send_html(bot, ada, "<code>/start https://x.org</code>") == "<code>/start https://x.org</code>"
    assert len(ada.chat.messages[-1].entities) == 1


async def test_markdown_v2(server: BotApiServer, bot: Bot, ada: PlaygroundPerson) -> None:
    markdown = "*b* _i_ __u__ ~s~ ||p|| `c\\`` [l](https://x.org/\\)) 1\\.0\n>q\n```py\nx.y\n```"
    sent = await bot.send_message(ada.id, markdown, parse_mode=ParseMode.MARKDOWN_V2)
    assert sent.text_html_urled.startswith("<b>b</b> <i>i</i> <u>u</u> <s>s</s>")
    assert '<pre><code class="py">x.y</code></pre>' in sent.text_html_urled
    for text, refusal in [
        ("1.0", "Character '.' is reserved and must be escaped with the preceding '\\'"),
        ("é*b", "Can't find end of Bold entity at byte offset 2"),
    ]:
        with pytest.raises(BadRequest):
            await bot.send_message(ada.id, text, parse_mode=ParseMode.MARKDOWN_V2)
        assert server.calls[-1].error == f"Bad Request: can't parse entities: {refusal}"


async def test_explicit_entities(bot: Bot, ada: PlaygroundPerson) -> None:
    sent = await bot.send_message(ada.id, "a bold word", entities=[MessageEntity("bold", 2, 4)])
    assert ada.chat.message(sent.message_id).html == "a <b>bold</b> word"


async def test_mention_of_a_known_person(bot: Bot, ada: PlaygroundPerson, grace: PlaygroundPerson) -> None:
    sent = await bot.send_message(
        ada.id, f'<a href="tg://user?id={grace.id}">G</a> <a href="tg://user?id=99">N</a>', parse_mode=ParseMode.HTML
    )
    assert [entity.user.first_name for entity in sent.entities if entity.user] == ["Grace"]


async def test_limits_of_a_text(bot: Bot, ada: PlaygroundPerson) -> None:
    await bot.send_message(ada.id, "x" * 4096)
    await bot.send_message(ada.id, "<b>" + "x" * 4096 + "</b>", parse_mode=ParseMode.HTML)
    for text, refusal in [
        ("x" * 4097, "Message is too long"),
        ("x" * 32769, "Text is too long"),
        ("  \n ", "Message text is empty"),
    ]:
        with pytest.raises(BadRequest) as raised:
            await bot.send_message(ada.id, text)
        assert raised.value.message == refusal


async def test_unknown_parse_mode(bot: Bot, ada: PlaygroundPerson) -> None:
    with pytest.raises(BadRequest, match="Unsupported parse_mode"):
        await bot.send_message(ada.id, "a", parse_mode="wiki")


async def test_a_person_who_pastes_a_long_text_sends_two_messages(server: BotApiServer, ada: PlaygroundPerson) -> None:
    last = await ada.say("y" * 5000)
    assert [len(message.text) for message in ada.chat.messages] == [4096, 904]
    assert ada.chat.messages[-1].id == last
