"""What cards of the chat show, for whom."""

from __future__ import annotations

from datetime import tzinfo

from bot.chat_face_deps import BotDeps
from core.incidents import paging
from core.incidents.incident import Incident
from core.views.incident_card import IncidentView
from knowledge.records.people_records import Person


async def incident_view(face: BotDeps, incident: Incident, zone: tzinfo) -> IncidentView:
    """The incident with everything its card tells, as the records say now."""
    return await face.views.incident(incident, zone)


def zone_of(face: BotDeps, person: Person | None) -> tzinfo:
    """A person's time zone, or the settings'."""
    return paging.zone_of(person.preferences.get("timezone") if person else None, face.settings.timezone)
