"""Backups of databases and volumes, and where they go. There is no list of backups: they hang on their service."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from integrations.dokploy.client.instance_models import VolumeBackup
from integrations.dokploy.client.transport import Patience, Transport
from integrations.dokploy.models import BackupRow

VolumeOwner = Literal["application", "compose", "postgres", "mysql", "mariadb", "mongo", "redis", "libsql"]


class BackupRun(StrEnum):
    """What is backed up, as Dokploy's calls name it."""

    POSTGRES = "manualBackupPostgres"
    MYSQL = "manualBackupMySql"
    MARIADB = "manualBackupMariadb"
    MONGO = "manualBackupMongo"
    LIBSQL = "manualBackupLibsql"
    COMPOSE = "manualBackupCompose"
    DOKPLOY = "manualBackupWebServer"


class Backups:
    """Restoring is not in the API."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def one(self, backup_id: str) -> BackupRow:
        """One backup plan."""
        return await self._transport.get("backup.one", BackupRow, {"backupId": backup_id})

    async def run(self, run: BackupRun, backup_id: str) -> None:
        """Make a backup now; answers when done."""
        await self._transport.order(f"backup.{run}", {"backupId": backup_id}, patience=Patience.LONG)


class VolumeBackups:
    """Those with `turn_off` stop their service meanwhile."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def of(self, owner: VolumeOwner, owner_id: str) -> list[VolumeBackup]:
        """Of one service."""
        params = {"id": owner_id, "volumeBackupType": owner}
        return await self._transport.get("volumeBackups.list", list[VolumeBackup], params)
