"""The audit of decisions (silences, freezes, roles, approvals …): written once, never changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select

from core.actions.catalog import JsonObject
from core.actions.policy import Actor
from core.clock import Clock
from knowledge.database import Database
from knowledge.tables import audit


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """One line of the audit."""

    id: int
    at: datetime
    actor_id: str
    actor_name: str
    what: str
    """A short word: approve, deny, silence, freeze, autonomy, role …"""
    subject: str
    """The approval, stack or person that was decided about."""
    details: JsonObject = field(default_factory=dict)
    incident_id: int | None = None


class AuditRecords:
    """The audit log."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def add(
        self,
        actor: Actor,
        what: str,
        subject: str,
        *,
        details: JsonObject | None = None,
        incident_id: int | None = None,
    ) -> None:
        """Write one line."""
        async with self._database.write() as connection:
            await connection.execute(
                insert(audit).values(
                    at=self._clock.now(),
                    actor_id=actor.id,
                    actor_name=actor.name,
                    what=what,
                    subject=subject,
                    details=details or {},
                    incident_id=incident_id,
                )
            )

    async def recent(self, limit: int = 50, *, incident_id: int | None = None) -> list[AuditEntry]:
        """Latest lines, newest first."""
        query = select(audit).order_by(audit.c.id.desc()).limit(limit)
        if incident_id is not None:
            query = query.where(audit.c.incident_id == incident_id)
        async with self._database.read() as connection:
            return [_decided(row) for row in (await connection.execute(query)).all()]


def _decided(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        id=row.id,
        at=row.at,
        actor_id=row.actor_id,
        actor_name=row.actor_name,
        what=row.what,
        subject=row.subject,
        details=row.details,
        incident_id=row.incident_id,
    )
