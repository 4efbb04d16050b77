"""Recovery of a target after trouble: it runs, is healthy, does not restart, and nothing recurred."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert
from core.monitoring.exits import last_exit
from core.monitoring.inventory import Container, ContainerState
from core.monitoring.snapshot import EventKind, Snapshot
from core.monitoring.status import Status, status_of
from core.text import Text, text

LONGEST_BACK_OFF_S = 60.0
FIRST_BACK_OFF_S = 0.1
"""The engine's pause before a restart by policy: doubles from 0.1 s up to a minute."""


def targets(alert: Alert, snapshot: Snapshot) -> list[Container]:
    """Return the containers an alert is about now: its own, or its service's if that was recreated under a new name."""
    own = snapshot.containers.get(alert.container or "")
    if own is not None:
        return [own]
    return [one for one in snapshot.containers.values() if one.stack == alert.stack and one.service == alert.service]


def not_recovered(alert: Alert, snapshot: Snapshot, since: datetime, restarted: Iterable[str] = ()) -> Text | None:
    """Return the reason why the target of an `event` alert has not recovered since `since`; None: it has.

    `restarted`: names of the containers whose RestartCount grew after `since`.
    """
    found = targets(alert, snapshot)
    if not found:
        return text("watch.quiet.gone", container=alert.container or alert.service)
    return next((why for one in found if (why := _unrest(alert.kind, one, snapshot, since, restarted))), None)


def is_wanted_down(alert: Alert, snapshot: Snapshot, since: datetime) -> bool:
    """Return whether its target was stopped on purpose since then, which ends the alert."""
    found = targets(alert, snapshot)
    is_down = all(one.state in (ContainerState.EXITED, ContainerState.REMOVING) for one in found)
    return bool(found) and is_down and all(_was_wanted(one, snapshot, since) for one in found)


def _was_wanted(container: Container, snapshot: Snapshot, since: datetime) -> bool:
    """Return whether it was stopped on purpose after `since`, or got a `stop` between two restarts without an exit."""
    end = last_exit(container, snapshot)
    if end is not None and end.at > since:
        return end.is_deliberate
    return any(event.kind is EventKind.STOP and event.at > since for event in snapshot.events_of(container.id))


def back_off_s(containers: Sequence[Container]) -> float:
    """Return the longest pause before the engine restarts one of these again, by its number of restarts."""
    most = max((container.restart_count for container in containers), default=0)
    return min(FIRST_BACK_OFF_S * 2 ** min(most, 12), LONGEST_BACK_OFF_S) if most else 0.0


def _unrest(
    kind: AlertKind, container: Container, snapshot: Snapshot, since: datetime, restarted: Iterable[str]
) -> Text | None:
    said = container.name
    status = status_of(container)
    if status in (Status.RESTARTING, Status.UNHEALTHY, Status.STARTING):
        return text(f"watch.quiet.{status}", container=said)
    if status is not Status.WELL:
        return text("watch.quiet.down", container=said)
    if container.name in restarted:
        return text("watch.quiet.restarted", container=said)
    end = last_exit(container, snapshot)
    if end is not None and end.at > since and not end.is_deliberate:
        return text("watch.quiet.again")
    if kind is AlertKind.CHILD_OOM and _last_oom_after(container, snapshot, since):
        return text("watch.quiet.again")
    return None


def _last_oom_after(container: Container, snapshot: Snapshot, since: datetime) -> bool:
    return any(event.kind is EventKind.OOM and event.at > since for event in snapshot.events_of(container.id))
