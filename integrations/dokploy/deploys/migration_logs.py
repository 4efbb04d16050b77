"""Search for database migrations since a given time: known lines of migration tools in the logs of a stack."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from datetime import datetime

from core.deployments.platform import ManagedResource
from core.errors import GuardianError
from integrations.dokploy.actions.dokploy_deps import DokployDeps
from integrations.dokploy.deploys.version_keeping import sort_deployment_rows
from integrations.dokploy.models import ComposeRow

LOOK_S = 8.0
"""Time limit of the search; a preview may take 20 seconds in all."""
LOGS_LIMIT = 8
_TAIL = 1000
_TOOLS = {
    "alembic": r"alembic\.runtime\.migration.{0,40}Running upgrade|Running upgrade\s+\S* ?-> \S+",
    "django": r"Applying \w+\.\d{4}_\w+\.\.\.",
    "rails": r"==\s+(?:\d{14}\s+)?\w+: migrat(?:ing|ed)",
    "prisma": r"Applying migration `|The following migrations? (?:have|has) been applied",
    "flyway": r"Migrating schema .{1,80}? to version|Successfully applied [1-9]\d* migrations? to schema",
    "liquibase": r"Running Changeset:|ChangeSet .{1,200}? ran successfully",
    "knex": r"Batch \d+ run: [1-9]\d* migrations?",
    "sequelize": r"==\s+\S+: migrat(?:ing|ed)\s",
    "typeorm": r"Migration \S+ has been\s+executed successfully|[1-9]\d* migrations are new migrations",
    "goose": r"goose: successfully migrated|OK\s+\d{5,14}_\S+\.(?:sql|go)",
    "laravel": r"\d{4}_\d{2}_\d{2}_\d{6}_\w+ \.+ .{0,20}DONE|Migrated:\s+\d{4}_",
    "doctrine": r"[1-9]\d* migrations? executed, \d+ sql quer",
    "golang-migrate": r"\d+/u \w+ \([\d.]+m?s\)",
    "dbmate": r"Applying: \d{14}_\S+\.sql",
    "ecto": r"== Running \d{14} \S+\.(?:up|change)/0 forward",
    "entity framework": r"Applying migration '\d{14}_",
    "migration": r"(?i)\bapplying (?:database )?migration:? +[\"'\w]",
}
"""Lines of a migration that runs, by tool; not the lines printed at every start."""
_PATTERNS = {name: re.compile(pattern) for name, pattern in _TOOLS.items()}


def find_migration_tool(text: str) -> str | None:
    """Return the tool whose migration the log shows; None if no line is known."""
    return next((name for name, pattern in _PATTERNS.items() if pattern.search(text)), None)


async def find_migration_since(
    parts: DokployDeps, managed: ManagedResource, row: ComposeRow, since: datetime
) -> str | None:
    """Return the tool that migrated since then, by the logs of deployments and containers; None if none is seen.

    A log that cannot be read counts as empty.
    """
    deployments = [
        one
        for one in sort_deployment_rows(row.deployments)
        if (one.finished_at or one.created_at) is not None and (one.finished_at or one.created_at or since) >= since
    ]
    minutes = max(1, int((parts.clock.now() - since).total_seconds() // 60) + 1)
    dokploy = parts.dokploy
    logs: list[Awaitable[str]] = [
        dokploy.deployments.log(one.deployment_id, tail=_TAIL) for one in deployments[: LOGS_LIMIT // 2]
    ]
    containers = parts.containers(managed)[:LOGS_LIMIT]
    logs += [dokploy.composes.logs(row.compose_id, one.id[:12], tail=_TAIL, since=f"{minutes}m") for one in containers]
    try:
        async with asyncio.timeout(LOOK_S):
            told = await asyncio.gather(*(_log_or_empty(log) for log in logs))
    except TimeoutError:
        return None
    return next((found for found in map(find_migration_tool, told) if found is not None), None)


async def _log_or_empty(log: Awaitable[str]) -> str:
    try:
        return await log
    except GuardianError:
        return ""
