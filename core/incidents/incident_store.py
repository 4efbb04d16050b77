"""The stores that the incident tracker needs: incidents and silences."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from core.incidents.alerts import Silence
from core.incidents.incident import Incident


class IncidentStore(Protocol):
    """Incidents as records."""

    async def open(self, incident: Incident) -> Incident:
        """Write a new one; returns it with its id."""
        ...

    async def save(self, incident: Incident) -> None:
        """Write it as it is now."""
        ...

    async def get(self, incident_id: int) -> Incident | None:
        """The incident, or None."""
        ...

    async def open_ones(self) -> list[Incident]:
        """All that are not closed, oldest first."""
        ...

    async def closed_by_hand(self) -> list[Incident]:
        """Those in the state `closed`, oldest first, as far as they are kept."""
        ...

    async def recent(
        self, limit: int = 10, *, stack: str | None = None, since: datetime | None = None
    ) -> list[Incident]:
        """Newest first, closed ones too."""
        ...

    async def openings(self, fingerprint: str, since: datetime) -> int:
        """How often an alert of that fingerprint opened an incident since then (for flapping)."""
        ...


class Silences(Protocol):
    """Who wants quiet."""

    async def add(self, silence: Silence) -> Silence:
        """Write it; returns it with its id."""
        ...

    async def active(self, now: datetime) -> list[Silence]:
        """Those that hold at `now`."""
        ...

    async def end(self, silence_id: int, at: datetime) -> bool:
        """End one early; False: it was over."""
        ...
