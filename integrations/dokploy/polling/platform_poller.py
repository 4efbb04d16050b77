"""Polls a watched Dokploy, one request per question; a failed answer loses nothing that is known."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog

from core.clock import Clock
from core.deployments.platform import ManagedKind
from core.errors import ActionFailed, GuardianError, NotFound, SystemUnavailable
from integrations.dokploy.client.dokploy_client import Dokploy
from integrations.dokploy.client.dokploy_errors import RightMissing
from integrations.dokploy.deploys.deploy_log import error_class, error_line, log_lines
from integrations.dokploy.deploys.deployment_history import DeploymentConverter, deployed_resource_id, to_queue
from integrations.dokploy.models import DeploymentRow
from integrations.dokploy.polling.platform_cache import PlatformCache
from integrations.dokploy.polling.poll_rotation import DuePoll, PollTopic
from integrations.dokploy.polling.project_tree import load_project, load_tree, managed_headings
from integrations.dokploy.polling.service_details import fetch_backup_runs, fetch_details, fetch_volume_backups

log = structlog.get_logger(__name__)

LOG_TAIL = 300
LOGS_AT_ONCE = 4
LOG_TRIES = 2
FORBIDDEN_TOPIC_PAUSE = timedelta(hours=1)
"""Pause after a refusal for missing rights: they may be granted meanwhile."""
LOG_TRIES_KEPT = 1000

_NO_REASON = re.compile(r"(?i)\berror: (?:backup|upload to s3) failed\W*$")
"""Line of a failed backup's log that does not name the reason."""

PollCall = Callable[[], Awaitable[None]]


class PlatformPoller:
    """Poller that asks the client and puts the answers into `known`. KeyRejected passes through everywhere."""

    def __init__(self, client: Dokploy, known: PlatformCache, *, clock: Clock, redact: Callable[[str], str]) -> None:
        self._client = client
        self._known = known
        self._clock = clock
        self._redact = redact
        self._history = DeploymentConverter(redact)
        self._forbidden_until: dict[PollTopic, datetime] = {}
        self._failing: set[PollTopic] = set()
        self._strangers: set[str] = set()
        self._log_tries: dict[str, int] = {}
        self.version = ""
        self.limits: dict[PollTopic, str] = {}
        """Questions the key may not ask, with Dokploy's refusal."""

    async def load(self) -> None:
        """Ask for everything except details: 3 requests and one per project."""
        tree, _ = await asyncio.gather(load_tree(self._client), self.side(DuePoll(PollTopic.QUEUE)))
        self._known.take_tree(tree, self._clock.now())
        await self.deployments()

    async def deployments(self) -> None:
        """Ask for all deployments; without the right to them, for the projects: some answer must show it is up."""
        if not await self._allowed(PollTopic.DEPLOYMENTS, self._ask_deployments):
            await self._ask_projects()

    async def side(self, turn: DuePoll) -> None:
        """Ask one of the other questions; a failure is only noted."""
        try:
            await self._allowed(turn.topic, lambda: self._ask(turn))
        except (SystemUnavailable, ActionFailed, NotFound) as error:
            if turn.topic not in self._failing:
                self._failing.add(turn.topic)
                log.warning("Dokploy did not answer a question", topic=str(turn.topic), problem=_first_line(error))
        else:
            self._failing.discard(turn.topic)

    async def service(self, managed_id: str, kind: ManagedKind) -> None:
        """Ask for the deployments of one compose or application."""
        client = self._client.deployments
        is_compose = kind is ManagedKind.COMPOSE
        rows = await (client.of_compose(managed_id) if is_compose else client.of_application(managed_id))
        self._known.take_own_deployments(managed_id, self._history.of_one(rows))

    async def project(self, project_id: str) -> None:
        """Ask for the content of one project."""
        try:
            leaves = await load_project(self._client, project_id)
        except NotFound:
            leaves = ()
        self._known.take_project(project_id, leaves)

    async def backups(self, managed_id: str, topic: PollTopic, limit: int) -> None:
        """Ask for the last runs of a service's or its volumes' backups; `topic`: `detail` or `volumes`."""
        await self.side(DuePoll(topic, managed_id))
        for plan in self._known.untold(managed_id)[:limit]:
            await self.side(DuePoll(PollTopic.RUNS, plan.state.id))

    async def failures(self) -> None:
        """Read the logs of new failures, for the line that names the error."""
        wanted = [key for key in self._known.unexplained() if self._log_tries.get(key, 0) < LOG_TRIES]
        for key in wanted[:LOGS_AT_ONCE]:
            self._log_tries[key] = self._log_tries.get(key, 0) + 1
            await self.side(DuePoll(PollTopic.LOG, key))
        if len(self._log_tries) > LOG_TRIES_KEPT:
            self._log_tries = {key: self._log_tries[key] for key in wanted if key in self._log_tries}

    # -- one request each -------------------------------------------------------------------------------------------

    async def _ask(self, turn: DuePoll) -> None:
        if turn.topic is PollTopic.QUEUE:
            await self._ask_queue()
        elif turn.topic is PollTopic.PROJECTS:
            await self._ask_projects()
        elif turn.topic is PollTopic.VERSION:
            self.version = await self._client.instance.version()
        elif turn.topic is PollTopic.RUNS:
            await self._ask_runs(turn.about)
        elif turn.topic is PollTopic.LOG:
            await self._ask_log(turn.about)
        else:
            await self._ask_of_one(turn)

    async def _ask_deployments(self) -> None:
        rows = await self._client.deployments.all()
        self._known.take_deployments(await asyncio.to_thread(self._history.all, rows))
        strange = {
            owner: row
            for row in rows
            if (owner := deployed_resource_id(row)) is not None and not self._known.has(owner)
        }
        new = {owner: row for owner, row in strange.items() if owner not in self._strangers}
        self._strangers = set(strange)
        for project_id in {found for row in new.values() if (found := _project_of(row)) is not None}:
            await self.project(project_id)

    async def _ask_queue(self) -> None:
        jobs = await self._client.deployments.queue()
        self._known.queue = to_queue(jobs, self._known.has, self._redact)
        self._known.queue_at = self._clock.now()

    async def _ask_projects(self) -> None:
        """Ask for the statuses of everything, and for each project that holds something new."""
        found = await self._client.projects.all()
        project_ids = [one.project_id for one in found]
        changed = self._known.take_headings(managed_headings(found), project_ids, self._clock.now())
        await asyncio.gather(*(self.project(project_id) for project_id in sorted(changed)))

    async def _ask_of_one(self, turn: DuePoll) -> None:
        managed = self._known.one(turn.about)
        if managed is None:
            return
        if turn.topic is PollTopic.VOLUMES:
            self._known.take_volume_backups(managed.id, await fetch_volume_backups(self._client, managed))
        else:
            self._known.take_detail(managed.id, await fetch_details(self._client, managed, self._clock.now()))

    async def _ask_runs(self, backup_id: str) -> None:
        plan = next((one for one in self._known.untold() if one.state.id == backup_id), None)
        if plan is not None:
            self._known.take_runs(await fetch_backup_runs(self._client, plan))

    async def _ask_log(self, deployment_id: str) -> None:
        written = log_lines(await self._client.deployments.log(deployment_id, tail=LOG_TAIL), self._redact)
        lines = [line for line in written if not _NO_REASON.search(line)] or written
        if lines:
            self._known.take_error(deployment_id, error_class(lines), error_line(lines))

    # -- rights -----------------------------------------------------------------------------------------------------

    async def _allowed(self, topic: PollTopic, ask: PollCall) -> bool:
        """Ask, unless the key was refused that lately; return whether it was allowed. A refusal is logged once."""
        until = self._forbidden_until.get(topic)
        if until is not None and self._clock.now() < until:
            return False
        try:
            await ask()
        except RightMissing as error:
            self._forbidden_until[topic] = self._clock.now() + FORBIDDEN_TOPIC_PAUSE
            if topic not in self.limits:
                log.warning("the key may not ask Dokploy this", topic=str(topic), problem=_first_line(error))
            self.limits[topic] = _first_line(error)
            return False
        self._forbidden_until.pop(topic, None)
        self.limits.pop(topic, None)
        return True


def _project_of(row: DeploymentRow) -> str | None:
    of = row.compose or row.application
    environment = of.environment if of else None
    return environment.project.project_id if environment and environment.project else None


def _first_line(error: GuardianError) -> str:
    return str(error).partition("\n")[0]
