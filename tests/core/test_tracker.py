"""The tracker through its front door: alerts in, incidents and events out."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from core.bus import Bus
from core.errors import NotFound, Refused
from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert, Evidence, Severity, Silence
from core.incidents.incident import Incident, IncidentState
from core.incidents.incident_events import (
    AlertHeldBack,
    AlertJoined,
    AlertRepeated,
    IncidentChanged,
    IncidentMerged,
    IncidentOpened,
    IncidentRecovered,
)
from core.incidents.tracker import IncidentTracker
from core.monitoring.inventory import Dependency, Inventory
from core.monitoring.topology import Topology, topology
from core.settings import WatchSettings
from core.text import text
from tests.core.scripted_watcher import HandClock, IncidentsInMemory, SilencesInMemory, at, container

EVENTS = (
    IncidentOpened,
    IncidentChanged,
    AlertRepeated,
    AlertJoined,
    IncidentMerged,
    IncidentRecovered,
    AlertHeldBack,
)


def alert(service: str = "api", kind: AlertKind = AlertKind.CONTAINER_DIED, when_s: float = 0, **facts: Any) -> Alert:
    evidence = tuple(Evidence(name=name, value=value, at=at(when_s), source="test") for name, value in facts.items())
    return Alert(
        kind=kind,
        severity=Severity.CRITICAL,
        host="local",
        stack="shop",
        service=service,
        container=f"shop-{service}-1",
        at=at(when_s),
        message=text(f"alert.{kind}"),
        evidence=evidence,
    )


class TrackerWorld:
    """A tracker with its surroundings; `web` needs `api` needs `db`."""

    def __init__(self, **settings: float) -> None:
        self.clock = HandClock()
        self.store = IncidentsInMemory()
        self.silences = SilencesInMemory()
        self.told: list[object] = []
        self.deploying: set[str | None] = set()
        self.bus = Bus()
        for event in EVENTS:
            self.bus.subscribe(event, self._hear)
        self.settings = WatchSettings(**settings)
        self.tracker = self.again()
        needs = {"web": "api", "api": "db"}
        self.graph: Topology = topology(
            Inventory(
                containers=tuple(
                    container(
                        f"shop-{name}-1",
                        depends_on=(Dependency(service=needs[name]),) if name in needs else (),
                    )
                    for name in ("web", "api", "db", "other")
                )
            ),
            "local",
        )

    def again(self) -> IncidentTracker:
        """A tracker over the same records, as after a restart."""
        self.tracker = IncidentTracker(
            store=self.store,
            silences=self.silences,
            bus=self.bus,
            clock=self.clock,
            settings=self.settings,
            simulated_hosts=("demo",),
            is_planned=lambda found: found.stack in self.deploying,
        )
        return self.tracker

    async def _hear(self, event: object) -> None:
        self.told.append(event)

    async def raises(self, one: Alert) -> Incident:
        found = await self.tracker.raise_alert(one, self.graph)
        assert found is not None
        return found

    async def moves(self, incident_id: int, state: IncidentState) -> Incident:
        return await self.tracker.update(incident_id, lambda one: replace(one, state=state))

    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.told]


async def test_an_alert_opens_an_incident() -> None:
    tracker = TrackerWorld()
    found = await tracker.raises(alert(exit_code=1))
    assert (found.id, found.state, found.target, found.kind) == (
        1,
        IncidentState.DETECTED,
        "shop/api",
        "container_died",
    )
    assert found.facts() == {"exit_code": 1}
    assert found.timeline[0].message.key == "incident.note.opened"
    assert not found.is_simulated
    assert tracker.names() == ["IncidentOpened"]
    assert (await tracker.raises(replace(alert(), host="demo"))).is_simulated


async def test_the_same_trouble_adds_to_its_incident() -> None:
    tracker = TrackerWorld()
    await tracker.raises(alert(exit_code=1))
    again = await tracker.raises(alert(when_s=5, exit_code=2))
    assert (again.id, again.repeats, again.facts(), len(again.alerts)) == (1, 1, {"exit_code": 2}, 1)
    better = await tracker.raises(alert(when_s=5, exit_code=2, came_back=True))
    assert (better.repeats, better.facts()["came_back"]) == (1, True), "the same moment better known is no repeat"
    assert tracker.names() == ["IncidentOpened", "AlertRepeated", "IncidentChanged"]


async def test_another_trouble_of_the_same_service_joins() -> None:
    tracker = TrackerWorld()
    await tracker.raises(alert())
    joined = await tracker.raises(alert(kind=AlertKind.CRASH_LOOP, when_s=3))
    assert (joined.id, len(joined.alerts)) == (1, 2)
    assert tracker.names() == ["IncidentOpened", "AlertJoined"]


async def test_victims_join_their_roots_incident() -> None:
    tracker = TrackerWorld()
    await tracker.raises(alert("db", AlertKind.KILLED_BY_API))
    await tracker.raises(alert("api", AlertKind.UNHEALTHY, when_s=20))
    last = await tracker.raises(alert("web", AlertKind.UNHEALTHY, when_s=500))
    assert (last.id, [one.service for one in last.alerts]) == (1, ["db", "api", "web"]), "the root is still down"
    assert last.culprit is None


@pytest.mark.parametrize(
    "own",
    [
        alert("api", oom_killed=True, when_s=5),
        alert("api", AlertKind.KILLED_BY_API, when_s=5),
        alert("api", AlertKind.MEMORY_NEAR_LIMIT, when_s=5),
        alert("other", AlertKind.UNHEALTHY, when_s=5),
    ],
)
async def test_trouble_with_its_own_cause_opens_its_own_incident(own: Alert) -> None:
    tracker = TrackerWorld()
    await tracker.raises(alert("db"))
    assert (await tracker.raises(own)).id == 2


async def test_a_late_victim_of_a_recovered_root_opens_its_own_incident() -> None:
    tracker = TrackerWorld()
    first = await tracker.raises(alert("db"))
    await tracker.moves(first.id, IncidentState.ACKNOWLEDGED)
    await tracker.raises(alert("api", AlertKind.UNHEALTHY, when_s=10))
    await tracker.tracker.clear_alert(alert("db").fingerprint)
    assert (await tracker.raises(alert("web", AlertKind.UNHEALTHY, when_s=20))).id == 1
    assert (await tracker.raises(alert("other", AlertKind.UNHEALTHY, when_s=300))).id == 2


async def test_a_root_found_later_joins_as_culprit_and_gathers_its_victims() -> None:
    tracker = TrackerWorld(group_within_s=60)
    await tracker.raises(alert("web", AlertKind.UNHEALTHY))
    await tracker.raises(alert("api", AlertKind.UNHEALTHY, when_s=100))
    assert len(tracker.tracker.open_ones()) == 2, "too far apart to belong together"
    root = await tracker.raises(alert("db", when_s=55))
    assert (root.id, root.culprit) == (1, "shop/db")
    assert {one.service for one in root.alerts} == {"web", "api", "db"}
    second = await tracker.tracker.get(2)
    assert second is not None
    assert (second.state, second.merged_into, second.is_open) == (IncidentState.MERGED, 1, False)
    assert tracker.names()[-2:] == ["AlertJoined", "IncidentMerged"]
    assert isinstance(tracker.told[-2], AlertJoined)
    assert tracker.told[-2].is_root


async def test_an_incident_under_repair_is_not_taken_over() -> None:
    tracker = TrackerWorld()
    first = await tracker.raises(alert("api", AlertKind.UNHEALTHY))
    await tracker.moves(first.id, IncidentState.ACTING)
    assert (await tracker.raises(alert("db", when_s=5))).id == 2


async def test_it_recovers_when_all_its_alerts_clear() -> None:
    tracker = TrackerWorld()
    await tracker.raises(alert("db"))
    await tracker.raises(alert("api", AlertKind.UNHEALTHY, when_s=10))
    await tracker.tracker.clear_alert(alert("db").fingerprint)
    assert tracker.tracker.open_ones()[0].state is IncidentState.DETECTED
    await tracker.tracker.clear_alert(alert("api", AlertKind.UNHEALTHY).fingerprint)
    found = await tracker.tracker.get(1)
    assert found is not None
    assert (found.state, found.closed_at) == (IncidentState.RECOVERED, tracker.clock.now())
    assert tracker.names()[-1] == "IncidentRecovered"
    assert tracker.tracker.open_ones() == ()
    assert (await tracker.raises(alert(when_s=60))).id == 2


@pytest.mark.parametrize("state", [IncidentState.ACTING, IncidentState.VERIFYING])
async def test_an_incident_does_not_recover_while_its_repair_runs(state: IncidentState) -> None:
    tracker = TrackerWorld()
    await tracker.raises(alert())
    await tracker.moves(1, state)
    await tracker.tracker.clear_alert(alert().fingerprint)
    assert (await tracker.moves(1, state)).state is state
    after = await tracker.moves(1, IncidentState.ESCALATED)
    found = await tracker.tracker.get(1)
    assert found is not None
    assert found.state is IncidentState.RECOVERED, f"{after.state}: nothing fires any more"


@pytest.mark.parametrize(
    "state",
    [IncidentState.NEEDS_APPROVAL, IncidentState.DENIED, IncidentState.ESCALATED, IncidentState.ACKNOWLEDGED],
)
async def test_an_incident_may_recover_while_it_waits_for_approval(state: IncidentState) -> None:
    tracker = TrackerWorld()
    await tracker.raises(alert())
    await tracker.moves(1, state)
    await tracker.tracker.clear_alert(alert().fingerprint)
    assert isinstance(tracker.told[-1], IncidentRecovered)
    assert tracker.told[-1].before.state is state


async def test_flapping_becomes_one_quiet_card() -> None:
    tracker = TrackerWorld(flap_changes=3, flap_within_s=900)
    for number in range(3):
        tracker.clock.forward(60)
        found = await tracker.raises(alert(when_s=60 * number))
        assert found.is_flapping is (number == 2)
        await tracker.tracker.clear_alert(alert().fingerprint)
    for number in range(3, 6):
        tracker.clock.forward(60)
        assert (await tracker.raises(alert(when_s=60 * number))).id == 3, "the quiet card takes them"
        await tracker.tracker.clear_alert(alert().fingerprint)
    tracker.clock.forward(600)
    await tracker.tracker.review()
    assert len(tracker.tracker.open_ones()) == 1, "not calm for long enough"
    tracker.clock.forward(301)
    await tracker.tracker.review()
    assert tracker.tracker.open_ones() == ()


async def test_a_silenced_alert_is_reported_when_the_silence_ends() -> None:
    tracker = TrackerWorld()
    await tracker.silences.add(Silence(id=1, target="shop/api", until=at(300), by="Ada"))
    assert await tracker.tracker.raise_alert(alert(), tracker.graph) is None
    assert tracker.names() == ["AlertHeldBack"]
    await tracker.tracker.review()
    assert tracker.store.incidents == {}
    tracker.clock.forward(301)
    await tracker.tracker.review()
    assert tracker.tracker.open_ones()[0].target == "shop/api"


async def test_an_alert_that_clears_while_silenced_is_never_reported() -> None:
    tracker = TrackerWorld()
    await tracker.silences.add(Silence(id=1, target="shop", until=at(300), by="Ada"))
    await tracker.tracker.raise_alert(alert(), tracker.graph)
    await tracker.tracker.clear_alert(alert().fingerprint)
    tracker.clock.forward(301)
    await tracker.tracker.review()
    assert tracker.store.incidents == {}


async def test_alerts_of_a_deploying_stack_wait_for_its_verdict() -> None:
    tracker = TrackerWorld()
    tracker.deploying = {"shop"}
    assert await tracker.tracker.raise_alert(alert(), tracker.graph) is None
    assert await tracker.tracker.raise_alert(alert("db"), tracker.graph) is None
    held = tracker.told[0]
    assert isinstance(held, AlertHeldBack)
    assert held.silence is None
    await tracker.tracker.review()
    assert tracker.store.incidents == {}
    await tracker.tracker.clear_alert(alert("db").fingerprint)
    tracker.deploying = set()
    await tracker.tracker.review()
    assert [one.target for one in tracker.tracker.open_ones()] == ["shop/api"], "what still fires, and that alone"


async def test_a_deploy_delays_no_alert_of_an_open_incident_or_another_stack() -> None:
    tracker = TrackerWorld()
    opened = await tracker.raises(alert())
    tracker.deploying = {"shop"}
    assert (await tracker.raises(alert(when_s=9))).id == opened.id
    elsewhere = replace(alert(), stack="blog", container="blog-api-1")
    assert (await tracker.raises(elsewhere)).stack == "blog"


async def test_after_a_restart_open_incidents_go_on() -> None:
    tracker = TrackerWorld()
    await tracker.raises(alert())
    after = tracker.again()
    taken = await after.take_up()
    assert [one.fingerprint for one in taken] == [alert().fingerprint]
    assert (await tracker.raises(alert(when_s=9))).id == 1
    await after.clear_alert(alert().fingerprint)
    assert isinstance(tracker.told[-1], IncidentRecovered)


async def test_writers_never_overwrite_each_other() -> None:
    tracker = TrackerWorld()
    await tracker.raises(alert())

    class Slow(IncidentsInMemory):
        async def save(self, incident: Incident) -> None:
            await asyncio.sleep(0.001)
            await super().save(incident)

    tracker.store = Slow(incidents=tracker.store.incidents)
    after = tracker.again()
    await after.take_up()
    marks = [f"mark {number}" for number in range(20)]
    repeats = [tracker.tracker.raise_alert(alert(when_s=10 + number), tracker.graph) for number in range(20)]
    changes = [
        after.update(1, lambda one, mark=mark: replace(one, tags=(*one.tags, mark)))  # type: ignore[misc]
        for mark in marks
    ]
    await asyncio.gather(*changes, *repeats)
    found = await after.get(1)
    assert found is not None
    assert (set(found.tags), found.repeats) == (set(marks), 20)
    assert tracker.store.incidents[1] == found


async def test_a_listener_may_change_the_incident_it_hears_of() -> None:
    tracker = TrackerWorld()

    async def think(event: IncidentOpened) -> None:
        await tracker.moves(event.incident.id, IncidentState.DIAGNOSING)

    tracker.bus.subscribe(IncidentOpened, think)
    async with asyncio.timeout(5):
        await tracker.raises(alert())
    assert tracker.tracker.open_ones()[0].state is IncidentState.DIAGNOSING


async def test_a_change_may_page_and_a_closed_one_stays_closed() -> None:
    tracker = TrackerWorld()
    await tracker.raises(alert())
    await tracker.tracker.update(1, lambda one: replace(one, state=IncidentState.ESCALATED), pages=text("alert.paused"))
    assert isinstance(tracker.told[-1], IncidentChanged)
    assert tracker.told[-1].pages == text("alert.paused")
    await tracker.moves(1, IncidentState.RESOLVED)
    noted = await tracker.tracker.update(1, lambda one: replace(one, tags=("lesson",)))
    assert noted.tags == ("lesson",)
    with pytest.raises(Refused, match="incident 1 is closed"):
        await tracker.moves(1, IncidentState.ACTING)
    with pytest.raises(NotFound, match="99"):
        await tracker.moves(99, IncidentState.ACTING)


# -- what falls while an incident closes ------------------------------------------------------------------------------

SAVE_S = 0.02
MOMENTS_S = [0.0, 0.005, 0.015, 0.025, 0.05]
"""Before, during and after the saving of the end."""


class SlowDesk(TrackerWorld):
    """A tracker whose records take a while to write."""

    def again(self) -> IncidentTracker:
        class Slow(IncidentsInMemory):
            async def save(self, incident: Incident) -> None:
                await asyncio.sleep(SAVE_S)
                await super().save(incident)

            async def open(self, incident: Incident) -> Incident:
                await asyncio.sleep(SAVE_S / 2)
                return await super().open(incident)

        self.store = Slow(incidents=self.store.incidents)
        return super().again()

    async def raises_after(self, delay_s: float, one: Alert) -> Incident:
        await asyncio.sleep(delay_s)
        return await self.raises(one)

    def is_cared_for(self, one: Alert) -> bool:
        """Whether an open incident holds it, in memory and in the records."""
        open_ones = [*self.tracker.open_ones(), *(kept for kept in self.store.incidents.values() if kept.is_open)]
        holders = [found.id for found in open_ones if one.fingerprint in {held.fingerprint for held in found.alerts}]
        return len(holders) == 2


@pytest.mark.parametrize("delay_s", MOMENTS_S)
@pytest.mark.parametrize("again", [alert(when_s=9), alert("web", AlertKind.UNHEALTHY, when_s=9)], ids=["same", "joins"])
async def test_what_happens_while_an_incident_closes_is_in_an_open_one(again: Alert, delay_s: float) -> None:
    tracker = SlowDesk()
    first = await tracker.raises(alert())
    await tracker.moves(first.id, IncidentState.VERIFYING)
    _, taken = await asyncio.gather(
        tracker.moves(first.id, IncidentState.RESOLVED), tracker.raises_after(delay_s, again)
    )
    assert taken.id != first.id
    assert tracker.is_cared_for(again)
    assert tracker.names().count("IncidentOpened") == 2
    closed = tracker.store.incidents[first.id]
    assert [one.fingerprint for one in closed.alerts] == [alert().fingerprint]
    assert closed.repeats == 0


@pytest.mark.parametrize("delay_s", MOMENTS_S)
async def test_an_alert_beside_the_recovery_of_its_incident_is_in_an_open_one(delay_s: float) -> None:
    tracker = SlowDesk()
    await tracker.raises(alert())

    async def clear() -> None:
        await tracker.tracker.clear_alert(alert().fingerprint)

    victim = alert("web", AlertKind.UNHEALTHY, when_s=9)
    await asyncio.gather(clear(), tracker.raises_after(delay_s, victim))
    assert tracker.is_cared_for(victim)


@pytest.mark.parametrize("delay_s", MOMENTS_S)
@pytest.mark.parametrize("closing", [1, 2], ids=["the one that absorbs", "the one that is absorbed"])
async def test_a_root_found_while_an_incident_of_a_victim_closes(closing: int, delay_s: float) -> None:
    tracker = SlowDesk(group_within_s=60)
    await tracker.raises(alert("web", AlertKind.UNHEALTHY))
    await tracker.raises(alert("api", AlertKind.UNHEALTHY, when_s=100))
    root = alert("db", when_s=55)
    await asyncio.gather(tracker.moves(closing, IncidentState.RESOLVED), tracker.raises_after(delay_s, root))
    assert tracker.is_cared_for(root)
    assert tracker.is_cared_for(alert("api" if closing == 1 else "web", AlertKind.UNHEALTHY))
    assert tracker.store.incidents[closing].state is IncidentState.RESOLVED
    assert root.fingerprint not in {one.fingerprint for one in tracker.store.incidents[closing].alerts}


async def test_an_incident_that_a_repair_began_on_meanwhile_is_not_absorbed() -> None:
    tracker = SlowDesk(group_within_s=60)
    await tracker.raises(alert("web", AlertKind.UNHEALTHY))
    await tracker.raises(alert("api", AlertKind.UNHEALTHY, when_s=100))
    await asyncio.gather(tracker.moves(2, IncidentState.ACTING), tracker.raises_after(0.005, alert("db", when_s=55)))
    assert {number: one.state for number, one in tracker.store.incidents.items()} == {
        1: IncidentState.DETECTED,
        2: IncidentState.ACTING,
    }


@pytest.mark.parametrize("delay_s", MOMENTS_S)
async def test_what_clears_while_it_is_let_go_of_leaves_nothing_open(delay_s: float) -> None:
    tracker = SlowDesk()
    await tracker.silences.add(Silence(id=1, target="shop", until=at(300), by="Ada"))
    await tracker.tracker.raise_alert(alert("db"), tracker.graph)
    await tracker.tracker.raise_alert(alert("other"), tracker.graph)
    tracker.clock.forward(301)

    async def clear() -> None:
        await asyncio.sleep(delay_s)
        await tracker.tracker.clear_alert(alert("other").fingerprint)

    await asyncio.gather(tracker.tracker.review(), clear())
    await tracker.tracker.review()
    assert [one.target for one in tracker.tracker.open_ones()] == ["shop/db"]


# -- closed by hand, and no longer watched -----------------------------------------------------------------------------


async def closed_by_hand(tracker: TrackerWorld, number: int = 1) -> Incident:
    return await tracker.moves(number, IncidentState.CLOSED)


async def test_closed_by_hand_it_stays_closed_until_the_trouble_happens_again() -> None:
    tracker = TrackerWorld()
    await tracker.raises(alert(when_s=5))
    await closed_by_hand(tracker)
    better = alert(when_s=5, came_back=True)
    assert await tracker.tracker.raise_alert(better, tracker.graph) is None, (
        "the same moment better known is nothing new"
    )
    await tracker.tracker.review()
    assert tracker.tracker.open_ones() == ()
    again = await tracker.raises(alert(when_s=9))
    assert (again.id, again.is_open) == (2, True)


async def test_closed_by_hand_and_cleared_the_next_alert_opens_a_new_one() -> None:
    tracker = TrackerWorld()
    await tracker.raises(alert(when_s=5))
    await closed_by_hand(tracker)
    await tracker.tracker.clear_alert(alert().fingerprint)
    assert (await tracker.raises(alert(when_s=5))).id == 2


@pytest.mark.parametrize("has_cleared", [False, True])
async def test_closed_by_hand_it_stays_closed_over_a_restart(has_cleared: bool) -> None:
    """A detector says after a start what it said before: no news, unless it had cleared in between."""
    tracker = TrackerWorld()
    await tracker.raises(alert(when_s=5))
    await closed_by_hand(tracker)
    if has_cleared:
        await tracker.tracker.clear_alert(alert().fingerprint)
    adopted = await tracker.again().take_up()
    assert [one.fingerprint for one in adopted] == ([] if has_cleared else [alert().fingerprint])
    taken = await tracker.tracker.raise_alert(alert(when_s=5), tracker.graph)
    assert (taken is None) is not has_cleared
    assert (await tracker.raises(alert(when_s=9))).id == 2
    assert [one.fingerprint for one in await tracker.again().take_up()] == [alert().fingerprint]


async def test_an_incident_that_nobody_watches_any_more_is_closed_and_says_so() -> None:
    tracker = TrackerWorld()
    gone = replace(alert(), host="far")
    await tracker.raises(gone)
    await tracker.raises(alert())
    await tracker.raises(replace(alert("db", AlertKind.DEPLOY_FAILED), service=None, stack="blog"))
    await tracker.moves(1, IncidentState.VERIFYING)
    await tracker.again().take_up()
    closed = await tracker.tracker.close_unwatched(lambda one: one.startswith("container_died:local"))
    assert [one.id for one in closed] == [1, 3]
    for one in closed:
        assert (one.state, one.closed_at) == (IncidentState.CLOSED, tracker.clock.now())
        assert one.outcome is not None
        assert one.outcome.key == "incident.outcome.unwatched"
        assert one.timeline[-1].message == one.outcome
    assert [one.id for one in tracker.tracker.open_ones()] == [2]
    assert tracker.names()[-2:] == ["IncidentChanged", "IncidentChanged"]
    assert [one.fingerprint for one in await tracker.again().take_up()] == [alert().fingerprint]


async def test_what_is_left_of_an_incident_half_of_which_nobody_watches_decides() -> None:
    tracker = TrackerWorld()
    await tracker.raises(alert())
    await tracker.raises(alert(kind=AlertKind.CRASH_LOOP, when_s=3))
    await tracker.tracker.close_unwatched(lambda one: one.startswith("container_died"))
    assert tracker.tracker.open_ones()[0].state is IncidentState.DETECTED
    await tracker.tracker.clear_alert(alert().fingerprint)
    assert isinstance(tracker.told[-1], IncidentRecovered)
