"""Detectors of container problems: pure functions over two snapshots of a host."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert, Severity
from core.monitoring.exits import ENDING_SIGNALS, ContainerExit, ExitOrigin, last_exit
from core.monitoring.inventory import Container, ContainerState, Health
from core.monitoring.snapshot import Detector, EngineEvent, EventKind, View, detector
from core.monitoring.status import is_one_off
from core.text import Text, text
from integrations.docker_engine.container_alerts import (
    MIB,
    OUTPUT_LIMIT,
    container_alert,
    count_oom_events,
    evidence_from,
    exit_facts,
    memory_facts,
    run_seconds,
)
from integrations.docker_engine.resource_detectors import RESOURCE_DETECTORS

CANNOT_RUN_EXIT_CODES = frozenset({126, 127, 128})
"""Exit codes: not executable, not found, and could not be set up by the engine (port, mount, user)."""
QUICK_EXIT_S = 3.0
LOOPING_RUN_S = 10.0
"""A shorter run with a high RestartCount is a loop: after a run this long the engine resets its back-off."""
OOM_SETTLES = timedelta(seconds=1)
"""A container that is still up this long after an `oom` event has lost only a child process."""
PAUSE_SETTLES = timedelta(seconds=3)
"""`docker commit` and backups freeze a container for a moment."""
UNSEEN_SETTLES = timedelta(seconds=5)
"""An exit found in a snapshot waits this long for its event, which tells whether it was deliberate."""
RECENT_EXIT = timedelta(minutes=5)
_DOWN = frozenset({ContainerState.EXITED, ContainerState.DEAD})


@detector(AlertKind.CONTAINER_DIED)
def container_died(view: View) -> Iterator[Alert]:
    """Yield an alert for each container that ended although nobody wanted it.

    No alarm: a stop through the API, our own action, exit code 0 (a finished job; with a restart policy `crash_loop`
    covers it), a container that is being removed. Source: engine events, then inspect.
    """
    for container in _not_being_removed(view):
        end = last_exit(container, view.now)
        if end is None or end.is_deliberate or end.by is ExitOrigin.KILL or _is_unexplained(container, end, view):
            continue
        if (end.exit_code == 0 and not end.oom_killed) or _cannot_run(container, end):
            continue
        if end.was_seen or _should_run(container) or view.now.at - end.at <= RECENT_EXIT:
            yield container_alert(
                container,
                kind=AlertKind.CONTAINER_DIED,
                severity=Severity.WARNING if _comes_back(container) else Severity.CRITICAL,
                at=end.at,
                message=_says_died(container, end),
                facts=exit_facts(container, end, view),
                source="events" if end.was_seen else "inspect",
            )


@detector(AlertKind.KILLED_BY_API)
def killed_by_api(view: View) -> Iterator[Alert]:
    """Yield an alert for each container ended by SIGKILL through the API with no stop signal before it."""
    for container in _not_being_removed(view):
        end = last_exit(container, view.now)
        if end is not None and end.by is ExitOrigin.KILL:
            yield container_alert(
                container,
                kind=AlertKind.KILLED_BY_API,
                severity=Severity.CRITICAL,
                at=end.at,
                message=text("alert.killed_by_api", service=container.title),
                facts=exit_facts(container, end, view),
                source="events",
            )


@detector(AlertKind.CRASH_LOOP)
def crash_loop(view: View) -> Iterator[Alert]:
    """Yield an alert for each container that keeps ending and being restarted by its policy.

    Counts ends in the event window and the growth of RestartCount, never states: a looping container shows
    `running` and exit code 0 between two ends. Found looping at start-up: a high RestartCount and a short last run.
    """
    for container in _not_being_removed(view):
        end = last_exit(container, view.now)
        if end is None or end.is_deliberate or not _comes_back(container):
            continue
        restarts = max(_unwanted_ends(container, view), view.now.restarts.get(container.name, 0))
        if restarts >= view.settings.crash_loop_restarts or _is_found_looping(container, end, view):
            message = "alert.crash_loop.finishes" if end.exit_code == 0 else "alert.crash_loop.fails"
            yield container_alert(
                container,
                kind=AlertKind.CRASH_LOOP,
                severity=Severity.WARNING if end.exit_code == 0 else Severity.CRITICAL,
                at=end.at,
                message=text(message, service=container.title, code=end.exit_code, count=container.restart_count),
                facts={**exit_facts(container, end, view), "restarts_in_window": restarts},
                source="events",
            )


@detector(AlertKind.CHILD_OOM)
def child_oom(view: View) -> Iterator[Alert]:
    """Yield an alert for each container in which the kernel killed a process while the container stayed up.

    `inspect` does not show it: only the `oom` event does, or the cgroup's own count when the engine is local.
    """
    for container in _not_being_removed(view):
        if not container.is_running or container.started_at is None:
            continue
        ooms = [
            event
            for event in view.now.events_of(container.id)
            if event.kind is EventKind.OOM and event.at >= container.started_at
        ]
        at, kills = (ooms[-1].at, len(ooms)) if ooms else _counted_kills(container, view)
        if at is None or (ooms and view.now.at - at < OOM_SETTLES):
            continue
        yield container_alert(
            container,
            kind=AlertKind.CHILD_OOM,
            severity=Severity.WARNING,
            at=at,
            message=text("alert.child_oom", service=container.title, limit=container.memory_limit_bytes // MIB),
            facts={
                "child_oom_kills": kills,
                "oom_events": count_oom_events(container, view.now),
                "oom_killed": False,
                **memory_facts(container, view, is_at_limit=True),
            },
            source="events" if ooms else "cgroup",
        )


@detector(AlertKind.UNHEALTHY)
def unhealthy(view: View) -> Iterator[Alert]:
    """Yield an alert for each running container whose health check fails; its probes are the evidence."""
    for container in _not_being_removed(view):
        if not container.is_running or container.health is not Health.UNHEALTHY:
            continue
        last = container.health_log[-1] if container.health_log else None
        yield container_alert(
            container,
            kind=AlertKind.UNHEALTHY,
            severity=Severity.CRITICAL,
            at=_turned_unhealthy(container, view),
            message=text("alert.unhealthy", service=container.title, streak=container.failing_streak),
            facts={
                "failing_streak": container.failing_streak,
                "health_exit_code": last.exit_code if last else None,
                "health_output": last.output.strip()[-OUTPUT_LIMIT:] if last else None,
                "restart_count": container.restart_count,
            },
            source="inspect",
        )


@detector(AlertKind.CANNOT_START)
def cannot_start(view: View) -> Iterator[Alert]:
    """Yield an alert for each container that the engine could not start: no log, only `State.Error` names the cause."""
    for container in _not_being_removed(view):
        end = last_exit(container, view.now)
        if end is not None and end.is_deliberate:
            continue
        if _failed_to_start(container) or (end is not None and _cannot_run(container, end)):
            yield container_alert(
                container,
                kind=AlertKind.CANNOT_START,
                severity=Severity.CRITICAL,
                at=container.finished_at or container.created_at or view.now.at,
                message=text("alert.cannot_start", service=container.title, code=container.exit_code),
                facts={
                    "exit_code": container.exit_code,
                    "state_error": container.error,
                    "restart_policy": container.restart_policy,
                },
                source="inspect",
            )


@detector(AlertKind.PAUSED)
def paused(view: View) -> Iterator[Alert]:
    """Yield an alert for each container that stays paused for longer than a backup takes."""
    for container in _not_being_removed(view):
        if container.state is not ContainerState.PAUSED:
            continue
        since = _last_event(container, EventKind.PAUSE, view)
        if since is None or view.now.at - since.at >= PAUSE_SETTLES:
            yield container_alert(
                container,
                kind=AlertKind.PAUSED,
                severity=Severity.WARNING,
                at=since.at if since else view.now.at,
                message=text("alert.paused", service=container.title),
                facts={"restart_count": container.restart_count},
                source="inspect",
            )


@detector(AlertKind.ENGINE_UNREACHABLE)
def engine_unreachable(view: View) -> Iterator[Alert]:
    """Yield an alert when the engine has not answered for `unreachable_after_s`: nothing on it is monitored."""
    since = view.now.unreachable_since
    if since is None or (view.now.at - since).total_seconds() < view.settings.unreachable_after_s:
        return
    host = view.now.host
    silent_s = round((view.now.at - since).total_seconds(), 1)
    yield Alert(
        kind=AlertKind.ENGINE_UNREACHABLE,
        severity=Severity.CRITICAL,
        host=host.name,
        at=since,
        message=text("alert.engine_unreachable", host=host.name, problem=host.problem),
        evidence=evidence_from({"host_problem": host.problem, "unreachable_s": silent_s}, since, f"ping {host.name}"),
    )


def _not_being_removed(view: View) -> Iterator[Container]:
    """Yield the containers that are not being removed: `docker rm -f` kills without a stop signal, on purpose."""
    return (one for one in view.now.containers.values() if one.state is not ContainerState.REMOVING)


def _should_run(container: Container) -> bool:
    return container.restart_policy not in ("", "no") and not is_one_off(container)


def _comes_back(container: Container) -> bool:
    """True when its restart policy restarts it or has done so; an `exited` one was given up or stopped."""
    return _should_run(container) and container.state not in _DOWN


def _is_unexplained(container: Container, end: ContainerExit, view: View) -> bool:
    """True while its event may still come, or when it ended unobserved in a way that a stop could explain."""
    if not end.was_seen and view.now.at - end.at < UNSEEN_SETTLES:
        return True
    is_telling = end.oom_killed or end.by is ExitOrigin.ITSELF
    return not end.was_seen and view.now.at - end.at > RECENT_EXIT and not (is_telling and _should_run(container))


def _cannot_run(container: Container, end: ContainerExit) -> bool:
    """True when it was started and ended at once with exit code 126 or 127, and stays down."""
    lasted = run_seconds(container, end)
    is_quick = lasted is not None and lasted <= QUICK_EXIT_S
    return container.state in _DOWN and end.exit_code in CANNOT_RUN_EXIT_CODES and (is_quick or bool(container.error))


def _failed_to_start(container: Container) -> bool:
    if container.state is ContainerState.CREATED:
        return bool(container.error) or container.exit_code in CANNOT_RUN_EXIT_CODES
    return container.state in _DOWN and bool(container.error) and container.exit_code in CANNOT_RUN_EXIT_CODES


def _says_died(container: Container, end: ContainerExit) -> Text:
    said = {"service": container.title, "code": end.exit_code}
    if end.oom_killed:
        key = "oom" if container.memory_limit_bytes else "oom_host"
        return text(f"alert.container_died.{key}", **said, limit=container.memory_limit_bytes // MIB)
    if end.by is ExitOrigin.UNKNOWN:
        return text("alert.container_died.unknown", **said)
    if end.by is ExitOrigin.OUTSIDE:
        return text("alert.container_died.outside", **said, signal=end.signal)
    came_back = container.is_running and _should_run(container)
    return text("alert.container_died.came_back" if came_back else "alert.container_died.exited", **said)


def _unwanted_ends(container: Container, view: View) -> int:
    """Count the exits within `crash_loop_within_s` that no stop signal preceded."""
    since = view.now.at - timedelta(seconds=view.settings.crash_loop_within_s)
    count, was_signalled = 0, False
    for event in view.now.events_of(container.id):
        if event.kind is EventKind.STOP or (event.kind is EventKind.KILL and event.signal in ENDING_SIGNALS):
            was_signalled = True
            count = 0
        elif event.kind is EventKind.DIE:
            count += event.at >= since and not was_signalled
        elif event.kind is EventKind.START:
            was_signalled = False
    return count


def _is_found_looping(container: Container, end: ContainerExit, view: View) -> bool:
    if container.restart_count < view.settings.crash_loop_restarts:
        return False
    lasted = run_seconds(container, end)
    is_short = lasted is not None and lasted < LOOPING_RUN_S
    is_recent = (view.now.at - end.at).total_seconds() <= view.settings.crash_loop_within_s
    return container.state is ContainerState.RESTARTING and is_short and is_recent


def _counted_kills(container: Container, view: View) -> tuple[datetime | None, int]:
    """Return time and growth of the cgroup's kill count since the last snapshot; (None, 0) if it did not grow."""
    before = view.before
    if before is None or container.name not in before.oom_kills:
        return None, 0
    earlier = before.containers.get(container.name)
    grown = view.now.oom_kills.get(container.name, 0) - before.oom_kills[container.name]
    if grown <= 0 or earlier is None or (earlier.id, earlier.started_at) != (container.id, container.started_at):
        return None, 0
    return view.now.at, grown


def _turned_unhealthy(container: Container, view: View) -> datetime:
    turned = _last_event(container, EventKind.HEALTH, view)
    if turned is not None and turned.health == Health.UNHEALTHY:
        return turned.at
    return container.health_log[-1].at if container.health_log else view.now.at


def _last_event(container: Container, kind: EventKind, view: View) -> EngineEvent | None:
    return next((event for event in reversed(view.now.events_of(container.id)) if event.kind is kind), None)


DETECTORS: tuple[Detector, ...] = (
    container_died,
    killed_by_api,
    crash_loop,
    child_oom,
    unhealthy,
    cannot_start,
    paused,
    *RESOURCE_DETECTORS,
    engine_unreachable,
)
"""All detectors, in the order in which simultaneous new alerts are raised."""
