"""/incidents and /incident: the list, and one with all its evidence."""

from __future__ import annotations

from collections.abc import Sequence

from bot.command_context import CommandContext, CommandReply
from bot.commands.command_table import command
from bot.commands.target_choice import ReplyOption, choices, refusal
from core.actions.catalog import Role
from core.durations import clock_time
from core.incidents.incident import Incident
from core.text import text
from core.views.cards import Block, Card, Tone, about, faint, line, said, strong
from core.views.incident_card import SEVERITY_TONES, STATE_TONES, full_card, why_card

LISTED = 10
MOST_LISTED = 30


@command("incidents", family="incidents", role=Role.VIEWER)
async def incidents(ask: CommandContext) -> CommandReply:
    """The latest incidents, open ones first."""
    wanted = ask.words.strip()
    limit = min(int(wanted), MOST_LISTED) if wanted.isascii() and wanted.isdigit() and int(wanted) else LISTED
    recent = await ask.face.incidents.recent(limit)
    known = {one.id: one for one in [*ask.face.desk.open_ones(), *recent]}
    shown = [one for one in known.values() if ask.may(Role.VIEWER, one.stack)]
    shown.sort(key=lambda one: (not one.is_open, -one.id))
    if not shown:
        return said(text("incidents.none"), Tone.GOOD)
    is_open = sum(one.is_open for one in shown)
    head = text("incidents.title", open=is_open) if is_open else text("incidents.title_calm")
    blocks: list[Block] = [line(strong(head))]
    for one in shown[:limit]:
        blocks += _lines(ask, one)
    options = [
        ReplyOption(label=text("incidents.number", id=one.id), words=str(one.id)) for one in shown[: min(limit, 8)]
    ]
    return Card(blocks=tuple(blocks), buttons=choices(ask, "", options, command="incident", per_row=4).buttons)


@command("incident", family="incidents", role=Role.VIEWER)
async def incident(ask: CommandContext) -> CommandReply:
    """One incident with all its evidence and its whole story."""
    found = await which_incident(ask, ask.words)
    return found if isinstance(found, Card) else full_card(await ask.face.views.incident(found, ask.zone))


@command("why", family="incidents", role=Role.VIEWER, is_listed=False)
async def why(ask: CommandContext) -> CommandReply:
    """Why the guardian thinks so."""
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
        return refusal(ask, Role.VIEWER)
    return found


async def _offer(ask: CommandContext, *, only_open: bool) -> Incident | Card:
    candidates: Sequence[Incident] = [one for one in ask.face.desk.open_ones() if ask.may(Role.VIEWER, one.stack)]
    if not candidates and not only_open:
        recent = await ask.face.incidents.recent(LISTED)
        candidates = [one for one in recent if ask.may(Role.VIEWER, one.stack)]
    if not candidates:
        return said(text("incidents.none_open" if only_open else "incidents.none"), Tone.GOOD)
    if len(candidates) == 1:
        return candidates[0]
    options = [ReplyOption(label=f"{one.id} · {one.target}", words=str(one.id)) for one in candidates[:LISTED]]
    return choices(ask, text("incidents.which"), options)


def _lines(ask: CommandContext, one: Incident) -> list[Block]:
    tone = SEVERITY_TONES[one.severity] if one.is_open else STATE_TONES[one.state]
    state = text(f"incidents.state.{one.state}")
    when = clock_time(one.occurred_at, ask.now, ask.zone)
    head = line(strong(text("incidents.number", id=one.id)), " ", about(one.target, one.says), tone=tone)
    tail = [faint(when), faint(" · "), faint(state)]
    if one.is_simulated:
        tail += [faint(" · "), faint(text("card.simulated"))]
    return [head, line(*tail, indent=True)]
