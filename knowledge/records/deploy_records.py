"""Deploys: request, progress and verdict."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Select, insert, select, update

from core.deployments.deploys import Deploy
from knowledge.codec import decode_record, encode_record
from knowledge.database import Database
from knowledge.tables import deploys


class DeployRecords:
    """core.deployments.deploys.Deploys over the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, deploy: Deploy) -> None:
        """Write a deploy as it is now, new or known."""
        values = _columns(deploy)
        async with self._database.write() as connection:
            known = await connection.execute(update(deploys).where(deploys.c.key == deploy.key).values(**values))
            if known.rowcount == 0:
                await connection.execute(insert(deploys).values(key=deploy.key, **values))

    async def get(self, key: str) -> Deploy | None:
        """The deploy, or None."""
        found = await self._all(select(deploys).where(deploys.c.key == key))
        return found[0] if found else None

    async def of_keys(self, *keys: str) -> list[Deploy]:
        """Deploys with these keys, in no order."""
        return await self._all(select(deploys).where(deploys.c.key.in_(keys)))

    async def unfinished(self) -> list[Deploy]:
        """Deploys without a verdict, oldest first."""
        query = select(deploys).where(deploys.c.is_over.is_(False))
        return await self._all(query.order_by(deploys.c.ordered_at, deploys.c.id))

    async def recent(
        self, limit: int = 10, *, managed_id: str | None = None, since: datetime | None = None
    ) -> list[Deploy]:
        """Latest deploys, newest first."""
        query = select(deploys).order_by(deploys.c.ordered_at.desc(), deploys.c.id.desc()).limit(limit)
        if managed_id is not None:
            query = query.where(deploys.c.managed_id == managed_id)
        if since is not None:
            query = query.where(deploys.c.ordered_at >= since)
        return await self._all(query)

    async def _all(self, query: Select[Any]) -> list[Deploy]:
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [decode_record(Deploy, row.body, what=f"the deploy {row.key!r}") for row in rows]


def _columns(deploy: Deploy) -> dict[str, object]:
    return {
        "body": encode_record(deploy),
        "managed_id": deploy.managed_id,
        "stack": deploy.stack,
        "incident_id": deploy.incident_id,
        "phase": deploy.phase,
        "is_over": deploy.phase.is_over,
        "ordered_at": deploy.ordered_at,
    }
