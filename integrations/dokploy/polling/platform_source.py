"""Snapshots of a watched Dokploy, from few and steady requests."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from core.clock import Clock
from core.deployments.platform import (
    BackupState,
    DeployStatus,
    DomainState,
    ManagedKind,
    ManagedResource,
    StackNames,
)
from core.errors import ActionFailed, GuardianError, NotFound, Refused, SystemUnavailable
from core.monitoring.inventory import Host
from core.monitoring.snapshot import EngineEvent, PlatformView, Sample, Snapshot
from core.settings import DokploySettings
from integrations.dokploy.client.dokploy_client import Dokploy
from integrations.dokploy.client.dokploy_errors import SYSTEM, KeyLimited, KeyRejected, RightMissing
from integrations.dokploy.polling.platform_cache import PlatformCache
from integrations.dokploy.polling.platform_poller import PlatformPoller
from integrations.dokploy.polling.poll_rotation import DuePoll, PollRotation, PollTopic
from integrations.dokploy.polling.service_details import fetch_details
from integrations.dokploy.webhook import DokployNotice, NoticeKind

log = structlog.get_logger(__name__)

NAME = "dokploy"
NOTICES_LIMIT = 64
NOTICES_PER_LOOK = 8
"""Announced services asked in one look; the others wait for the next."""
REJECTED_KEY_PAUSE = timedelta(minutes=1)
RATE_LIMITED_PAUSE = timedelta(minutes=15)
"""Pause for a key over its limit, which stays over it while it is used."""


def _no_domains() -> Mapping[str, DomainState]:
    return {}


class DokploySource:
    """Source of snapshots (`SnapshotSource`). The first look loads everything; later ones ask at most what is due."""

    def __init__(
        self,
        client: Dokploy,
        settings: DokploySettings,
        names: StackNames,
        *,
        clock: Clock,
        since: datetime,
        redact: Callable[[str], str],
        version: str = "",
        domain_states: Callable[[], Mapping[str, DomainState]] = _no_domains,
        on_names: Callable[[], None] | None = None,
    ) -> None:
        """Take `since` (earlier events are history) and `version`, Dokploy's if it is known already.

        `domain_states`: the states of the domains (`DomainWatch.states`). `on_names`: called when `names` has new ones.
        """
        self._client = client
        self._names = names
        self._clock = clock
        self._known = PlatformCache(names, since=since, stuck_after_s=settings.stuck_after_s)
        self._questions = PlatformPoller(client, self._known, clock=clock, redact=redact)
        self._questions.version = version
        self._rounds = PollRotation(poll_s=settings.poll_s, sweep_s=settings.sweep_s)
        self._domain_states = domain_states
        self._on_names = on_names
        self._named = 0
        self._notices: deque[DokployNotice] = deque(maxlen=NOTICES_LIMIT)
        self._refusal: tuple[datetime, KeyRejected] | None = None
        self._looking = asyncio.Lock()

    # -- SnapshotSource ---------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Name of the source: `dokploy`."""
        return NAME

    async def look(self, *, only: Sequence[str] = ()) -> Snapshot:
        """Ask what is due and return the snapshot; raises SystemUnavailable if Dokploy or the key fails."""
        async with self._looking:
            await self._asked(self._clock.now())
            self._tell_names()
        host = Host(name=NAME, is_platform=True, engine_version=self._questions.version)
        return Snapshot(at=self._clock.now(), host=host, platform=self.view())

    async def events(self, since: datetime | None) -> AsyncIterator[EngineEvent]:
        """Wait only: Dokploy sends no container events."""
        await asyncio.Event().wait()
        nothing: tuple[EngineEvent, ...] = ()
        for event in nothing:
            yield event

    async def sample(self) -> dict[str, Sample]:
        """Return no samples: it has no containers of its own."""
        return {}

    async def oom_kills(self) -> dict[str, int]:
        """Return no kills: it has no containers of its own."""
        return {}

    # -- what others ask --------------------------------------------------------------------------------------------

    @property
    def limits(self) -> Mapping[PollTopic, str]:
        """Questions the key may not ask, with Dokploy's refusal."""
        return self._questions.limits

    def view(self) -> PlatformView:
        """Return the current view, without asking."""
        return self._known.view(self._domain_states())

    def managed(self) -> tuple[ManagedResource, ...]:
        """Return every managed resource as last reported."""
        return self._known.managed()

    async def announce(self, notice: DokployNotice) -> None:
        """Make the next look ask for the subject of the notice; the oldest of too many is dropped."""
        self._notices.append(notice)

    async def changed(self, managed_id: str) -> None:
        """Make the next look ask for the deployments of a resource that we deployed or stopped."""
        found = self._known.one(managed_id)
        kind = found.kind if found else ManagedKind.COMPOSE
        await self.announce(DokployNotice(kind=NoticeKind.BUILD, managed_id=managed_id, managed_kind=kind))

    async def detail(self, managed_id: str) -> ManagedResource | None:
        """Ask for the domains, source and branch of a resource, and return it; None if it is unknown here."""
        found = self._known.one(managed_id)
        if found is None:
            return None
        self._known.take_detail(managed_id, await fetch_details(self._client, found, self._clock.now()))
        return self._known.one(managed_id)

    # -- asking -----------------------------------------------------------------------------------------------------

    async def _asked(self, now: datetime) -> None:
        """Ask what is due; after a rejected key, pause and repeat the same error."""
        if self._refusal is not None and now < self._refusal[0]:
            raise _unavailable(self._refusal[1])
        try:
            await self._ask(now)
        except KeyRejected as error:
            rest = RATE_LIMITED_PAUSE if isinstance(error, KeyLimited) else REJECTED_KEY_PAUSE
            self._refusal = (now + rest, error)
            raise _unavailable(error) from error
        except (ActionFailed, NotFound, Refused) as error:
            raise _unavailable(error) from error
        self._refusal = None

    async def _ask(self, now: datetime) -> None:
        if not self._known.is_loaded:
            await self._questions.load()
            self._rounds.poll(now)
            self._rounds.sweep(now)
        else:
            await self._ask_announced()
            await self._poll(now)
            if self._rounds.sweep(now):
                backups = (plan.state.id for plan in self._known.untold())
                wants_version = not self._questions.version
                turn = self._rounds.next(self.managed(), backups, wants_version=wants_version)
                if turn.topic is not PollTopic.QUEUE or not self._known.is_busy(
                    now
                ):  # else each poll asks, in its order
                    await self._questions.side(turn)
        self._known.clock_ahead = self._client.transport.clock_ahead
        await self._questions.failures()

    async def _poll(self, now: datetime) -> None:
        """Ask for all deployments; before them for the queue while anything waits or runs.

        In this order, a deployment that runs but was in no queue just before has been forgotten by Dokploy.
        """
        if not self._rounds.poll(now):
            return
        if self._known.is_busy(now):
            await self._questions.side(DuePoll(PollTopic.QUEUE))
        try:
            await self._questions.deployments()
        except GuardianError:
            self._rounds.missed()
            raise

    async def _ask_announced(self) -> None:
        for _ in range(min(len(self._notices), NOTICES_PER_LOOK)):
            same = [one for one in self._notices if _subject(one) == _subject(self._notices[0])]
            try:
                await self._ask_about(same[-1])
            except (NotFound, ActionFailed, RightMissing) as error:
                log.info("a notification was about something that cannot be seen", problem=str(error))
            for one in same:
                self._notices.remove(one)
            if not self._notices:
                return

    async def _ask_about(self, notice: DokployNotice) -> None:
        if notice.kind is NoticeKind.BUILD and notice.managed_id is not None:
            await self._ask_about_service(notice.managed_id, notice)
        elif notice.kind is NoticeKind.OWN_BACKUP:
            status = DeployStatus.ERROR if notice.is_failure else DeployStatus.DONE
            self._known.take_own_backup(_own_backup(status, notice.at or self._clock.now()))
        elif notice.kind is NoticeKind.RESTARTED:
            self._questions.version = ""
            await self._questions.side(DuePoll(PollTopic.QUEUE))
            await self._questions.side(DuePoll(PollTopic.PROJECTS))
            await self._questions.deployments()
        elif notice.kind in (NoticeKind.DATABASE_BACKUP, NoticeKind.VOLUME_BACKUP):
            topic = PollTopic.DETAIL if notice.kind is NoticeKind.DATABASE_BACKUP else PollTopic.VOLUMES
            for managed_id in self._known.called(notice.name, notice.project)[:NOTICES_PER_LOOK]:
                await self._questions.backups(managed_id, topic, NOTICES_PER_LOOK)

    async def _ask_about_service(self, managed_id: str, notice: DokployNotice) -> None:
        if not self._known.has(managed_id) and notice.project_id is not None:
            await self._questions.project(notice.project_id)
        await self._questions.service(managed_id, notice.managed_kind or ManagedKind.COMPOSE)
        self._rounds.hurry(managed_id)

    def _tell_names(self) -> None:
        named = len(self._names.to_json())
        if named != self._named:
            self._named = named
            if self._on_names is not None:
                self._on_names()


def _subject(notice: DokployNotice) -> tuple[object, ...]:
    """Return the subject of the notice: of several with the same one, only the last is asked about."""
    if notice.kind is NoticeKind.BUILD:
        return (notice.kind, notice.managed_id)
    return (notice.kind, notice.project, notice.name)


def _unavailable(error: GuardianError) -> SystemUnavailable:
    return SystemUnavailable(SYSTEM, str(error), message=error.message)


def _own_backup(status: DeployStatus, at: datetime) -> BackupState:
    return BackupState(id=NAME, name="Dokploy", status=status, at=at)
