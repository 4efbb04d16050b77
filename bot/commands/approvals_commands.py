"""/approve, /deny, /ack, /close: what the buttons of a card do, for whoever types."""

from __future__ import annotations

from bot.arguments.target_choice import ReplyOption, choices
from bot.command_context import CommandContext, CommandReply
from bot.commands.command_table import command
from bot.commands.incidents import which_incident
from core.actions.approvals import Approval
from core.actions.catalog import Role
from core.decisions import DecisionResult
from core.incidents.incident import Incident
from core.text import text
from core.views.cards import Block, Card, CardButton, Tone, line, said, strong
from core.views.incident_card import approval_buttons

ASKED_SHOWN = 8
CLOSE_REASONS = ("repaired", "false_alarm", "accepted")


@command("approve", family="incidents", role=Role.OPERATOR, changes=True)
async def approve(ask: CommandContext) -> CommandReply:
    """Yes to a question: by its id, by the incident's number, or by replying to the card."""
    found = await _which(ask, ask.words.strip().split(" ")[0])
    if isinstance(found, Card):
        return found
    # a destructive step wants its second confirmation from a button that says so
    return _said(await ask.decisions.approve(ask.person, found.id, 0))


@command("deny", family="incidents", role=Role.OPERATOR, changes=True)
async def deny(ask: CommandContext) -> CommandReply:
    """No to a question, with a reason where one is given."""
    words = ask.words.strip()
    is_reply = ask.incident_id is not None and not await _by_id(ask, words.split(" ")[0])
    which, _, why = ("", "", words) if is_reply else words.partition(" ")
    found = await _which(ask, which)
    if isinstance(found, Card):
        return found
    return _said(await ask.decisions.deny(ask.person, found.id, why.strip()))


@command("ack", family="incidents", role=Role.OPERATOR, changes=True)
async def ack(ask: CommandContext) -> CommandReply:
    """Take an incident over: automation stands still."""
    found = await which_incident(ask, ask.words, only_open=True)
    return found if isinstance(found, Card) else _said(await ask.decisions.take(ask.person, found))


@command("close", family="incidents", role=Role.OPERATOR, changes=True)
async def close(ask: CommandContext) -> CommandReply:
    """End an incident by hand; the reason is asked for where it is missing."""
    first, _, rest = ask.words.strip().partition(" ")
    is_number = first.lstrip("#").isdigit()
    is_reply = ask.incident_id is not None and not is_number
    number, why = ("", ask.words.strip()) if is_reply else (first, rest.strip())
    found = await which_incident(ask, number, only_open=True)
    if isinstance(found, Card):
        return found
    if found.is_open and not why and ask.may(Role.OPERATOR, found.stack):
        return _why_closed(ask, found)
    return _said(await ask.decisions.close(ask.person, found, why))


def _why_closed(ask: CommandContext, incident: Incident) -> Card:
    """The usual reasons as buttons; any other is typed."""
    reasons = [ask.face.texts.render(text(f"close.reason.{one}"), ask.language) for one in CLOSE_REASONS]
    options = [ReplyOption(label=reason, words=f"{incident.id} {reason}") for reason in reasons]
    return choices(ask, text("close.why", id=incident.id), options)


async def _by_id(ask: CommandContext, which: str) -> Approval | None:
    return await ask.face.door.approvals.get(which) if which else None


async def _which(ask: CommandContext, which: str) -> Approval | Card:
    direct = await _by_id(ask, which)
    if direct is not None:
        return direct
    pending = await ask.face.door.approvals.pending()
    number = which.lstrip("#")
    incident_id = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else None
    if which and incident_id is None:
        return said(text("decide.unknown_id", id=which[:40]), Tone.UNKNOWN)
    incident_id = incident_id if incident_id is not None else ask.incident_id
    if incident_id is not None:
        pending = [one for one in pending if one.incident_id == incident_id]
    mine = [one for one in pending if ask.may(one.role, one.stack)]
    if not mine:
        return said(text("decide.nothing_asked"), Tone.GOOD)
    if len(mine) == 1 and incident_id is not None:
        return mine[0]
    return _list(mine)


def _list(pending: list[Approval]) -> Card:
    blocks: list[Block] = [line(strong(text("decide.open", count=len(pending))))]
    rows: list[tuple[CardButton, ...]] = []
    for place, one in enumerate(pending[:ASKED_SHOWN], start=1):
        about = text("card.id", id=one.incident_id) if one.incident_id is not None else ""
        blocks.append(line(f"{place}. ", one.says[0] if one.says else "–", "  ", about))
        rows.append(approval_buttons(one, place))
    return Card(blocks=tuple(blocks), buttons=tuple(rows))


def _said(verdict: DecisionResult) -> Card:
    return said(verdict.message, Tone.GOOD if verdict.is_done else Tone.BAD)
