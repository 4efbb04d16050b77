"""Reported alerts: late, doubled, endless and beside records that fail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import JsonValue

from core.errors import SystemUnavailable
from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert, Severity
from core.incidents.external_alerts import ENDED_LIMIT, KEY, ON_LIMIT, AlertReport, ExternalAlerts
from core.incidents.incident import Incident
from core.monitoring.topology import Topology
from core.text import text

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Clock:
    """Goes only when told."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at


class Incidents:
    """Keeps what it is told; each alert opens an incident of its own."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.open: dict[str, Incident] = {}
        self.is_down = False

    async def raise_alert(self, alert: Alert, topology: Topology) -> None:
        self._fail()
        self.told.append(("raised", str(alert.service)))
        self.open[alert.fingerprint] = Incident(
            id=len(self.told),
            severity=alert.severity,
            host=alert.host,
            stack=alert.stack,
            service=alert.service,
            container=None,
            message=alert.message,
            kind=alert.kind,
            opened_at=alert.at,
            occurred_at=alert.at,
            updated_at=alert.at,
            alerts=(alert,),
        )

    async def clear_alert(self, fingerprint: str) -> None:
        self._fail()
        self.told.append(("cleared", fingerprint.rpartition("/")[2]))

    def open_ones(self) -> list[Incident]:
        return list(self.open.values())

    async def update(self, incident_id: int, change: Callable[[Incident], Incident]) -> None:
        for key, one in tuple(self.open.items()):
            if one.id == incident_id:
                self.open[key] = change(one)

    def _fail(self) -> None:
        if self.is_down:
            raise SystemUnavailable("the records", "gone")


class Values:
    """In memory; outlives the `World`s that share it."""

    def __init__(self) -> None:
        self.kept: dict[str, JsonValue] = {}

    async def get(self, key: str) -> JsonValue:
        return self.kept.get(key)

    async def put(self, key: str, value: JsonValue, *, by: str) -> None:
        self.kept[key] = value


class World:
    """Reported alerts over fakes."""

    def __init__(self, values: Values | None = None) -> None:
        self.clock, self.incidents, self.values = Clock(), Incidents(), values or Values()
        self.alerts = ExternalAlerts(
            incidents=self.incidents,
            values=self.values,
            clock=self.clock,
            topology=lambda _: Topology(),
            kept_for=24 * HOUR,
        )

    async def down(self, name: str = "api", at: datetime | None = None, severity: Severity = Severity.WARNING) -> None:
        await self.alerts.report("monitor", [AlertReport(id=name, alert=_alert(name, severity), at=at)])

    async def up(self, name: str = "api", at: datetime | None = None) -> None:
        await self.alerts.report("monitor", [AlertReport(id=name, at=at)])

    def fingerprint(self, name: str = "api") -> str:
        return next(one.alert.fingerprint for one in self.alerts.firing() if one.alert.service == name)


def _alert(name: str, severity: Severity = Severity.WARNING) -> Alert:
    return Alert(
        kind=AlertKind.UNHEALTHY,
        severity=severity,
        host="local",
        stack="shop",
        service=name,
        at=START,
        message=text("alert.unhealthy", service=name, streak=1),
    )


async def test_an_end_that_is_older_than_the_trouble_ends_nothing() -> None:
    world = World()
    await world.down(at=START - HOUR)
    await world.down(at=START)
    await world.up(at=START - HOUR / 2)
    assert world.alerts.is_firing(world.fingerprint())
    await world.up(at=START + HOUR)
    assert not world.alerts.firing()
    assert world.incidents.told == [("raised", "api"), ("cleared", "api")]


async def test_louder_is_told_and_is_no_second_time() -> None:
    world = World()
    await world.down()
    began = world.alerts.firing()[0].alert.at
    world.clock.at += HOUR
    await world.down(severity=Severity.CRITICAL)
    await world.down(severity=Severity.CRITICAL)
    [one] = world.alerts.firing()
    assert (one.alert.severity, one.alert.at) == (Severity.CRITICAL, began)
    assert world.incidents.told == [("raised", "api"), ("raised", "api")]
    assert not world.alerts.recurred(one.alert.fingerprint, began)


async def test_down_after_up_has_happened_again() -> None:
    world = World()
    await world.down()
    fingerprint, acted_at = world.fingerprint(), world.clock.at
    assert not world.alerts.is_quiet(fingerprint, acted_at)
    await world.up()
    assert world.alerts.is_quiet(fingerprint, acted_at)
    assert not world.alerts.recurred(fingerprint, acted_at)
    world.clock.at += HOUR
    await world.down()
    await world.up()
    assert world.alerts.is_quiet(fingerprint, acted_at)
    assert world.alerts.recurred(fingerprint, acted_at)


async def test_what_is_not_heard_of_for_long_is_over_and_its_incident_says_why() -> None:
    world = World()
    await world.down()
    await world.down("redis")
    world.clock.at += 23 * HOUR
    await world.down("redis")
    await world.alerts.review()
    assert len(world.alerts.firing()) == 2
    world.clock.at += 2 * HOUR
    await world.alerts.review()
    assert [one.alert.service for one in world.alerts.firing()] == ["redis"]
    assert world.incidents.told[-1] == ("cleared", "api")
    noted = [entry.message for one in world.incidents.open_ones() for entry in one.timeline]
    assert noted == [text("incident.note.unheard", source="monitor", hours=24)]


async def test_what_cannot_be_taken_now_is_handed_on_later_in_order() -> None:
    world = World()
    world.incidents.is_down = True
    for name in ("api", "redis", "web"):
        with pytest.raises(SystemUnavailable):
            await world.down(name)
    with pytest.raises(SystemUnavailable):
        await world.up("redis")
    assert not world.incidents.told
    world.incidents.is_down = False
    await world.alerts.review()
    assert world.incidents.told == [("raised", "api"), ("cleared", "redis"), ("raised", "web")]


async def test_of_what_is_remembered_there_is_an_end() -> None:
    world = World()
    for number in range(ON_LIMIT + 5):
        await world.down(f"service-{number}")
    assert len(world.alerts.firing()) == ON_LIMIT
    for number in range(ENDED_LIMIT + 5):
        await world.alerts.report("monitor", [AlertReport(id=f"service-{number}")])
    kept = world.values.kept[KEY]
    assert isinstance(kept, dict)
    assert len(kept) == ENDED_LIMIT
    assert len(world.alerts.firing()) == ON_LIMIT - ENDED_LIMIT - 5


async def test_a_new_program_takes_up_what_is_on_and_clears_what_had_ended() -> None:
    before = World()
    await before.down("api")
    await before.down("redis")
    await before.up("redis")
    await before.down("redis", at=START - HOUR)
    alerts = [alert for one in before.incidents.open_ones() for alert in one.alerts]

    after = World(before.values)
    await after.alerts.load()
    after.alerts.adopt([*alerts, _alert("of a watcher")])
    assert [one.alert.service for one in after.alerts.firing()] == ["api"]
    await after.alerts.review()
    assert after.incidents.told == [("cleared", "redis")]
    await after.down("redis", at=START - HOUR)
    assert len(after.alerts.firing()) == 1, "what ended before the restart, reported late"


async def test_two_monitors_of_one_service_do_not_speak_for_each_other() -> None:
    world = World()
    for name in ("http: api", "tcp: api"):
        await world.alerts.report("monitor", [AlertReport(id=name, alert=_alert("api"))])
    first, second = (one.alert.fingerprint for one in world.alerts.firing())
    assert first != second
    await world.up("http: api")
    assert (world.alerts.is_firing(first), world.alerts.is_firing(second)) == (False, True)
    assert world.alerts.is_about(first)
    assert not world.alerts.is_about(_alert("api").fingerprint)
