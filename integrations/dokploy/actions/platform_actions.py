"""Dokploy itself: its health and its backups."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import reduce

from pydantic import JsonValue

from core.actions.catalog import JsonObject, Outcome, Result, Risk, action
from core.deployments.platform import ManagedKind, ManagedResource
from core.errors import GuardianError, Refused, SystemUnavailable
from core.text import Text, text
from integrations.dokploy.actions.compose_reads import iso_time
from integrations.dokploy.actions.dokploy_deps import DokployToolset
from integrations.dokploy.actions.stack_params import BackupParams, NoParams
from integrations.dokploy.client.dokploy_errors import RightMissing
from integrations.dokploy.client.endpoints.backups import BackupTarget
from integrations.dokploy.deploys.version_keeping import sort_deployment_rows
from integrations.dokploy.models import BackupRow, DatabaseKind, DeploymentStatus

BACKUP_LIMIT_S = 1800.0
_RUNS = {
    "postgres": BackupTarget.POSTGRES,
    "mysql": BackupTarget.MYSQL,
    "mariadb": BackupTarget.MARIADB,
    "mongo": BackupTarget.MONGO,
    "libsql": BackupTarget.LIBSQL,
    "web-server": BackupTarget.DOKPLOY,
}


class PlatformActions(DokployToolset):
    """Health and backups of Dokploy; restart, update and prune are left out."""

    system = "dokploy.platform"

    @action(Risk.READ, time_limit_s=40.0)
    async def health(self, params: NoParams) -> Result:
        """Check Dokploy: its version, database and proxy, and what is in its queue.

        Only an admin's key sees its database and proxy.
        """
        version, is_healthy, jobs = await asyncio.gather(
            self._dokploy.instance.version(), self._dokploy.instance.is_healthy(), self._dokploy.deployments.queue()
        )
        parts = await self._infrastructure()
        running = sum(one.is_active for one in jobs)
        sick = {name: state for name, state in parts.items() if state != "healthy"}
        problems = [f"{name}: {state}" for name, state in sick.items()]
        told = [
            text("dokploy_error.part", part=text(f"dokploy_error.{name}"), state=state) for name, state in sick.items()
        ]
        if not is_healthy:
            problems.append("it does not reach its database")
            told.append(text("dokploy_error.no_database"))
        data: JsonObject = {
            "version": version,
            "parts": dict(parts),
            "platform_problem": "; ".join(problems),
            "queue_running": running,
            "queue_waiting": len(jobs) - running,
        }
        if problems:
            said = text("dokploy.health_bad", version=version, problem=reduce(_join_sentences, told))
        else:
            said = text("dokploy.health_good", version=version, running=running, waiting=len(jobs) - running)
        return self._result(said, data, "settings.health")

    async def _infrastructure(self) -> dict[str, str]:
        """Return the state of Dokploy's own parts; empty if the key may not see them."""
        try:
            found = await self._dokploy.instance.infrastructure_health()
        except RightMissing:
            return {}
        return {
            name: part.status if part.status == "healthy" else f"{part.status} {part.message or ''}".strip()
            for name, part in (("database", found.postgres), ("proxy", found.traefik))
            if part.status
        }

    @action(Risk.READ, time_limit_s=60.0)
    async def backups(self, params: NoParams) -> Result:
        """List the scheduled backups of databases and stacks, and the last result of each."""
        owners = [one for one in self._parts.inventory().managed if one.kind is not ManagedKind.APPLICATION]
        told = await asyncio.gather(*(self._of(one) for one in owners))
        found = [(owner, backup) for owner, backups in zip(owners, told, strict=True) for backup in backups or ()]
        unseen = [owner.name for owner, backups in zip(owners, told, strict=True) if backups is None]
        rows = await asyncio.gather(*(self._row(owner, backup) for owner, backup in found))
        listed: list[JsonValue] = [*rows]
        data: JsonObject = {"backups": listed, "unseen": [*unseen]}
        if not rows:
            return self._result(text("dokploy.backups_none"), data, outcome=Outcome.NO_DATA)
        failed = sum(row["last_status"] == "error" for row in rows)
        return self._result(text("dokploy.backups_shown", count=len(rows), failed=failed), data)

    async def _of(self, owner: ManagedResource) -> Iterable[BackupRow] | None:
        """Return the backups of a database or stack; None if they cannot be seen."""
        try:
            if owner.kind is ManagedKind.COMPOSE:
                return (await self._dokploy.composes.one(owner.id)).backups
            return (await self._dokploy.databases.one(DatabaseKind(owner.type), owner.id)).backups
        except SystemUnavailable:
            raise
        except (GuardianError, ValueError):
            return None

    async def _row(self, owner: ManagedResource, backup: BackupRow) -> dict[str, JsonValue]:
        runs = sort_deployment_rows(await self._dokploy.deployments.of("backup", backup.backup_id))
        last = runs[0] if runs else None
        return {
            "backup_id": backup.backup_id,
            "name": owner.name,
            "database": backup.database,
            "schedule": backup.schedule,
            "is_enabled": backup.enabled,
            "last_status": str(last.status or DeploymentStatus.UNKNOWN) if last is not None else None,
            "last_at": iso_time(last.finished_at or last.created_at) if last is not None else None,
        }

    @action(Risk.SAFE, time_limit_s=BACKUP_LIMIT_S)
    async def run_backup(self, params: BackupParams) -> Result:
        """Run a scheduled backup now, of a database, a stack's database or Dokploy itself; it can take minutes."""
        backup = await self._dokploy.backups.one(params.backup_id)
        is_compose = backup.backup_type == "compose"
        run = BackupTarget.COMPOSE if is_compose else _RUNS.get(backup.database_type or "")
        if run is None:
            raise Refused(
                f"the backup {params.backup_id!r} is of the kind {backup.database_type!r}, which is not run from here",
                message=text("dokploy_error.backup_kind", backup=params.backup_id, kind=backup.database_type),
            )
        await self._dokploy.backups.run(run, params.backup_id)
        name = backup.database or backup.prefix or params.backup_id
        return self._result(text("dokploy.backup_done", name=name), {"backup_id": params.backup_id})


def _join_sentences(first: Text, second: Text) -> Text:
    return text("dokploy_error.both", first=first, second=second)
