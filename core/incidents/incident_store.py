"""Stores that the incident tracker needs: incidents and silences."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from core.incidents.alerts import Silence
from core.incidents.incident import Incident


class IncidentStore(Protocol):
    """Records of incidents."""

    async def open(self, incident: Incident) -> Incident:
        """Insert a new incident and return it with its id."""
        ...

    async def save(self, incident: Incident) -> None:
        """Save an incident as it is now."""
        ...

    async def get(self, incident_id: int) -> Incident | None:
        """Return the incident, or None."""
        ...

    async def open_ones(self) -> list[Incident]:
        """Return all that are not closed, oldest first."""
        ...

    async def closed_by_hand(self) -> list[Incident]:
        """Return those in the state `closed`, oldest first, as far as they are kept."""
        ...

    async def recent(
        self, limit: int = 10, *, stack: str | None = None, since: datetime | None = None
    ) -> list[Incident]:
        """Return the newest first, closed ones too."""
        ...

    async def openings(self, fingerprint: str, since: datetime) -> int:
        """Return the number of incidents that an alert of that fingerprint has opened since then (for flapping)."""
        ...


class Silences(Protocol):
    """Records of silences."""

    async def add(self, silence: Silence) -> Silence:
        """Insert a silence and return it with its id."""
        ...

    async def active(self, now: datetime) -> list[Silence]:
        """Return those in force at `now`."""
        ...

    async def end(self, silence_id: int, at: datetime) -> bool:
        """End a silence early; False: it was over."""
        ...
