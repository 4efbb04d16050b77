"""Backups of databases and volumes. Dokploy has no list of backups: they are fields of their service."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from integrations.dokploy.client.instance_models import VolumeBackup
from integrations.dokploy.client.transport import DokployTransport, RetryLimits
from integrations.dokploy.models import BackupRow

VolumeOwner = Literal["application", "compose", "postgres", "mysql", "mariadb", "mongo", "redis", "libsql"]


class BackupTarget(StrEnum):
    """Kind of backup, as Dokploy's calls name it."""

    POSTGRES = "manualBackupPostgres"
    MYSQL = "manualBackupMySql"
    MARIADB = "manualBackupMariadb"
    MONGO = "manualBackupMongo"
    LIBSQL = "manualBackupLibsql"
    COMPOSE = "manualBackupCompose"
    DOKPLOY = "manualBackupWebServer"


class BackupEndpoints:
    """Calls about backup plans; the API has no restore."""

    def __init__(self, transport: DokployTransport) -> None:
        self._transport = transport

    async def one(self, backup_id: str) -> BackupRow:
        """Return one backup plan."""
        return await self._transport.get("backup.one", BackupRow, {"backupId": backup_id})

    async def run(self, run: BackupTarget, backup_id: str) -> None:
        """Make a backup now; returns when it is done."""
        await self._transport.order(f"backup.{run}", {"backupId": backup_id}, patience=RetryLimits.LONG)


class VolumeBackupEndpoints:
    """Calls about volume backups; those with `turn_off` stop their service meanwhile."""

    def __init__(self, transport: DokployTransport) -> None:
        self._transport = transport

    async def of(self, owner: VolumeOwner, owner_id: str) -> list[VolumeBackup]:
        """Return the volume backups of one service."""
        params = {"id": owner_id, "volumeBackupType": owner}
        return await self._transport.get("volumeBackups.list", list[VolumeBackup], params)
