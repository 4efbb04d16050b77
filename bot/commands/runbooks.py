"""/runbooks: the known problems, their causes and their solutions."""

from __future__ import annotations

import re
from dataclasses import replace

from agent.runbooks.runbook import Runbook, StepTemplate
from bot.arguments.target_choice import ReplyOption, choices
from bot.command_context import CommandContext, CommandReply
from bot.commands.command_table import command
from core.actions.catalog import Role
from core.errors import closest
from core.text import Text, bilingual, text
from core.views.cards import Block, Card, Gap, Tone, code, faint, line, said, strong

RUNBOOKS_SHOWN = 40


@command("runbooks", family="know", role=Role.VIEWER)
async def runbooks(ask: CommandContext) -> CommandReply:
    """Show all runbooks, or one."""
    books = ask.face.runbooks()
    wanted = ask.words.strip().casefold().replace(" ", "_").replace("-", "_")
    if not books.by_id:
        return said(text("runbooks.none"), Tone.UNKNOWN)
    if wanted:
        found = books.get(wanted) or books.get(closest(wanted, books.names()) or "")
        if found is None:
            return said(text("runbooks.unknown", name=ask.words.strip()[:60]), Tone.UNKNOWN)
        return _shown(ask, found)
    known = [books.by_id[name] for name in books.names()]
    options = [ReplyOption(label=bilingual(one.name.en, one.name.es), words=one.id) for one in known[:RUNBOOKS_SHOWN]]
    message = text("runbooks.title", count=len(known))
    return replace(choices(ask, message, options, per_row=1), blocks=(line(strong(message)),), is_replaced=False)


def _shown(ask: CommandContext, book: Runbook) -> Card:
    blocks: list[Block] = [
        line(strong(bilingual(book.name.en, book.name.es)), "  ", code(book.id)),
        line(text("runbooks.trigger", events=_events(book))),
        line(text("runbooks.cause", cause=book.cause, pct=round(100 * book.confidence))),
    ]
    for place, solution in enumerate(book.solutions, start=1):
        blocks += [Gap(), line(f"{place}. ", strong(bilingual(solution.name.en, solution.name.es)))]
        for step in solution.steps:
            risk = ask.face.gateway.catalog.get(step.action).risk if step.action in ask.face.gateway.catalog else None
            message = _step(step)
            note = text("card.risk_of", risk=text(f"card.risk.{risk}")) if risk else text("runbooks.not_here")
            blocks.append(line("• ", message, faint(note), indent=True))
    if book.forbidden:
        blocks += [Gap(), line(text("runbooks.forbidden", actions=", ".join(sorted(book.forbidden))), tone=Tone.BAD)]
    return Card(blocks=tuple(blocks))


def _events(book: Runbook) -> Text:
    """Events that trigger the runbook, in words."""
    first, *rest = [text(f"runbooks.event.{one}") for one in book.trigger.events]
    for one in rest:
        first = text("card.listed", first=first, second=one)
    return first


def _step(step: StepTemplate) -> Text:
    """Effect of a step in words, without the names and numbers of an incident."""
    if step.message is None:
        return text(f"action.{step.action}", container=text("runbooks.the_service"))
    return bilingual(_general(step.message.en, "the service"), _general(step.message.es, "el servicio"))


def _general(sentence: str, service: str) -> str:
    named = re.sub(r"\$\{incident\.(?:target|service|container)\}", service, sentence)
    return re.sub(r"\$\{[^}]*\}", "…", named)
