"""Checks the records for `infraguardian check`: database, encryption key, free disk space."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from core.clock import Clock
from core.errors import GuardianError
from core.integration import CheckLine
from core.settings import Settings
from core.text import text
from knowledge.stores import Knowledge

LEAST_FREE_MB = 500
MEGABYTE = 1024 * 1024


async def check(settings: Settings, clock: Clock) -> AsyncIterator[CheckLine]:
    """Check database and key, then the disk; opening the records migrates their schema."""
    try:
        async with Knowledge(settings, clock) as knowledge:
            stats = await knowledge.stats()
    except (GuardianError, SQLAlchemyError, OSError) as error:
        yield CheckLine(
            name=text("check.database_down"),
            ok=False,
            problem=text("check.problem", problem=str(error).splitlines()[0]),
            next_step=text("check.next.database"),
        )
    else:
        rows = sum(stats.rows.values())
        yield CheckLine(name=text("check.database", where=stats.database, rows=rows), ok=True)
    yield _disk(settings.data_dir)


def _disk(data_dir: Path) -> CheckLine:
    """Check the free space where the records are, in MB."""
    existing = next(path for path in (data_dir.resolve(), *data_dir.resolve().parents) if path.exists())
    free_mb = shutil.disk_usage(existing).free // MEGABYTE
    name = text("check.disk", where=str(data_dir), free=free_mb)
    if free_mb >= LEAST_FREE_MB:
        return CheckLine(name=name, ok=True)
    problem = text("check.disk_full", least=LEAST_FREE_MB)
    return CheckLine(name=name, ok=False, problem=problem, next_step=text("check.next.disk"))
