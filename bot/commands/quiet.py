"""/silence, /freeze, /unfreeze, /autonomy: how much the guardian says and does by itself."""

from __future__ import annotations

from datetime import timedelta

from bot.arguments.target_choice import ReplyOption, choices, which_target
from bot.arguments.time_spans import parse_time_span
from bot.command_context import CommandContext, CommandReply
from bot.commands.command_table import command
from core.actions.catalog import Role
from core.decisions import DecisionResult
from core.durations import clock_time, duration
from core.monitoring.inventory import Stack, Target, find, title
from core.settings import Autonomy
from core.text import text
from core.views.cards import Block, Card, CardButton, Tone, faint, line, said, strong

SPANS = ("30m", "1h", "4h", "1d")
ENDS = "!end"


@command("silence", family="quiet", role=Role.OPERATOR, changes=True)
async def silence(ask: CommandContext) -> CommandReply:
    """No alarms for a stack or service for a while; bare: what is silenced now."""
    words = ask.words.split()
    if words[:1] == [ENDS]:
        return await _end(ask, words[1:])
    place = next((at for at, word in enumerate(words) if parse_time_span(word) is not None), None)
    target_words = " ".join(words if place is None else words[:place])
    if not target_words and place is None:
        return await _overview(ask)
    if place is None:
        return _with_reason(ask, target_words) or _spans(ask, target_words)
    found = which_target(ask, target_words)
    if isinstance(found, Card):
        return found
    wanted = parse_time_span(words[place]) or timedelta(hours=1)
    why = " ".join(words[place + 1 :])
    verdict, until = await ask.decisions.silence(ask.person, title(found), _stack_of(found), wanted, why)
    if not verdict.is_done:
        return _said(verdict)
    when = clock_time(until, ask.now, ask.zone)
    message = text("silence.done", target=title(found), until=when, span=duration(min(wanted, timedelta(days=30))))
    return Card(blocks=(line(message, tone=Tone.QUIET),))


def _with_reason(ask: CommandContext, words: str) -> Card | None:
    """The card that asks which, or says that there is none; None: the words name one target."""
    found = which_target(ask, words)
    return found if isinstance(found, Card) else None


def _spans(ask: CommandContext, words: str) -> Card:
    (target,) = find(ask.view.inventory, words) or (None,)
    name = title(target) if target is not None else words
    options = [ReplyOption(label=one, words=f"{name} {one}") for one in SPANS]
    return choices(ask, text("silence.how_long", target=name), options, per_row=4)


async def _overview(ask: CommandContext) -> CommandReply:
    active = [one for one in await ask.face.silences.active(ask.now) if ask.view.sees(one.stack)]
    blocks: list[Block] = [line(strong(text("silence.active" if active else "silence.none")), tone=Tone.QUIET)]
    rows: list[tuple[CardButton, ...]] = []
    for one in active[:8]:
        until = clock_time(one.until, ask.now, ask.zone)
        blocks.append(
            line(strong(one.target), "  ", text("silence.until", until=until), faint(f"  {one.why}".rstrip()))
        )
        ends = choices(ask, "", [ReplyOption(label=text("silence.end", target=one.target), words=f"{ENDS} {one.id}")])
        rows += ends.buttons
    targets = which_target(ask, "")
    if isinstance(targets, Card):
        blocks.append(line(text("silence.which")))
        rows += targets.buttons
    return Card(blocks=tuple(blocks), buttons=tuple(rows), is_replaced=True)


async def _end(ask: CommandContext, words: list[str]) -> CommandReply:
    number = int(words[0]) if words and words[0].isdigit() else 0
    return _said(await ask.decisions.end_silence(ask.person, number))


@command("freeze", family="quiet", role=Role.OPERATOR, changes=True)
async def freeze(ask: CommandContext) -> CommandReply:
    """Stop all automation; people may still act."""
    verdict = await ask.decisions.freeze(ask.person, True, ask.words)
    return said(verdict.message, Tone.FROZEN if verdict.is_done else Tone.BAD)


@command("unfreeze", family="quiet", role=Role.OPERATOR, changes=True)
async def unfreeze(ask: CommandContext) -> CommandReply:
    """Let automation go on."""
    return _said(await ask.decisions.freeze(ask.person, False))


@command("autonomy", family="quiet", role=Role.ADMIN, changes=True)
async def autonomy(ask: CommandContext) -> CommandReply:
    """Set how much runbooks may do alone on a stack."""
    words = ask.words.split()
    mode = next((one for one in Autonomy if words and words[-1].casefold() == one), None)
    stack_words = " ".join(words[:-1] if mode else words)
    found = which_target(ask, stack_words, stacks_only=True)
    if isinstance(found, Card):
        return found
    if not isinstance(found, Stack):
        return said(text("autonomy.no_stack", name=title(found)), Tone.UNKNOWN)
    if mode is None:
        return await _modes(ask, found)
    return _said(await ask.decisions.autonomy(ask.person, found.name, mode))


async def _modes(ask: CommandContext, stack: Stack) -> Card:
    own = ask.face.settings.stacks.get(stack.name)
    changed = await ask.face.changed.autonomy(stack.name)
    now = changed or (own.autonomy if own and own.autonomy else ask.face.settings.policy.autonomy)
    blocks: list[Block] = [line(strong(stack.name), " · ", text("autonomy.now", mode=text(f"autonomy.{now}.name")))]
    for one in Autonomy:
        blocks.append(line(strong(text(f"autonomy.{one}.name")), ": ", text(f"autonomy.{one}.about")))
    options = [ReplyOption(label=text(f"autonomy.{one}.name"), words=f"{stack.name} {one}") for one in Autonomy]
    return Card(blocks=tuple(blocks), buttons=choices(ask, "", options).buttons, is_replaced=True)


def _stack_of(target: Target) -> str | None:
    return target.name if isinstance(target, Stack) else target.stack


def _said(verdict: DecisionResult) -> Card:
    return said(verdict.message, Tone.GOOD if verdict.is_done else Tone.BAD)
