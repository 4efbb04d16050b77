"""/incidents, /incident, /approve, /deny, /ack, /close: incidents, and what the buttons of a card do, typed."""

from __future__ import annotations

from bot.arguments.target_choice import ReplyOption, choices
from bot.command_context import CommandContext, CommandReply
from bot.commands.command_table import command
from core.actions.approvals import Approval
from core.actions.catalog import Role
from core.decisions import DecisionResult
from core.incidents.incident import Incident
from core.text import text
from core.views.call_cards import approvals_card
from core.views.cards import Card, Tone, refusal, said
from core.views.incident_card import full_card, why_card
from core.views.incident_list import incident_list, latest_incidents

LISTED = 10
MOST_LISTED = 30
CLOSE_REASONS = ("repaired", "false_alarm", "accepted")


@command("incidents", family="incidents", role=Role.VIEWER)
async def incidents(ask: CommandContext) -> CommandReply:
    """The latest incidents, open ones first."""
    wanted = ask.words.strip()
    limit = min(int(wanted), MOST_LISTED) if wanted.isascii() and wanted.isdigit() and int(wanted) else LISTED
    return await incident_list(ask.view, limit)


@command("incident", family="incidents", role=Role.VIEWER)
async def incident(ask: CommandContext) -> CommandReply:
    """One incident with all its evidence and its whole story."""
    found = await which_incident(ask, ask.words)
    return found if isinstance(found, Card) else full_card(await ask.face.views.incident(found, ask.zone))


@command("why", family="incidents", role=Role.VIEWER, is_listed=False)
async def why(ask: CommandContext) -> CommandReply:
    """The reasons of the guardian's view."""
    found = await which_incident(ask, ask.words)
    return found if isinstance(found, Card) else why_card(await ask.face.views.incident(found, ask.zone))


async def which_incident(ask: CommandContext, words: str, *, only_open: bool = False) -> Incident | Card:
    """The incident of that number, of the card that was replied to, the only open one, or the card that asks."""
    number = words.strip().lstrip("#").split(" ")[0]
    if number.isascii() and number.isdigit() and len(number) < 10:
        found = await ask.face.tracker.get(int(number))
    elif number:
        return said(text("incidents.no_number", words=number[:40]), Tone.UNKNOWN)
    elif ask.incident_id is not None:
        found = await ask.face.tracker.get(ask.incident_id)
    else:
        return await _offer(ask, only_open=only_open)
    if found is None:
        return said(text("incidents.unknown", id=number or str(ask.incident_id)), Tone.UNKNOWN)
    if not ask.may(Role.VIEWER, found.stack):
        return refusal(Role.VIEWER)
    return found


async def _offer(ask: CommandContext, *, only_open: bool) -> Incident | Card:
    candidates = ask.view.open_incidents()
    if not candidates and not only_open:
        candidates = await latest_incidents(ask.view, LISTED)
    if not candidates:
        return said(text("incidents.none_open" if only_open else "incidents.none"), Tone.GOOD)
    if len(candidates) == 1:
        return candidates[0]
    options = [ReplyOption(label=f"{one.id} · {one.target}", words=str(one.id)) for one in candidates[:LISTED]]
    return choices(ask, text("incidents.which"), options)


# -- decisions ---------------------------------------------------------------------------------------------------------


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
    return await ask.face.gateway.approvals.get(which) if which else None


async def _which(ask: CommandContext, which: str) -> Approval | Card:
    direct = await _by_id(ask, which)
    if direct is not None:
        return direct
    pending = await ask.face.gateway.approvals.pending()
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
    return approvals_card(mine)


def _said(verdict: DecisionResult) -> Card:
    return said(verdict.message, Tone.GOOD if verdict.is_done else Tone.BAD)
