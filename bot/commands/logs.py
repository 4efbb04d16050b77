"""/logs: the last lines of a service, folded; older ones, only errors, followed for a while, or as a file."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime

from bot.arguments.log_selection import LogSelection, parse_log_selection
from bot.arguments.target_choice import ReplyOption, choices, which_container
from bot.command_context import CommandContext, CommandReply, Later, Live
from bot.commands.command_table import command
from core.actions.catalog import Role
from core.durations import clock_time
from core.monitoring.inventory import Container
from core.text import text
from core.views.cards import Attachment, Card, CardButton, Folded, Tone, faint, line, refusal, said, strong

SHOWN_LINES = 200
FILE_LINES = 2000
ERRORS_SEARCHED = 1000
FOLLOW_S = 60.0
FOLLOW_EVERY_S = 4.0
_ERROR = re.compile(r"error|exception|fatal|panic|traceback|critical|fail(?:ed|ure)|out of memory", re.IGNORECASE)


@command("logs", family="look", role=Role.VIEWER)
async def logs(ask: CommandContext) -> CommandReply:
    """Show the last lines of a service."""
    wanted = parse_log_selection(ask.words)
    found = which_container(ask, wanted.target)
    if isinstance(found, Card):
        return _with_options(found, wanted)
    if not ask.may(Role.VIEWER, found.stack):
        return refusal(Role.VIEWER)
    wanted = replace(wanted, target=found.ref)
    if wanted.follows:
        return Live(frames=lambda: _follow(ask, found, wanted))
    return Later(work=lambda: _once(ask, found, wanted))


def _with_options(card: Card, wanted: LogSelection) -> Card:
    """Keep the typed options on the buttons that ask which service is meant."""
    options = replace(wanted, target="").words().strip()
    rows = tuple(tuple(replace(one, detail=f"{one.detail} {options}") for one in row) for row in card.buttons)
    return replace(card, buttons=rows)


async def _fetch(ask: CommandContext, wanted: LogSelection) -> tuple[list[tuple[str, str]], Card | None]:
    """Fetch (time, line) pairs, oldest first; or the card that explains why there are none."""
    params: dict[str, object] = {"container": wanted.target, "tail": _tail(wanted)}
    for name, value in (("since", wanted.since), ("until", wanted.until), ("grep", wanted.grep)):
        if value:
            params[name] = value
    result = await ask.face.gateway.read("docker.logs", params, ask.person.actor(None))
    if not result.is_ok:
        return [], said(result.message, Tone.BAD)
    raw = result.data.get("lines")
    pairs = [
        (str(one.get("at") or ""), ask.face.redact(str(one.get("text") or "")))
        for one in (raw if isinstance(raw, list) else [])
        if isinstance(one, dict)
    ]
    if wanted.errors_only:
        pairs = [one for one in pairs if _ERROR.search(one[1])][-wanted.lines :]
    return pairs, None


def _tail(wanted: LogSelection) -> int:
    if wanted.as_file:
        return FILE_LINES
    return ERRORS_SEARCHED if wanted.errors_only else wanted.lines


async def _once(ask: CommandContext, container: Container, wanted: LogSelection) -> CommandReply:
    pairs, problem = await _fetch(ask, wanted)
    if problem is not None:
        return problem
    if not pairs:
        key = "logs.no_errors" if wanted.errors_only else "logs.none"
        return said(text(key, name=container.title, count=ERRORS_SEARCHED), Tone.OFF)
    if wanted.as_file or len(pairs) > SHOWN_LINES:
        body = "\n".join(f"{at} {words}".strip() for at, words in pairs)
        caption = said(text("logs.file", name=container.title, count=len(pairs)))
        file = Attachment(name=f"{container.name}.log", content=body.encode("utf-8", "replace"))
        return replace(caption, attachment=file)
    return _page(ask, container, wanted, pairs)


def _page(ask: CommandContext, container: Container, wanted: LogSelection, pairs: list[tuple[str, str]]) -> Card:
    until = _moment(ask, pairs[-1][0])
    note = text("logs.errors" if wanted.errors_only else "logs.lines", count=len(pairs))
    title = line(strong(container.title), "  ", faint(note), faint(f" · {until}" if until else ""))
    body = Folded(lines=tuple(words or " " for _, words in pairs), is_code=True, keep_end=True)
    return Card(blocks=(title, body), buttons=_buttons(ask, wanted, pairs), is_replaced=True)


def _buttons(
    ask: CommandContext, wanted: LogSelection, pairs: list[tuple[str, str]]
) -> tuple[tuple[CardButton, ...], ...]:
    plain = replace(wanted, errors_only=False, as_file=False, follows=False)
    first = [
        ReplyOption(label=text("logs.button.older"), words=replace(plain, until=pairs[0][0], since=None).words()),
        ReplyOption(label=text("logs.button.newest"), words=replace(plain, until=None, since=None).words())
        if wanted.errors_only or wanted.until
        else ReplyOption(label=text("logs.button.errors"), words=replace(plain, errors_only=True, until=None).words()),
    ]
    second = [
        ReplyOption(label=text("logs.button.follow"), words=replace(plain, follows=True, until=None).words()),
        ReplyOption(label=text("logs.button.file"), words=replace(plain, as_file=True).words()),
    ]
    return (*choices(ask, "", first).buttons, *choices(ask, "", second).buttons)


async def _follow(ask: CommandContext, container: Container, wanted: LogSelection) -> AsyncIterator[Card]:
    """Yield the newest lines for a minute; a frame only when there is something new."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + FOLLOW_S
    last: list[tuple[str, str]] = []
    while True:
        pairs, problem = await _fetch(ask, wanted)
        if problem is not None:
            yield problem
            return
        is_over = loop.time() >= ends_at
        if pairs and (pairs != last or is_over):
            last = pairs
            card = _page(ask, container, wanted, pairs)
            sign = text("logs.followed" if is_over else "logs.following")
            yield replace(card, blocks=(*card.blocks, line(faint(sign), tone=None if is_over else Tone.BUSY)))
        if is_over:
            return
        await asyncio.sleep(FOLLOW_EVERY_S)


def _moment(ask: CommandContext, at: str) -> str:
    try:
        return clock_time(datetime.fromisoformat(at), ask.now, ask.zone, seconds=True)
    except ValueError:
        return ""
