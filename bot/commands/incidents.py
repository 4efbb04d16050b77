"""/incidents and /incident: the list, and one with all its evidence."""

from __future__ import annotations

from bot.arguments.target_choice import ReplyOption, choices
from bot.command_context import CommandContext, CommandReply
from bot.commands.command_table import command
from core.actions.catalog import Role
from core.incidents.incident import Incident
from core.text import text
from core.views.cards import Card, Tone, refusal, said
from core.views.incident_card import full_card, why_card
from core.views.incident_list import incident_list, latest_incidents

LISTED = 10
MOST_LISTED = 30


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
        found = await ask.face.desk.get(int(number))
    elif number:
        return said(text("incidents.no_number", words=number[:40]), Tone.UNKNOWN)
    elif ask.incident_id is not None:
        found = await ask.face.desk.get(ask.incident_id)
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
