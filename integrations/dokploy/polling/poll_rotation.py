"""Order of the questions: all deployments every few seconds, the others one at a time, in rotation."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from core.deployments.platform import ManagedKind, ManagedResource

EARLY_TOLERANCE = timedelta(seconds=0.5)
"""Tolerance for a look that comes a little too early."""


class PollTopic(StrEnum):
    """Question that Dokploy is asked."""

    DEPLOYMENTS = "deployments"
    QUEUE = "queue"
    PROJECTS = "projects"
    VERSION = "version"
    DETAIL = "detail"
    VOLUMES = "volumes"
    RUNS = "runs"
    """Runs of a planned backup."""
    LOG = "log"


@dataclass(frozen=True)
class DuePoll:
    """Next question of the rotation."""

    topic: PollTopic
    about: str = ""
    """Id of a service (`detail`, `volumes`), of a planned backup (`runs`) or of a deployment (`log`)."""


_TOPIC_ROTATION = (PollTopic.PROJECTS, PollTopic.DETAIL, PollTopic.QUEUE, PollTopic.DETAIL, PollTopic.DETAIL)
"""Rotation in which statuses and queue return often; the questions about single services take the other places."""


class PollRotation:
    """Rotation of one poll every `poll_s` and one other question every `sweep_s`, however often it is called."""

    def __init__(self, *, poll_s: float, sweep_s: float) -> None:
        self._poll = timedelta(seconds=poll_s)
        self._sweep = timedelta(seconds=sweep_s)
        self._polled_at: datetime | None = None
        self._swept_at: datetime | None = None
        self._step = 0
        self._details: deque[DuePoll] = deque()

    def poll(self, now: datetime) -> bool:
        """Return whether the deployments are due; if so, start the next interval."""
        if self._polled_at is not None and now - self._polled_at < self._poll - EARLY_TOLERANCE:
            return False
        self._polled_at = now
        return True

    def missed(self) -> None:
        """Make the deployments due again with the next look, because they did not come."""
        self._polled_at = None

    def sweep(self, now: datetime) -> bool:
        """Return whether one of the other questions is due; those missed in a long pause are skipped."""
        if self._swept_at is None:
            self._swept_at = now
            return False
        if now - self._swept_at < self._sweep:
            return False
        is_behind = now - self._swept_at >= 2 * self._sweep
        self._swept_at = now if is_behind else self._swept_at + self._sweep
        return True

    def next(self, managed: Iterable[ManagedResource], backups: Iterable[str], *, wants_version: bool) -> DuePoll:
        """Return the next question; `backups`: ids of those whose runs must be asked for."""
        if wants_version:
            return DuePoll(PollTopic.VERSION)
        self._keep(tuple(managed), tuple(backups))
        topic = _TOPIC_ROTATION[self._step % len(_TOPIC_ROTATION)]
        self._step += 1
        if topic is not PollTopic.DETAIL:
            return DuePoll(topic)
        if not self._details:
            return DuePoll(PollTopic.PROJECTS)
        turn = self._details.popleft()
        self._details.append(turn)
        return turn

    def hurry(self, managed_id: str) -> None:
        """Move the questions about that resource to the front."""
        wanted = [turn for turn in self._details if turn.about == managed_id]
        self._details = deque([*wanted, *(turn for turn in self._details if turn.about != managed_id)])

    def _keep(self, managed: tuple[ManagedResource, ...], backups: tuple[str, ...]) -> None:
        """Put new questions in front, composes before databases, backups last; drop those about what is gone."""
        ordered = sorted(managed, key=lambda one: list(ManagedKind).index(one.kind))
        turns = [
            DuePoll(PollTopic.DETAIL, one.id) for one in ordered if one.kind is not ManagedKind.DATABASE or one.type
        ]
        turns += [DuePoll(PollTopic.VOLUMES, one.id) for one in ordered if one.kind is ManagedKind.COMPOSE]
        turns += [DuePoll(PollTopic.RUNS, one) for one in backups]
        wanted, known = set(turns), set(self._details)
        if wanted == known:
            return
        new = [turn for turn in turns if turn not in known]
        kept = [turn for turn in self._details if turn in wanted]
        first = [turn for turn in new if turn.topic is PollTopic.DETAIL]
        self._details = deque([*first, *kept, *(turn for turn in new if turn.topic is not PollTopic.DETAIL)])
