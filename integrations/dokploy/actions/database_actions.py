"""Databases of Dokploy: start, stop, restart. Rebuild is left out, because it deletes the data."""

from __future__ import annotations

from datetime import datetime

from core.actions.catalog import JsonObject, Outcome, Result, Risk, action
from core.deployments.platform import ManagedKind, ManagedResource
from core.errors import Refused
from core.text import text
from integrations.dokploy.actions.dokploy_deps import DokployToolset
from integrations.dokploy.actions.service_containers import has_running_task, wait_until_settled
from integrations.dokploy.actions.stack_params import ResourceParams
from integrations.dokploy.models import DatabaseKind

SLOW_S = 240.0


class DatabaseActions(DokployToolset):
    """Actions on databases: each is one Swarm service with its data in a volume."""

    system = "dokploy.database"

    @action(Risk.DISRUPTIVE, outcome="is_started", time_limit_s=SLOW_S)
    async def start(self, params: ResourceParams) -> Result:
        """Start a database that is stopped."""
        managed, kind = self._database(params.name)
        await self._dokploy.databases.start(kind, managed.id)
        return await self._told(managed, "dokploy.one_started", is_wanted=True)

    async def is_started(self, params: ResourceParams, started_at: datetime) -> Outcome:
        """Return OK if the database runs."""
        return Outcome.OK if await has_running_task(self._parts, self._database(params.name)[0]) else Outcome.FAILED

    @action(
        Risk.DISRUPTIVE,
        snapshot="state_before",
        undo="run_again",
        outcome="is_stopped",
        time_limit_s=SLOW_S,
    )
    async def stop(self, params: ResourceParams) -> Result:
        """Stop a database until someone starts it; everything that needs it fails meanwhile. Not a repair."""
        managed, kind = self._database(params.name)
        await self._dokploy.databases.stop(kind, managed.id)
        return await self._told(managed, "dokploy.one_stopped", is_wanted=False)

    async def state_before(self, params: ResourceParams) -> JsonObject:
        """Record whether it ran."""
        return {"was_running": await has_running_task(self._parts, self._database(params.name)[0])}

    async def run_again(self, params: ResourceParams, snapshot: JsonObject) -> Result:
        """Start it if it ran before."""
        if snapshot.get("was_running") is True:
            return await self.start(params)
        managed, _ = self._database(params.name)
        return self._result(text("dokploy.was_stopped_before", stack=managed.name), {"name": managed.name})

    async def is_stopped(self, params: ResourceParams, started_at: datetime) -> Outcome:
        """Return OK if the database does not run."""
        return Outcome.FAILED if await has_running_task(self._parts, self._database(params.name)[0]) else Outcome.OK

    @action(Risk.DISRUPTIVE, time_limit_s=SLOW_S)
    async def reload(self, params: ResourceParams) -> Result:
        """Restart a database: it is unavailable for some seconds and keeps its data. Open connections break."""
        managed, kind = self._database(params.name)
        await self._dokploy.databases.reload(kind, managed.id, managed.app_name)
        return await self._told(managed, "dokploy.reloaded", is_wanted=True)

    def _database(self, name: str) -> tuple[ManagedResource, DatabaseKind]:
        managed = self._parts.managed(name, ManagedKind.DATABASE)
        try:
            return managed, DatabaseKind(managed.type)
        except ValueError:
            raise Refused(
                f"{name!r} is a database of the kind {managed.type!r}, which is not known here",
                message=text("dokploy_error.database_kind", name=name, kind=managed.type),
            ) from None

    async def _told(self, managed: ManagedResource, key: str, *, is_wanted: bool) -> Result:
        is_so = await wait_until_settled(self._parts, managed, is_wanted=is_wanted)
        bad = "dokploy.one_not_started" if is_wanted else "dokploy.one_not_stopped"
        said = text(key if is_so else bad, name=managed.name)
        return self._result(said, {"name": managed.name}, outcome=Outcome.OK if is_so else Outcome.FAILED)
