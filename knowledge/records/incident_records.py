"""Incidents as records, each with its evidence whole, so that it can be replayed against other rules or models."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, func, insert, select, update

from core.errors import NotFound
from core.incidents.incident import Incident, IncidentState
from knowledge.codec import decode_record, encode_record
from knowledge.database import Database
from knowledge.tables import incidents


class IncidentRecords:
    """core.incidents.incident_store.IncidentStore over the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, incident: Incident) -> Incident:
        """Write a new incident; returns it with its id."""
        async with self._database.write() as connection:
            written = await connection.execute(insert(incidents).values(**_columns(incident)).returning(incidents.c.id))
            return replace(incident, id=int(written.scalar_one()))

    async def save(self, incident: Incident) -> None:
        """Write an incident as it is now; raises NotFound if it was never opened."""
        async with self._database.write() as connection:
            changed = await connection.execute(
                update(incidents).where(incidents.c.id == incident.id).values(**_columns(incident))
            )
        if changed.rowcount != 1:
            raise NotFound(f"there is no record of the incident {incident.id}; open it before saving it")

    async def get(self, incident_id: int) -> Incident | None:
        """The incident, or None."""
        found = await self._all(select(incidents).where(incidents.c.id == incident_id))
        return found[0] if found else None

    async def open_ones(self) -> list[Incident]:
        """Open incidents, oldest first."""
        return await self._all(select(incidents).where(incidents.c.is_open.is_(True)).order_by(incidents.c.id))

    async def closed_by_hand(self) -> list[Incident]:
        """Incidents in the state `closed`, oldest first."""
        return await self._all(
            select(incidents).where(incidents.c.state == IncidentState.CLOSED).order_by(incidents.c.id)
        )

    async def recent(
        self, limit: int = 10, *, stack: str | None = None, service: str | None = None, since: datetime | None = None
    ) -> list[Incident]:
        """Latest incidents, newest first, closed ones too; `service` narrows within the stack."""
        query = select(incidents).order_by(incidents.c.id.desc()).limit(limit)
        if stack is not None:
            query = query.where(incidents.c.stack == stack)
        if service is not None:
            query = query.where(incidents.c.service == service)
        if since is not None:
            query = query.where(incidents.c.opened_at >= since)
        return await self._all(query)

    async def openings(self, fingerprint: str, since: datetime) -> int:
        """Number of incidents since then that an alert of that fingerprint opened."""
        query = select(func.count()).where(incidents.c.fingerprint == fingerprint, incidents.c.opened_at >= since)
        async with self._database.read() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def _all(self, query: Select[Any]) -> list[Incident]:
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [_incident(row) for row in rows]


def _columns(incident: Incident) -> dict[str, object]:
    return {
        "body": encode_record(incident),
        "state": incident.state,
        "is_open": incident.is_open,
        "host": incident.host,
        "stack": incident.stack,
        "service": incident.service,
        "fingerprint": incident.alerts[0].fingerprint if incident.alerts else "",
        "opened_at": incident.opened_at,
        "closed_at": incident.closed_at,
    }


def _incident(row: Row[Any]) -> Incident:
    return replace(decode_record(Incident, row.body, what=f"the incident {row.id}"), id=row.id)
