"""Which question is due: all deployments every few seconds, and the others one at a time, going round."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from core.deployments.platform import ManagedKind, ManagedResource

EARLY = timedelta(seconds=0.5)
"""A look that comes by so much too early is not sent away."""


class PollTopic(StrEnum):
    """What Dokploy is asked about."""

    DEPLOYMENTS = "deployments"
    QUEUE = "queue"
    PROJECTS = "projects"
    VERSION = "version"
    DETAIL = "detail"
    VOLUMES = "volumes"
    RUNS = "runs"
    """Of a planned backup."""
    LOG = "log"


@dataclass(frozen=True)
class DuePoll:
    """One question of the round."""

    topic: PollTopic
    about: str = ""
    """Id of a service (`detail`, `volumes`), of a planned backup (`runs`) or of a deployment (`log`)."""


_ROUND = (PollTopic.PROJECTS, PollTopic.DETAIL, PollTopic.QUEUE, PollTopic.DETAIL, PollTopic.DETAIL)
"""Statuses and queue come back soon; what is asked of each service one by one takes the rest."""


class PollRotation:
    """Keeps to one question every `poll_s` and one every `sweep_s`, however often it is asked."""

    def __init__(self, *, poll_s: float, sweep_s: float) -> None:
        self._poll = timedelta(seconds=poll_s)
        self._sweep = timedelta(seconds=sweep_s)
        self._polled_at: datetime | None = None
        self._swept_at: datetime | None = None
        self._step = 0
        self._details: deque[DuePoll] = deque()

    def poll(self, now: datetime) -> bool:
        """Whether to ask for the deployments now; if so, the next time is counted from here."""
        if self._polled_at is not None and now - self._polled_at < self._poll - EARLY:
            return False
        self._polled_at = now
        return True

    def missed(self) -> None:
        """The deployments were not told: ask again with the next look."""
        self._polled_at = None

    def sweep(self, now: datetime) -> bool:
        """Whether one of the other questions is due; a long pause is not made up for."""
        if self._swept_at is None:
            self._swept_at = now
            return False
        if now - self._swept_at < self._sweep:
            return False
        is_behind = now - self._swept_at >= 2 * self._sweep
        self._swept_at = now if is_behind else self._swept_at + self._sweep
        return True

    def next(self, managed: Iterable[ManagedResource], backups: Iterable[str], *, wants_version: bool) -> DuePoll:
        """The next one of the round; `backups`: ids of those whose runs have to be asked for."""
        if wants_version:
            return DuePoll(PollTopic.VERSION)
        self._keep(tuple(managed), tuple(backups))
        topic = _ROUND[self._step % len(_ROUND)]
        self._step += 1
        if topic is not PollTopic.DETAIL:
            return DuePoll(topic)
        if not self._details:
            return DuePoll(PollTopic.PROJECTS)
        turn = self._details.popleft()
        self._details.append(turn)
        return turn

    def hurry(self, managed_id: str) -> None:
        """Ask for what is known of that one first."""
        wanted = [turn for turn in self._details if turn.about == managed_id]
        self._details = deque([*wanted, *(turn for turn in self._details if turn.about != managed_id)])

    def _keep(self, managed: tuple[ManagedResource, ...], backups: tuple[str, ...]) -> None:
        """New ones come first, composes before databases, backups last; what is gone is dropped."""
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
