"""The list of incidents, open ones first."""

from __future__ import annotations

from core.durations import clock_time
from core.incidents.incident import Incident
from core.text import text
from core.views.cards import Block, Card, Tone, about, faint, in_rows, line, said, strong
from core.views.incident_card import SEVERITY_TONES, STATE_TONES
from core.views.view_context import ViewContext

BUTTONS_SHOWN = 8


async def latest_incidents(view: ViewContext, limit: int) -> list[Incident]:
    """The open incidents and the latest closed ones that the person may see."""
    past = [one for one in await view.incidents.recent(limit) if view.sees(one.stack)]
    known = {one.id: one for one in [*view.open_incidents(), *past]}
    return sorted(known.values(), key=lambda one: (not one.is_open, -one.id))[:limit]


async def incident_list(view: ViewContext, limit: int) -> Card:
    """The latest incidents, each with a button for all of its evidence."""
    shown = await latest_incidents(view, limit)
    if not shown:
        return said(text("incidents.none"), Tone.GOOD)
    count = len(view.open_incidents())
    head = text("incidents.title", open=count) if count else text("incidents.title_calm")
    blocks: list[Block] = [line(strong(head))]
    for one in shown:
        blocks += _lines(view, one)
    buttons = [view.button("incident", text("incidents.number", id=one.id), str(one.id)) for one in shown]
    return Card(blocks=tuple(blocks), buttons=in_rows(buttons[:BUTTONS_SHOWN], per_row=4))


def _lines(view: ViewContext, one: Incident) -> list[Block]:
    tone = SEVERITY_TONES[one.severity] if one.is_open else STATE_TONES[one.state]
    state = text(f"incidents.state.{one.state}")
    when = clock_time(one.occurred_at, view.now, view.zone)
    head = line(strong(text("incidents.number", id=one.id)), " ", about(one.target, one.message), tone=tone)
    tail = [faint(when), faint(" · "), faint(state)]
    if one.is_simulated:
        tail += [faint(" · "), faint(text("card.simulated"))]
    return [head, line(*tail, indent=True)]
