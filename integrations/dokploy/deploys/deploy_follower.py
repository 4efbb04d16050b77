"""Progress of one of our deploys, from Dokploy's queue, its deployments and their logs; never from another deploy."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

from core.deployments.deploys import Deploy, DeployObservation
from core.deployments.platform import DeployStatus, ManagedKind
from core.errors import ActionFailed, NotFound, Refused
from core.monitoring.inventory import Container, ContainerState, Health
from integrations.dokploy.client.docker_models import ContainerRow
from integrations.dokploy.client.dokploy_client import Dokploy
from integrations.dokploy.client.secret_values import unmasked
from integrations.dokploy.deploys.deploy_log import TAIL_LINES, error_class, error_line, last_lines, log_lines
from integrations.dokploy.deploys.deployment_history import shown_title
from integrations.dokploy.models import DeploymentRow, QueuedJob

RUNNING_LOG_LINES = TAIL_LINES + 4
"""Lines read while it runs: some of them are decoration."""
FAILED_LOG_LINES = 200
"""Lines read once it has failed: the error may be far above the end."""
CLOCK_LAG_LIMIT = timedelta(seconds=2)
"""Tolerated delay of Dokploy's clock behind ours."""
_COMMIT = re.compile(r"Commit: ([0-9a-f]{7,64})\b")
_EXIT_CODE = re.compile(r"\((\d{1,3})\)")
_HEALTH = (
    ("(healthy)", Health.HEALTHY),
    ("(unhealthy)", Health.UNHEALTHY),
    ("(health: starting)", Health.STARTING),
)

ReadContainer = Callable[[str, dict[str, Any]], Container]
"""Function from the name of a host and a `docker inspect` to a container."""


class DokployFollower:
    """Source of a deploy's progress, from Dokploy; implements `core.deploys.DeployPlatform`."""

    def __init__(self, client: Dokploy, redact: Callable[[str], str], read: ReadContainer) -> None:
        self._client = client
        self._redact = redact
        self._read = read

    async def look(self, deploy: Deploy) -> DeployObservation:
        """Return its progress. Raises SystemUnavailable, NotFound (the stack is gone) and Refused (key, rights)."""
        queue, rows = await self._asked(deploy)
        job = next((one for one in queue if _is_of(one, deploy) and one.data.title_log == deploy.title), None)
        look = DeployObservation(at=datetime.now(UTC), job_seen=job is not None)
        if job is not None and not job.is_active:
            before = [one for one in queue[: queue.index(job)] if one.data.server_id == job.data.server_id]
            ids = tuple(one.data.compose_id or one.data.application_id or "" for one in before)
            look = replace(look, ahead=len(before), ahead_ids=ids)
        ahead = self._client.transport.clock_ahead
        row = find_deployment(deploy, rows, is_waiting=job is not None and not job.is_active, ahead=ahead)
        return look if row is None else await self._seen(look, deploy, row, rows)

    async def containers(self, deploy: Deploy) -> Sequence[Container]:
        """Return its containers as Dokploy lists them, stopped ones too. An empty list does not prove there are none.

        Without the right to Docker, restart counts and times are missing.
        """
        app_type = deploy.type if deploy.type in ("docker-compose", "stack") else None
        rows = await self._client.containers.of_app(
            deploy.app_name,
            cast("Literal['docker-compose', 'stack'] | None", app_type),
            server_id=deploy.server,
        )
        host = deploy.host or deploy.server or deploy.system
        inspect = self._client.containers.inspect
        try:
            found = await asyncio.gather(*(inspect(row.container_id, server_id=deploy.server) for row in rows))
        except Refused:
            return [container_from_list(host, deploy, row) for row in rows if app_type is not None]
        read = [self._read(host, unmasked(one)) for one in found if one is not None]
        return [one for one in read if one.project == deploy.app_name]

    async def _asked(self, deploy: Deploy) -> tuple[list[QueuedJob], list[DeploymentRow]]:
        """Return the queue, oldest first, and the deployments.

        While our deployment is not found they are read in this order: a job that has left the queue is then among the
        deployments, unless it was discarded.
        """
        if deploy.deployment_id is None:
            return sorted(await self._client.deployments.queue(), key=_queue_order), await self._rows(deploy)
        queue, rows = await asyncio.gather(self._client.deployments.queue(), self._rows(deploy))
        return sorted(queue, key=_queue_order), rows

    async def _rows(self, deploy: Deploy) -> list[DeploymentRow]:
        if deploy.managed_kind is ManagedKind.APPLICATION:
            return await self._client.deployments.of_application(deploy.managed_id)
        return await self._client.deployments.of_compose(deploy.managed_id)

    async def _seen(
        self, look: DeployObservation, deploy: Deploy, row: DeploymentRow, rows: list[DeploymentRow]
    ) -> DeployObservation:
        status = DeployStatus(row.status.value) if row.status is not None else DeployStatus.UNKNOWN
        commit = _COMMIT.search(row.description or "")
        has_failed = status is DeployStatus.ERROR
        lines = await self._log(row.deployment_id, FAILED_LOG_LINES if has_failed else RUNNING_LOG_LINES)
        return replace(
            look,
            deployment_id=row.deployment_id,
            status=status,
            is_superseded=any(_began(one) > _began(row) for one in rows if one.deployment_id != row.deployment_id),
            started_at=row.started_at,
            finished_at=row.finished_at,
            commit=commit.group(1) if commit else None,
            commit_message=self._first_line(row.title) if commit and row.title != deploy.title else "",
            log_tail=last_lines(lines),
            error_line=error_line(lines) if has_failed else "",
            error_class=error_class(lines) if has_failed else "",
        )

    async def _log(self, deployment_id: str, tail: int) -> list[str]:
        """Return the end of its log; empty if the log is gone or may not be read."""
        try:
            return log_lines(await self._client.deployments.log(deployment_id, tail=tail), self._redact)
        except (NotFound, ActionFailed, Refused):
            return []

    def _first_line(self, title: str) -> str:
        return shown_title(title.strip().partition("\n")[0], self._redact)


def find_deployment(
    deploy: Deploy, rows: Sequence[DeploymentRow], *, is_waiting: bool = False, ahead: timedelta = timedelta()
) -> DeploymentRow | None:
    """Return the deployment of a deploy: by its id if known, else a new one with our title.

    A git source's title is overwritten at its end: of the new ones that ended so, take the first that began after our
    order, unless ours `is_waiting` in the queue. `ahead`: lead of Dokploy's clock over ours.
    """
    if deploy.deployment_id is not None:
        return next((row for row in rows if row.deployment_id == deploy.deployment_id), None)
    new = [row for row in rows if row.deployment_id not in deploy.known_ids]
    ours = next((row for row in new if row.title == deploy.title), None)
    if ours is not None or is_waiting:
        return ours
    begun = (deploy.job_seen_at or deploy.ordered_at) + ahead - CLOCK_LAG_LIMIT
    overwritten = [row for row in new if _COMMIT.match(row.description or "") and _began(row) >= begun]
    return min(overwritten, key=_began, default=None)


def container_from_list(host: str, deploy: Deploy, row: ContainerRow) -> Container:
    """Build a container from Dokploy's list alone, for keys that may not inspect: state, health and exit code."""
    state = ContainerState(row.state) if row.state in tuple(ContainerState) else ContainerState.DEAD
    name = row.name.removeprefix("/")
    own = name.removeprefix(deploy.app_name)
    service = own[1:].partition(".")[0] if own.startswith("_") else own[1:].rpartition("-")[0]
    code = _EXIT_CODE.search(row.status)
    known = (*deploy.restarts, *deploy.containers_before)
    return Container(
        host=host,
        id=next((one for one in known if one.startswith(row.container_id)), row.container_id),
        name=name,
        stack=deploy.stack,
        service=service or name,
        project=deploy.app_name,
        image=row.image or "",
        state=state,
        health=next((health for words, health in _HEALTH if words in row.status), Health.NONE),
        exit_code=int(code.group(1)) if code and state is not ContainerState.RUNNING else None,
    )


def _began(row: DeploymentRow) -> datetime:
    return row.created_at or row.started_at or datetime.min.replace(tzinfo=UTC)


def _is_of(job: QueuedJob, deploy: Deploy) -> bool:
    return deploy.managed_id in (job.data.compose_id, job.data.application_id)


def _queue_order(job: QueuedJob) -> tuple[int, int]:
    """Return the order in which they were queued: several may have come in the same millisecond."""
    number = job.id.rpartition("-")[2]
    return (job.timestamp or 0, int(number) if number.isdigit() else 0)
