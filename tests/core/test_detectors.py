"""What the detectors say of recorded moments, and where they keep still."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core.incidents.alerts import Severity
from core.incidents.evidence import EVIDENCE_NAMES
from core.monitoring.inventory import ContainerState, Health, HealthProbe
from core.monitoring.snapshot import EventKind, OwnAct, Sample, Snapshot
from core.settings import WatchSettings
from tests.core.scripted_watcher import alerts, at, container, died, event, exited, killed, kinds, snapshot

MIB = 2**20
OOM = event(EventKind.OOM, -0.1)
STOP = event(EventKind.STOP, 0.1)
START = event(EventKind.START, 0.2)

ENDINGS = {
    "crash": (exited(1, 0), [died(1, 0)], ["container_died"], "itself"),
    "killed by the kernel": (exited(137, 0, oom_killed=True), [OOM, died(137, 0)], ["container_died"], "memory_killer"),
    "killed by the kernel, the flag not seen": (
        exited(137, 0),
        [OOM, died(137, 0)],
        ["container_died"],
        "memory_killer",
    ),
    "killed on the host": (exited(137, 0), [died(137, 0)], ["container_died"], "outside"),
    "killed through the API": (exited(137, 0), [killed(9, 0), died(137, 0)], ["killed_by_api"], "kill"),
    "stopped by a person": (exited(0, 0), [killed(15, 0), died(0, 0), STOP], [], None),
    "stopped, exit 143": (exited(143, 0), [killed(15, 0), died(143, 0), STOP], [], None),
    "stopped, no handler for SIGTERM": (exited(137, 0), [killed(15, -10), killed(9, 0), died(137, 0), STOP], [], None),
    "stopped, the end heard before the signal": (exited(137, 0), [died(137, 0), STOP], [], None),
    "stopped by SIGQUIT": (exited(0, 0), [killed(3, 0), died(0, 0)], [], None),
    "a reload long before is no stop": (exited(1, 0), [killed(1, -5), died(1, 0)], ["container_died"], "itself"),
    "a stop of the run before does not count": (
        exited(1, 9),
        [killed(15, 0), died(0, 0), STOP, START, died(1, 9)],
        ["container_died"],
        "itself",
    ),
    "a job that is done": (exited(0, 0), [died(0, 0)], [], None),
    "a one-off that is done": (
        exited(0, 0, labels={"com.docker.compose.oneoff": "True"}, restart_policy="always"),
        [died(0, 0)],
        [],
        None,
    ),
    "removed by force": (
        replace(exited(137, 0), state=ContainerState.REMOVING),
        [killed(9, 0), died(137, 0)],
        [],
        None,
    ),
    "not executable": (exited(126, 0, started_at=at(-0.2)), [died(126, 0)], ["cannot_start"], None),
    "126 after an hour of work": (exited(126, 0), [died(126, 0)], ["container_died"], "itself"),
}


@pytest.mark.parametrize("case", ENDINGS)
def test_an_exit_becomes_the_right_alert(case: str) -> None:
    ended, events, expected, by = ENDINGS[case]
    found = alerts(snapshot(12, [ended], events))
    assert [str(one.kind) for one in found] == expected
    if by is not None:
        assert found[0].facts()["stopped_by"] == by


def test_an_exit_before_the_start_becomes_an_alert_only_if_it_should_run() -> None:
    def when_found(**more: Any) -> list[str]:
        given = {"restart_policy": "always", **more}
        return kinds(
            snapshot(0, [exited(int(str(given.pop("code", 1))), float(str(given.pop("when", -86400))), **given)])
        )

    assert when_found() == ["container_died"], "its policy says that it should run"
    assert when_found(code=137, oom_killed=True) == ["container_died"]
    assert when_found(restart_policy="no") == [], "it may have ended for good, long ago"
    assert when_found(restart_policy="no", when=-60) == ["container_died"]
    assert when_found(code=137) == [], "a stop of that time looks the same"
    assert when_found(code=0) == []
    [recent] = alerts(snapshot(0, [exited(143, -60, restart_policy="always")]))
    assert recent.facts()["stopped_by"] == "unknown"
    assert recent.message.key == "alert.container_died.unknown"


def test_an_exit_waits_for_its_event_before_it_is_judged() -> None:
    assert kinds(snapshot(1, [exited(1, 0)])) == []
    assert kinds(snapshot(6, [exited(1, 0)])) == ["container_died"]


def test_after_a_gap_in_the_events_the_killer_is_unknown() -> None:
    [found] = alerts(snapshot(1, [exited(137, 0)], [died(137, 0)], has_gap=True))
    assert found.facts()["stopped_by"] == "unknown"


@pytest.mark.parametrize(
    ("action", "is_ours"), [("docker.restart", True), ("docker.stop", True), ("docker.exec", False)]
)
def test_our_own_stop_is_no_alarm(action: str, is_ours: bool) -> None:
    act = OwnAct(at=at(-1), ref="local/shop-api-1", action=action, by="Ada")
    now = snapshot(1, [exited(143, -0.5)], [], own_acts=(act,))
    later = replace(now, at=at(7))
    assert (kinds(later) == []) is is_ours


def test_a_container_that_came_back_is_reported_once_as_back() -> None:
    back = container(restart_policy="always", restart_count=1, started_at=at(0.2), finished_at=at(0))
    [found] = alerts(snapshot(1, [back], [died(1, 0), START]))
    assert (found.message.key, found.severity, found.at) == (
        "alert.container_died.came_back",
        Severity.WARNING,
        at(0),
    )


def looping(events_s: list[float], *, code: int = 1, now_s: float = 10, **more: Any) -> Snapshot:
    events = [one for when in events_s for one in (died(code, when), event(EventKind.START, when + 0.1))]
    given = {"restart_policy": "always", "started_at": at(events_s[-1] + 0.1), "finished_at": at(events_s[-1]), **more}
    return snapshot(now_s, [container(**given)], events)


def test_a_crash_loop_is_recognised_by_its_exits_in_any_state() -> None:
    assert kinds(looping([1, 2])) == ["container_died"]
    assert kinds(looping([1, 2, 4])) == ["container_died", "crash_loop"]
    assert kinds(looping([1, 2, 4], state=ContainerState.RESTARTING, exit_code=1)) == ["container_died", "crash_loop"]
    assert kinds(looping([-200, -100, 4])) == ["container_died"], "not within the time"
    assert kinds(looping([1, 2, 4], code=0)) == ["crash_loop"]
    assert kinds(looping([1, 2, 4], restart_policy="no")) == ["container_died"], "nobody restarts it"


def test_a_crash_loop_is_recognised_by_its_restart_count_without_events() -> None:
    loop = container(restart_policy="always", restart_count=9, state=ContainerState.RESTARTING, exit_code=1,
                     started_at=at(-3), finished_at=at(-2))  # fmt: skip
    assert kinds(snapshot(0, [loop])) == ["crash_loop"], "found looping at the start"
    calm = replace(loop, state=ContainerState.RUNNING, exit_code=None, started_at=at(-1.9))
    assert kinds(snapshot(0, [calm], [died(1, -2)])) == ["container_died"], "an old count and one end are no loop"
    assert "crash_loop" in kinds(snapshot(0, [calm], [died(1, -2)], restarts={"shop-api-1": 3}))


def test_restarts_by_hand_are_no_loop() -> None:
    one = [killed(15, 0), died(0, 0.1), event(EventKind.STOP, 0.2), event(EventKind.START, 0.3)]
    events = [replace(each, at=each.at + timedelta(seconds=when)) for when in (0, 5, 10, 15) for each in one]
    assert (
        kinds(snapshot(20, [container(restart_policy="always", started_at=at(15.3), finished_at=at(15.1))], events))
        == []
    )


def test_a_killed_child_shows_only_in_the_events() -> None:
    still_up = container(memory_limit_bytes=64 * MIB)
    assert kinds(snapshot(0.2, [still_up], [event(EventKind.OOM, 0)])) == [], "the container may be dying itself"
    [found] = alerts(snapshot(1.5, [still_up], [event(EventKind.OOM, -1), event(EventKind.OOM, 0)]))
    assert (str(found.kind), found.facts()["child_oom_kills"], found.at) == ("child_oom", 2, at(0))
    restarted = container(started_at=at(0.5), finished_at=at(0.1), restart_policy="always")
    assert kinds(snapshot(5, [restarted], [event(EventKind.OOM, 0), died(137, 0.1), event(EventKind.START, 0.5)])) == [
        "container_died"
    ]


def test_a_killed_child_shows_in_the_cgroup_when_events_are_missing() -> None:
    before = snapshot(0, [container()], oom_kills={"shop-api-1": 1})
    now = snapshot(10, [container()], oom_kills={"shop-api-1": 3})
    assert kinds(now, before) == ["child_oom"]
    assert kinds(now, replace(before, containers={"shop-api-1": container(started_at=at(-9))})) == []
    assert kinds(now, None) == []


def test_an_unhealthy_alert_quotes_the_health_check() -> None:
    probe = HealthProbe(at=at(-3), exit_code=7, output="curl: (7) Failed to connect")
    sick = container(health=Health.UNHEALTHY, failing_streak=3, health_log=(probe,))
    [found] = alerts(snapshot(0, [sick], [event(EventKind.HEALTH, -2, health="unhealthy")]))
    assert found.at == at(-2)
    assert found.facts() == {
        "failing_streak": 3,
        "health_exit_code": 7,
        "health_output": "curl: (7) Failed to connect",
        "restart_count": 0,
    }
    assert kinds(snapshot(0, [container(health=Health.STARTING)])) == []


def test_a_failed_start_quotes_dockers_error() -> None:
    created = container(
        state=ContainerState.CREATED, exit_code=128, error="bind: address already in use", started_at=None
    )
    [found] = alerts(snapshot(0, [created]))
    assert (str(found.kind), found.facts()["state_error"]) == ("cannot_start", "bind: address already in use")
    assert kinds(snapshot(0, [container(state=ContainerState.CREATED, started_at=None)])) == []


def test_a_pause_is_reported_only_when_it_lasts() -> None:
    frozen = container(state=ContainerState.PAUSED)
    assert kinds(snapshot(1, [frozen], [event(EventKind.PAUSE, 0)])) == []
    assert kinds(snapshot(4, [frozen], [event(EventKind.PAUSE, 0)])) == ["paused"]
    assert kinds(snapshot(4, [frozen])) == ["paused"]


def samples(count: int, step_s: float = 10, *, cpu: float = 1, throttled: float = 0, memory: int = 10) -> list[Sample]:
    return [
        Sample(
            at=at(-step_s * (count - 1 - position)),
            cpu_pct=cpu,
            throttled_pct=throttled,
            memory_bytes=memory * MIB,
            memory_limit_bytes=100 * MIB,
        )
        for position in range(count)
    ]


@pytest.mark.parametrize(
    ("taken", "limits", "expected"),
    [
        (samples(13, memory=95), {}, ["memory_near_limit"]),
        (samples(5, memory=95), {}, []),
        ([*samples(13, memory=95)[:6], *samples(1, memory=50), *samples(13, memory=95)[7:]], {}, []),
        (samples(13, cpu=399), {}, ["cpu_pegged"]),
        (samples(13, cpu=100), {}, []),
        (samples(13, cpu=100), {"cpu_limit": 1.0}, ["cpu_pegged"]),
        (samples(13, cpu=19, throttled=93), {"cpu_limit": 0.2}, ["cpu_pegged", "cpu_throttled"]),
        (samples(13, memory=95), {"started_at": at(-60)}, []),
    ],
)
def test_memory_and_cpu_at_their_limits_raise_alerts(
    taken: list[Sample], limits: dict[str, Any], expected: list[str]
) -> None:
    now = snapshot(0, [container(**limits)], samples={"shop-api-1": sorted(taken, key=lambda one: one.at)})
    assert kinds(now) == expected


def test_an_unreachable_engine_raises_an_alert() -> None:
    now = replace(snapshot(20, []), unreachable_since=at(0))
    assert kinds(now) == ["engine_unreachable"]
    assert kinds(replace(now, at=at(10))) == []


def test_the_shape_of_memory_before_a_kill() -> None:
    def shape(values: list[int]) -> object:
        taken = [
            replace(one, memory_bytes=value * MIB) for one, value in zip(samples(len(values)), values, strict=True)
        ]
        ended = exited(137, 0, oom_killed=True, memory_limit_bytes=100 * MIB)
        [found] = alerts(snapshot(0, [ended], [OOM, died(137, 0)], samples={"shop-api-1": taken}))
        assert found.facts()["memory_peak_mb"] == 100
        return found.facts()["memory_shape"]

    assert shape([40, 41, 40, 42, 41, 40]) == "peak"
    assert shape([20, 35, 50, 65, 80, 95]) == "ramp"
    assert shape([90, 91, 90, 91, 90, 90]) == "flat"
    assert shape([40, 41]) == "unknown"


def test_every_evidence_has_a_documented_name_and_type() -> None:
    types = {"int": int, "float": (int, float), "str": str, "bool": bool, "list": list}
    probe = HealthProbe(at=at(-3), exit_code=7, output="no")
    moments = [snapshot(12, [ended], events) for ended, events, _, _ in ENDINGS.values()]
    moments += [
        looping([1, 2, 4]),
        snapshot(5, [container()], [event(EventKind.OOM, 0)]),
        snapshot(5, [container(health=Health.UNHEALTHY, health_log=(probe,))]),
        snapshot(5, [container(state=ContainerState.PAUSED)]),
        snapshot(0, [container(cpu_limit=0.2)], samples={"shop-api-1": samples(13, cpu=19, throttled=93, memory=95)}),
        replace(snapshot(20, []), unreachable_since=at(0)),
    ]
    for moment in moments:
        for alert in alerts(moment):
            for item in alert.evidence:
                assert item.name in EVIDENCE_NAMES
                assert isinstance(item.value, types[EVIDENCE_NAMES[item.name].type]), item  # type: ignore[arg-type]


def test_a_hundred_calm_containers_take_no_time() -> None:
    many = [container(f"shop-s{number}-1", restart_policy="always") for number in range(100)]
    flood = [
        event(EventKind.HEALTH, -number / 100, f"shop-s{number % 100}-1", health="healthy") for number in range(5000)
    ]
    assert alerts(snapshot(0, many, flood), settings=WatchSettings()) == []
