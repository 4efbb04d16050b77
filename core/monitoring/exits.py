"""Exits of containers and their origin: the program itself, the kernel, the API, the guardian, or unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import cast

from core.monitoring.inventory import Container, ContainerState
from core.monitoring.snapshot import EngineEvent, EventKind, OwnAct, Snapshot

SIGKILL = 9
STOP_SIGNALS = frozenset({2, 3, 15, 28, 37})
"""INT, QUIT, TERM, WINCH, RTMIN+3: the usual values of an image's STOPSIGNAL; HUP and USR1 only ask for a reload."""
ENDING_SIGNALS = STOP_SIGNALS | {SIGKILL}
SIGKILL_EXIT = 128 + SIGKILL
_BY_SIGNAL = frozenset({130, 137, 143})
_STOPPING_ACTS = frozenset({"restart", "stop", "redeploy", "recreate", "rollback"})
_ACT_TAKES = timedelta(seconds=120)
_CLOCKS_DIFFER = timedelta(seconds=5)
_STOP_FOLLOWS = timedelta(seconds=15)
_OOM_BEFORE = timedelta(seconds=30)
_OOM_AFTER = timedelta(seconds=2)
_SAME_END = timedelta(seconds=3)


class ExitOrigin(StrEnum):
    """Origin of a container's exit; the values of the evidence `stopped_by`."""

    ITSELF = "itself"
    MEMORY_KILLER = "memory_killer"
    STOP = "stop"
    """Through the Docker API with a stop signal first: a person, Compose, Dokploy."""
    KILL = "kill"
    """Through the Docker API with SIGKILL and no stop signal before it."""
    GUARDIAN = "guardian"
    OUTSIDE = "outside"
    """By a signal from outside the API: the host's OOM killer, or a process on the host."""
    UNKNOWN = "unknown"
    """The events that would tell are missing."""


@dataclass(frozen=True, kw_only=True)
class ContainerExit:
    """The last exit of a container."""

    at: datetime
    exit_code: int | None
    by: ExitOrigin
    signal: int | None = None
    """The last signal sent through the API, or the one in the exit code."""
    actor: str | None = None
    """The person or runbook that the guardian acted for."""
    oom_killed: bool = False
    oom_events: int = 0
    was_seen: bool = True
    """Reported by an event of the engine; False: found by a look."""

    @property
    def is_deliberate(self) -> bool:
        """True if somebody wanted it: no alert."""
        return self.by in (ExitOrigin.STOP, ExitOrigin.GUARDIAN)


def last_exit(container: Container, snapshot: Snapshot) -> ContainerExit | None:
    """Return the container's last exit, even if it runs again; None: it has not exited, as far as can be seen.

    Exit code 137 alone proves nothing: `docker stop` of a program without a handler ends with it too (SIGTERM, SIGKILL,
    `stop`).
    """
    name = f"ending of {container.id}"
    if name not in snapshot.memo:
        snapshot.memo[name] = _ending(container, snapshot)
    return cast("ContainerExit | None", snapshot.memo[name])


def _ending(container: Container, snapshot: Snapshot) -> ContainerExit | None:
    events = snapshot.events_of(container.id)
    death = next((event for event in reversed(events) if event.kind is EventKind.DIE), None)
    finished = container.finished_at
    if death is not None and container.is_running and container.started_at and container.started_at < death.at:
        return None  # looked at a moment before it died; that event wakes the next look
    if death is not None and (finished is None or finished - death.at < _SAME_END):
        return _seen(container, snapshot, death, events)
    if finished is None or container.state in (ContainerState.RUNNING, ContainerState.PAUSED):
        return None
    return _found(container, snapshot, finished)


def _seen(container: Container, snapshot: Snapshot, death: EngineEvent, events: Sequence[EngineEvent]) -> ContainerExit:
    run = _last_run(events, death)
    ooms = [event for event in run if event.kind is EventKind.OOM and death.at - event.at <= _OOM_BEFORE]
    ooms += [event for event in events if event.kind is EventKind.OOM and _is_just_after(event, death)]
    signals = [event.signal for event in run if event.kind is EventKind.KILL and event.signal is not None]
    code = death.exit_code if death.exit_code is not None else container.exit_code
    is_still_down = container.state not in (ContainerState.RUNNING, ContainerState.PAUSED)
    oom_killed = (is_still_down and container.oom_killed) or (bool(ooms) and code == SIGKILL_EXIT)
    act = _own_act(container, snapshot.own_acts, death.at)
    by = _by(signals, code, oom_killed=oom_killed, was_stopped=_stop_follows(events, death), act=act)
    if by is ExitOrigin.OUTSIDE and snapshot.has_gap:
        by = ExitOrigin.UNKNOWN
    return ContainerExit(
        at=death.at,
        exit_code=code,
        by=by,
        signal=signals[-1] if signals else _signal_of(code),
        actor=act.by if act and by is ExitOrigin.GUARDIAN else None,
        oom_killed=oom_killed,
        oom_events=len(ooms),
    )


def _found(container: Container, snapshot: Snapshot, finished: datetime) -> ContainerExit:
    code = container.exit_code
    act = _own_act(container, snapshot.own_acts, finished)
    by = ExitOrigin.UNKNOWN if code in _BY_SIGNAL else ExitOrigin.ITSELF
    if container.oom_killed:
        by = ExitOrigin.MEMORY_KILLER
    elif act is not None:
        by = ExitOrigin.GUARDIAN
    return ContainerExit(
        at=finished,
        exit_code=code,
        by=by,
        signal=_signal_of(code),
        actor=act.by if act and by is ExitOrigin.GUARDIAN else None,
        oom_killed=container.oom_killed,
        was_seen=False,
    )


def _by(
    signals: Sequence[int], code: int | None, *, oom_killed: bool, was_stopped: bool, act: OwnAct | None
) -> ExitOrigin:
    if was_stopped or any(signal in STOP_SIGNALS for signal in signals):
        return ExitOrigin.GUARDIAN if act else ExitOrigin.STOP
    if oom_killed:
        return ExitOrigin.MEMORY_KILLER
    if SIGKILL in signals:
        return ExitOrigin.GUARDIAN if act else ExitOrigin.KILL
    return ExitOrigin.OUTSIDE if code in _BY_SIGNAL else ExitOrigin.ITSELF


def _last_run(events: Sequence[EngineEvent], death: EngineEvent) -> list[EngineEvent]:
    """Return the events between the last start and that death."""
    run: list[EngineEvent] = []
    for event in events:
        if event is death:
            break
        if event.kind in (EventKind.START, EventKind.DIE):
            run = []
        else:
            run.append(event)
    return run


def _is_just_after(event: EngineEvent, death: EngineEvent) -> bool:
    """Return whether an OOM event belongs to a death just before it: the engine learns of the two separately."""
    return timedelta(0) <= event.at - death.at <= _OOM_AFTER


def _stop_follows(events: Sequence[EngineEvent], death: EngineEvent) -> bool:
    return any(
        event.kind is EventKind.STOP and timedelta(0) <= event.at - death.at <= _STOP_FOLLOWS for event in events
    )


def _own_act(container: Container, acts: Sequence[OwnAct], at: datetime) -> OwnAct | None:
    for act in reversed(acts):
        is_near = -_CLOCKS_DIFFER <= at - act.at <= _ACT_TAKES
        if act.ref == container.ref and is_near and act.action.rpartition(".")[2] in _STOPPING_ACTS:
            return act
    return None


def _signal_of(code: int | None) -> int | None:
    return code - 128 if code is not None and 128 < code < 160 else None
