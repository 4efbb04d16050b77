"""Gathers what a card tells from the records: the incident, its questions, its calls, and people's names."""

from __future__ import annotations

from datetime import tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.ports import FaceParts
from core.approvals import Approval
from core.incident_card import IncidentView
from core.incidents import Incident
from knowledge.people_records import Person


async def incident_view(face: FaceParts, incident: Incident, zone: tzinfo | None = None) -> IncidentView:
    """The incident with everything its card tells, as the records say now."""
    calls = await face.door.ledger.of_incident(incident.id)
    ids = dict.fromkeys(record.approval_id for record in calls if record.approval_id)
    approvals: list[Approval] = []
    for approval_id in ids:
        approval = await face.door.approvals.get(approval_id)
        if approval is not None:
            approvals.append(approval)
    return IncidentView(
        incident=incident,
        approvals=approvals,
        calls=calls,
        now=face.clock.now(),
        zone=zone or zone_of(face, None),
        names=await names(face),
    )


async def names(face: FaceParts) -> dict[str, str]:
    """People's names by actor id."""
    return {person.actor_id: person.name for person in await face.people.all()}


def zone_of(face: FaceParts, person: Person | None) -> tzinfo:
    """A person's time zone, or the settings'."""
    chosen = person.preferences.get("timezone") if person else None
    for name in (chosen, face.settings.timezone):
        if isinstance(name, str):
            try:
                return ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError):
                continue
    return ZoneInfo("UTC")
