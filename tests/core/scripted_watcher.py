"""Parts for tests of detection: containers, events and snapshots by hand, a clock, a sink that listens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from core.incidents.alerts import Alert, Silence
from core.incidents.incident import Incident, IncidentState
from core.monitoring.inventory import Container, ContainerState, Host
from core.monitoring.snapshot import Detector, EngineEvent, EventKind, Snapshot, View
from core.monitoring.topology import Topology
from core.settings import WatchSettings
from integrations.docker_engine.detectors import DETECTORS

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
HOST = Host(name="local", cpus=4, memory_total_bytes=8 * 2**30)


def at(seconds: float) -> datetime:
    """A moment, in seconds after the beginning of the test's time."""
    return T0 + timedelta(seconds=seconds)


def container(name: str = "shop-api-1", **more: Any) -> Container:
    """A running container of the stack `shop`, an hour old."""
    service = more.pop("service", name.split("-")[1] if "-" in name else name)
    given = {
        "host": "local",
        "id": (name.encode().hex() + "0" * 64)[:64],
        "name": name,
        "stack": "shop",
        "service": service,
        "image": f"shop/{service}:1",
        "state": ContainerState.RUNNING,
        "started_at": at(-3600),
        "created_at": at(-3601),
        "networks": ("shop_default",),
        "aliases": (service,),
    }
    return Container(**{**given, **more})


def exited(code: int, when_s: float, name: str = "shop-api-1", **more: Any) -> Container:
    """The same, ended."""
    return container(name, state=ContainerState.EXITED, exit_code=code, finished_at=at(when_s), **more)


def event(kind: EventKind, when_s: float, name: str = "shop-api-1", **more: Any) -> EngineEvent:
    """An engine event of a container of `container`."""
    return EngineEvent(at=at(when_s), kind=kind, container_id=container(name).id, name=name, **more)


def killed(signal: int, when_s: float, name: str = "shop-api-1") -> EngineEvent:
    return event(EventKind.KILL, when_s, name, signal=signal)


def died(code: int, when_s: float, name: str = "shop-api-1") -> EngineEvent:
    return event(EventKind.DIE, when_s, name, exit_code=code)


def snapshot(
    now_s: float, containers: Iterable[Container], events: Sequence[EngineEvent] = (), **more: Any
) -> Snapshot:
    return Snapshot(
        at=at(now_s), host=HOST, containers={one.name: one for one in containers}, events=tuple(events), **more
    )


def alerts(
    now: Snapshot,
    before: Snapshot | None = None,
    settings: WatchSettings | None = None,
    detectors: Sequence[Detector] = DETECTORS,
) -> list[Alert]:
    """What all detectors say."""
    view = View(now=now, before=before, inventory=now.inventory(), settings=settings or WatchSettings())
    return [alert for detector in detectors for alert in detector(view)]


def kinds(now: Snapshot, before: Snapshot | None = None) -> list[str]:
    """The kinds of what all detectors say."""
    return [str(alert.kind) for alert in alerts(now, before)]


@dataclass
class HandClock:
    """A clock that a test moves."""

    moment: datetime = T0

    def now(self) -> datetime:
        return self.moment

    def forward(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


class WallClock:
    """The real one."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass
class Heard:
    """A sink that keeps what it hears."""

    raised: list[tuple[datetime, Alert]] = field(default_factory=list)
    cleared: list[str] = field(default_factory=list)

    async def raise_alert(self, alert: Alert, topology: Topology) -> None:
        self.raised.append((datetime.now(UTC), alert))

    async def clear_alert(self, fingerprint: str) -> None:
        self.cleared.append(fingerprint)

    def of(self, name: str) -> list[Alert]:
        return [alert for _, alert in self.raised if alert.container == name]

    def kinds(self, name: str) -> list[str]:
        return [str(alert.kind) for alert in self.of(name)]


@dataclass
class IncidentsInMemory:
    """An IncidentStore for tests of the tracker; the shipped one has its own tests."""

    incidents: dict[int, Incident] = field(default_factory=dict)

    async def open(self, incident: Incident) -> Incident:
        numbered = replace(incident, id=len(self.incidents) + 1)
        self.incidents[numbered.id] = numbered
        return numbered

    async def save(self, incident: Incident) -> None:
        self.incidents[incident.id] = incident

    async def get(self, incident_id: int) -> Incident | None:
        return self.incidents.get(incident_id)

    async def open_ones(self) -> list[Incident]:
        return [one for one in self.incidents.values() if one.is_open]

    async def closed_by_hand(self) -> list[Incident]:
        return [one for one in self.incidents.values() if one.state is IncidentState.CLOSED]

    async def recent(
        self, limit: int = 10, *, stack: str | None = None, since: datetime | None = None
    ) -> list[Incident]:
        return list(reversed(self.incidents.values()))[:limit]

    async def openings(self, fingerprint: str, since: datetime) -> int:
        return sum(
            one.opened_at >= since and one.alerts[0].fingerprint == fingerprint for one in self.incidents.values()
        )


@dataclass
class SilencesInMemory:
    """A Silences for tests of the tracker."""

    silences: list[Silence] = field(default_factory=list)

    async def add(self, silence: Silence) -> Silence:
        self.silences.append(silence)
        return silence

    async def active(self, now: datetime) -> list[Silence]:
        return [one for one in self.silences if one.until > now]

    async def end(self, silence_id: int, at: datetime) -> bool:
        before = len(self.silences)
        self.silences = [one for one in self.silences if one.id != silence_id]
        return len(self.silences) < before
