"""Dokploy's deployments and queue as core types: titles redacted, commits found, newest first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from core.deployments.platform import Deployment, DeployStatus, QueuedDeployment
from core.sanitize import sanitize_line
from integrations.dokploy.models import DeploymentRow as Row
from integrations.dokploy.models import QueuedJob

RedactText = Callable[[str], str]
TITLE_LIMIT = 200
READ_LIMIT = 2000
HISTORY_KEPT = 15
"""Deployments kept of each service; Dokploy itself keeps about ten."""
_COMMIT = re.compile(r"\b(?:Commit|Hash): ([0-9a-f]{7,64})\b")
_BEGINNING = datetime.min.replace(tzinfo=UTC)


class DeploymentConverter:
    """Converter of rows into deployments; an unchanged row is not redacted again."""

    def __init__(self, redact: RedactText) -> None:
        self._redact = redact
        self._made: dict[str, tuple[Row, Deployment]] = {}

    def all(self, rows: Iterable[Row]) -> Mapping[str, tuple[Deployment, ...]]:
        """Return the deployments by id of their compose or application, newest first; forget those not in the rows."""
        before, self._made = self._made, {}
        grouped: dict[str, list[Deployment]] = {}
        for row in rows:
            owner = deployed_resource_id(row)
            if owner is not None:
                grouped.setdefault(owner, []).append(self._one(row, before))
        return {owner: sort_deployments(own) for owner, own in grouped.items()}

    def of_one(self, rows: Iterable[Row]) -> tuple[Deployment, ...]:
        """Return those of one compose or application, newest first."""
        return sort_deployments(self._one(row, self._made) for row in rows if _is_deploy(row))

    def _one(self, row: Row, known: Mapping[str, tuple[Row, Deployment]]) -> Deployment:
        found = known.get(row.deployment_id)
        if found is None or _marks(found[0]) != _marks(row):
            found = (row, to_deployment(row, self._redact))
        self._made[row.deployment_id] = found
        return found[1]


def sort_deployments(deployments: Iterable[Deployment]) -> tuple[Deployment, ...]:
    """Sort by the time of creation, newest first."""
    return tuple(sorted(deployments, key=lambda one: one.created_at or one.started_at or _BEGINNING, reverse=True))[
        :HISTORY_KEPT
    ]


def to_deployment(row: Row, redact: RedactText) -> Deployment:
    """Convert one row; its error text is left out, because it is a whole script with the environment."""
    commit = _COMMIT.search(row.description or "")
    return Deployment(
        id=row.deployment_id,
        title=shown_title(row.title, redact),
        commit=commit.group(1) if commit else None,
        status=DeployStatus(str(row.status)) if row.status else DeployStatus.UNKNOWN,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def shown_title(title: str, redact: RedactText) -> str:
    """Redact and shorten a title or commit message: anybody who pushes can write it, at any length."""
    return sanitize_line(redact(title[:READ_LIMIT]), TITLE_LIMIT)


def deployed_resource_id(row: Row) -> str | None:
    """Return the id of the deployed compose or application; None for the run of a schedule, a backup or a preview."""
    return row.compose_id or row.application_id if _is_deploy(row) else None


def to_queue(jobs: Iterable[QueuedJob], own: Callable[[str], bool], redact: RedactText) -> tuple[QueuedDeployment, ...]:
    """Return the queue in its order. It covers every organization: titles of jobs that are not `own` are left out."""
    return tuple(_queued(job, own, redact) for job in jobs)


def _queued(job: QueuedJob, own: Callable[[str], bool], redact: RedactText) -> QueuedDeployment:
    managed_id = job.data.compose_id or job.data.application_id or ""
    return QueuedDeployment(
        job_id=job.id,
        managed_id=managed_id,
        title=shown_title(job.data.title_log, redact) if own(managed_id) else "",
        is_active=job.is_active,
        queued_at=_moment(job.timestamp) if job.timestamp else None,
    )


def _moment(milliseconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _is_deploy(row: Row) -> bool:
    is_preview = bool((row.model_extra or {}).get("isPreviewDeployment"))
    return not (is_preview or row.schedule_id or row.backup_id or row.volume_backup_id)


def _marks(row: Row) -> tuple[object, ...]:
    return (row.status, row.title, row.description, row.started_at, row.finished_at)
