"""Opens all stores that outlive the process, for the composition root."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import func, select, text

from core.actions.approvals import Approval
from core.actions.calls import Call, Locks
from core.actions.catalog import Result
from core.clock import Clock
from core.deployments.deploys import Deploy, StackVersion
from core.incidents.incident import Incident
from core.incidents.lessons import Lesson
from core.monitoring.inventory import Inventory
from core.runs import Runs
from core.settings import Settings
from core.tasks import undone_on_failure
from knowledge.checkpoints import GRAPH_FILE, Checkpoints
from knowledge.cleanup import Cleanup
from knowledge.codec import build_adapters
from knowledge.database import Database, sqlite_url
from knowledge.locks import LocalLocks, PostgresLocks
from knowledge.memory.incident_memory import IncidentMemory
from knowledge.records.approval_records import ApprovalRecords
from knowledge.records.audit_records import AuditRecords
from knowledge.records.call_records import LedgerRecords
from knowledge.records.deploy_records import DeployRecords
from knowledge.records.inbox_records import Inbox
from knowledge.records.incident_records import IncidentRecords
from knowledge.records.lesson_records import LessonRecords
from knowledge.records.message_records import Outbox
from knowledge.records.people_records import PeopleRecords
from knowledge.records.policy_facts import FactSources, PolicyFactRecords
from knowledge.records.setting_records import SettingRecords
from knowledge.records.silence_records import SilenceRecords
from knowledge.records.start_time_records import StartTimeRecords
from knowledge.records.version_records import VersionRecords
from knowledge.runs.local_runs import LocalRuns
from knowledge.series import SeriesRecords
from knowledge.table_types import metadata
from knowledge.vault import Vault, load_key

RECORDS_FILE = "guardian.db"
VAULT_CHECK_KEY = "vault.check"
VERSIONS_KEPT = 20
"""Versions kept per stack where no platform is configured."""


class Knowledge:
    """The records, migrated and checked, inside `async with Knowledge(settings, clock) as knowledge`."""

    def __init__(self, settings: Settings, clock: Clock, *, database: Database | None = None) -> None:
        """`database`: used instead of that of the settings."""
        self._settings = settings
        self._clock = clock
        self._stack = AsyncExitStack()
        self.data_dir: Path = settings.data_dir
        given = settings.database_url.get_secret_value() if settings.database_url else None
        self.database = database or Database(given or sqlite_url(self.data_dir / RECORDS_FILE))
        database = self.database
        self.locks: Locks = LocalLocks() if database.is_sqlite else PostgresLocks(database.plain_url)
        self.approvals = ApprovalRecords(database)
        self.incidents = IncidentRecords(database)
        self.silences = SilenceRecords(database)
        self.people = PeopleRecords(database, clock, settings.telegram)
        self.settings = SettingRecords(database, clock)
        self.inbox = Inbox(database, clock)
        self.outbox = Outbox(database, clock)
        self.series = SeriesRecords(database, clock)
        self.lessons = LessonRecords(database)
        self.memory = IncidentMemory(self.lessons, self.data_dir / "memory")
        self.start_times = StartTimeRecords(database, clock)
        self.audit = AuditRecords(database, clock)
        self.deploys = DeployRecords(database)
        self.checkpoints = Checkpoints(database, self.data_dir)
        self.cleanup = Cleanup(database, self.checkpoints, settings.retention, clock)
        self.runs: Runs = LocalRuns(database, clock) if database.is_sqlite else _over_postgres(database, clock)
        self.vault: Vault
        self.ledger: LedgerRecords
        kept = settings.dokploy.versions_kept if settings.dokploy else VERSIONS_KEPT
        self.versions = VersionRecords(database, lambda: self.vault, clock, kept=kept)

    async def __aenter__(self) -> Self:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        key = self._settings.key.get_secret_value() if self._settings.key else None
        self.vault = Vault(await asyncio.to_thread(load_key, key, self.data_dir))
        self.ledger = LedgerRecords(self.database, self.vault, self._clock)
        await self._stack.enter_async_context(self.database)
        async with undone_on_failure(self._stack.aclose):
            await asyncio.to_thread(build_adapters, Call, Result, Approval, Incident, Lesson, Deploy, StackVersion)
            await self._check_key()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.runs.stop()
        await self.checkpoints.close()
        await self.memory.close()
        await self._stack.aclose()

    def facts(self, inventory: Callable[[], Inventory]) -> PolicyFactRecords:
        """core.actions.calls.PolicyFacts over these records and what the watchers see."""
        sources = FactSources(
            database=self.database,
            ledger=self.ledger,
            incidents=self.incidents,
            lessons=self.lessons,
            changed=self.settings,
            settings=self._settings,
            clock=self._clock,
        )
        return PolicyFactRecords(sources, inventory)

    async def stats(self) -> StorageStats:
        """Rows by table, and sizes in bytes."""
        rows: dict[str, int] = {}
        async with self.database.read() as connection:
            for table in metadata.sorted_tables:
                rows[table.name] = int((await connection.execute(select(func.count()).select_from(table))).scalar_one())
            if self.database.is_sqlite:
                size = await asyncio.to_thread(_file_size, Path(self.database.url.database or ""))
            else:
                size = int(await connection.scalar(text("SELECT pg_database_size(current_database())")) or 0)
        files = await asyncio.to_thread(_sizes, self.data_dir)
        return StorageStats(
            database=self.database.url.render_as_string(hide_password=True),
            rows=rows,
            database_bytes=size,
            graph_bytes=files.get(GRAPH_FILE, 0),
            memory_bytes=files.get("memory", 0),
        )

    async def _check_key(self) -> None:
        """Raise SettingsError now, not at the first undo, if the secrets were written with another key."""
        seen = await self.settings.get(VAULT_CHECK_KEY)
        if seen is None:
            await self.settings.put(VAULT_CHECK_KEY, self.vault.seal({"ok": True}).decode(), by="guardian")
            return
        self.vault.open(str(seen).encode(), what="the database")


@dataclass(frozen=True, kw_only=True)
class StorageStats:
    """Rows by table, and sizes in bytes."""

    database: str
    """Its address, password hidden."""
    rows: dict[str, int]
    """By table."""
    database_bytes: int
    graph_bytes: int
    memory_bytes: int


def _over_postgres(database: Database, clock: Clock) -> Runs:
    from knowledge.runs.procrastinate_runs import ProcrastinateRuns

    return ProcrastinateRuns(database, clock)


def _file_size(path: Path) -> int:
    journal = path.with_name(f"{path.name}-wal")
    return sum(one.stat().st_size for one in (path, journal) if one.exists())


def _sizes(data_dir: Path) -> dict[str, int]:
    """Sizes in bytes in the data directory, by first path component; a journal counts with its file."""
    found: dict[str, int] = {}
    for path in data_dir.rglob("*"):
        if path.is_file():
            name = path.relative_to(data_dir).parts[0].removesuffix("-wal").removesuffix("-shm")
            found[name] = found.get(name, 0) + path.stat().st_size
    return found


__all__ = ["Knowledge", "StorageStats"]
