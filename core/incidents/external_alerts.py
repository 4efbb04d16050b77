"""Alerts that other systems report through webhooks: firing until reported over, or until no report comes for long."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from pydantic import JsonValue, SecretStr

from core.clock import Clock
from core.incidents.alerts import Alert, Firing
from core.incidents.incident import Incident
from core.monitoring.topology import Topology
from core.text import Text, text

log = structlog.get_logger(__name__)

ON_LIMIT = 1000
"""Maximum number of alerts firing at once; a further one is refused and logged."""
ENDED_LIMIT = 500
"""Number of ended alerts that are remembered, so that a late report of one raises nothing."""
ID_LIMIT = 120
KEY = "external_alerts.ended"
BY = "guardian"


class IncidentSink(Protocol):
    """The tracker, which turns alerts into incidents."""

    async def raise_alert(self, alert: Alert, topology: Topology) -> object:
        """Raise a new alert, or one that is now known better (same moment, other words)."""
        ...

    async def clear_alert(self, fingerprint: str) -> object:
        """Clear an alert."""
        ...

    def open_ones(self) -> Sequence[Incident]:
        """Return all open incidents."""
        ...

    async def update(self, incident_id: int, change: Callable[[Incident], Incident]) -> object:
        """Change an incident."""
        ...


class Values(Protocol):
    """Small values that outlive the process."""

    async def get(self, key: str) -> JsonValue:
        """Return the value, or None."""
        ...

    async def put(self, key: str, value: JsonValue, *, by: str) -> None:
        """Write the value."""
        ...


@dataclass(frozen=True, kw_only=True)
class AlertReport:
    """One alert in a notification of another system: firing, or over."""

    id: str
    """The other system's id, the same for the start and the end of one alert."""
    alert: Alert | None = None
    """The firing alert; None: it is over."""
    at: datetime | None = None
    """Time of its start or end by the other system's clock; None: not given."""


Read = Callable[[Mapping[str, object]], Iterable[AlertReport]]
"""Returns the alerts in one notification; none if it is not understood."""


@dataclass(frozen=True, kw_only=True)
class AlertHook:
    """Receives the notifications of one system that reports alerts (`core.integration.Hook`)."""

    source: str
    secret: str | None
    read: Read
    report: Callable[[str, Iterable[AlertReport]], Awaitable[None]]

    async def take(self, body: Mapping[str, object]) -> None:
        """Read one notification and report its alerts."""
        await self.report(self.source, self.read(body))


@dataclass(frozen=True, kw_only=True)
class _ReportedAlert:
    alert: Alert
    heard_at: datetime
    """Time of the last report."""
    began_at: datetime | None
    """Last start, or last report as still firing, by the other system's clock; an earlier end was delivered late."""


@dataclass(frozen=True, kw_only=True)
class _Ended:
    fired_at: datetime | None
    """Last start, by our clock at the latest; None: it was never seen firing."""
    ended_at: datetime
    """End, by the other system's clock if given."""


@dataclass(frozen=True, kw_only=True)
class _Change:
    alert: Alert
    is_over: bool = False
    is_unheard: bool = False
    """It counts as over because no report came for long."""


class ExternalAlerts:
    """Owns the alerts that other systems report: adopts, raises, clears and verifies them.

    A report that comes twice, late or in the wrong order changes nothing. A change that the tracker cannot take now is
    kept and passed on later, in order.
    """

    def __init__(
        self,
        *,
        incidents: IncidentSink,
        values: Values,
        clock: Clock,
        topology: Callable[[str], Topology],
        kept_for: timedelta,
    ) -> None:
        """Create it; `kept_for`: an alert without a report for this long counts as over."""
        self._incidents = incidents
        self._values = values
        self._clock = clock
        self._topology = topology
        self._kept_for = kept_for
        self._on: dict[str, _ReportedAlert] = {}
        self._ended: OrderedDict[str, _Ended] = OrderedDict()
        self._unsaved = False
        self._untold: OrderedDict[str, _Change] = OrderedDict()
        self._telling = asyncio.Lock()

    def hook(self, source: str, secret: SecretStr | None, read: Read) -> AlertHook:
        """Return the hook of one system, for `Integration.hooks`."""
        plain = secret.get_secret_value() if secret else None
        return AlertHook(source=source, secret=plain, read=read, report=self.report)

    # -- reports ----------------------------------------------------------------------------------------------------

    async def report(self, source: str, reports: Iterable[AlertReport]) -> None:
        """Process a system's reports; on return, incidents have been opened, changed or closed."""
        for one in reports:
            key = f"{source}/{one.id[:ID_LIMIT].replace(':', '_')}"
            if one.alert is None:
                self._take_end(key, one.at)
            else:
                self._take_firing(key, one.alert, one.at)
        await self._tell()

    async def review(self) -> None:
        """End alerts without a report for long, and retry changes that failed to be passed on; call it periodically."""
        now = self._clock.now()
        for key, on in tuple(self._on.items()):
            if now - on.heard_at >= self._kept_for:
                log.warning("nothing was heard of an alert for long; it counts as over", alert=key)
                self._end(key, now, is_unheard=True)
        await self._tell()

    def _take_firing(self, key: str, alert: Alert, at: datetime | None) -> None:
        now = self._clock.now()
        on, ended = self._on.get(key), self._ended.get(key)
        if on is not None:
            began_at = max(on.began_at, at) if on.began_at and at else on.began_at or at
            self._on[key] = replace(on, heard_at=now, began_at=began_at)
            self._take_better(key, on.alert, alert)
        elif ended is not None and at is not None and at <= ended.ended_at:
            log.info("an alert that was over already was reported late", alert=key)
        elif len(self._on) >= ON_LIMIT or len(self._untold) >= ON_LIMIT:
            log.error("too many reported alerts are on; a further one is left out", alert=key)
        else:
            raised = replace(alert, reported_as=key, at=min(at or now, now))
            self._on[key] = _ReportedAlert(alert=raised, heard_at=now, began_at=at)
            self._untold[key] = _Change(alert=raised)

    def _take_better(self, key: str, known: Alert, alert: Alert) -> None:
        """Update an alert that is reported with other words or a higher severity; it counts as the same occurrence."""
        if (known.message, known.severity) == (alert.message, alert.severity):
            return
        better = replace(known, message=alert.message, severity=alert.severity, evidence=alert.evidence)
        self._on[key] = replace(self._on[key], alert=better)
        self._untold[key] = _Change(alert=better)

    def _take_end(self, key: str, at: datetime | None) -> None:
        on = self._on.get(key)
        if on is not None and at is not None and on.began_at is not None and at < on.began_at:
            return  # the end of an earlier time, delivered late
        self._end(key, at or self._clock.now())

    def _end(self, key: str, at: datetime, *, is_unheard: bool = False) -> None:
        on, before = self._on.pop(key, None), self._ended.get(key)
        if on is not None:
            self._untold[key] = _Change(alert=on.alert, is_over=True, is_unheard=is_unheard)
        fired_at = on.alert.at if on else before.fired_at if before else None
        ended = _Ended(fired_at=fired_at, ended_at=max(at, before.ended_at) if before else at)
        if ended != before:
            self._ended[key] = ended
            self._ended.move_to_end(key)
            self._unsaved = True
        while len(self._ended) > ENDED_LIMIT:
            self._ended.popitem(last=False)

    async def _tell(self) -> None:
        async with self._telling:
            if self._unsaved:
                await self._values.put(KEY, _to_json(self._ended), by=BY)
                self._unsaved = False
            while self._untold:
                key, change = next(iter(self._untold.items()))
                await self._hand_on(change)
                if self._untold.get(key) is change:
                    del self._untold[key]

    async def _hand_on(self, change: _Change) -> None:
        if not change.is_over:
            await self._incidents.raise_alert(change.alert, self._topology(change.alert.host))
            return
        if change.is_unheard:
            await self._note(change.alert)
        await self._incidents.clear_alert(change.alert.fingerprint)

    async def _note(self, alert: Alert) -> None:
        message = text(
            "incident.note.unheard", source=alert.reported_by, hours=round(self._kept_for.total_seconds() / 3600)
        )
        for incident in self._incidents.open_ones():
            if any(one.fingerprint == alert.fingerprint for one in incident.alerts):
                await self._incidents.update(incident.id, lambda one: one.note(self._clock.now(), message))

    # -- after a start ----------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Load the alerts that ended in earlier runs; call it before `adopt`."""
        self._ended = _from_json(await self._values.get(KEY))

    def adopt(self, alerts: Iterable[Alert]) -> None:
        """Adopt the reported alerts of open incidents; those that had ended are cleared by the next `review`."""
        now = self._clock.now()
        for alert in alerts:
            if not alert.reported_as:
                continue
            ended = self._ended.get(alert.reported_as)
            if ended is not None and ended.fired_at is not None and ended.fired_at >= alert.at:
                self._untold[alert.reported_as] = _Change(alert=alert, is_over=True)
            else:
                self._on[alert.reported_as] = _ReportedAlert(alert=alert, heard_at=now, began_at=alert.at)

    # -- queries ----------------------------------------------------------------------------------------------------

    def firing(self) -> tuple[Firing, ...]:
        """Return the alerts that are firing."""
        return tuple(Firing(alert=on.alert, since=on.alert.at, last=on.alert.at) for on in self._on.values())

    def is_about(self, fingerprint: str) -> bool:
        """Return whether another system reports this alert, not a watcher."""
        return _key_of(fingerprint) != ""

    def is_firing(self, fingerprint: str) -> bool:
        """Return whether it is firing."""
        return _key_of(fingerprint) in self._on

    def recurred(self, fingerprint: str, since: datetime) -> bool:
        """Return whether it began anew after `since`; another report while it is firing is no new beginning."""
        key = _key_of(fingerprint)
        on, ended = self._on.get(key), self._ended.get(key)
        fired_at = on.alert.at if on else ended.fired_at if ended else None
        return fired_at is not None and fired_at > since

    def is_quiet(self, fingerprint: str, since: datetime) -> bool:
        """Return whether it is over."""
        return self.why_not_quiet(fingerprint, since) is None

    def why_not_quiet(self, fingerprint: str, since: datetime) -> Text | None:
        """Return the reason why it is not over; None: its system has reported the end."""
        on = self._on.get(_key_of(fingerprint))
        return text("watch.quiet.reported", source=on.alert.reported_by) if on else None


def _key_of(fingerprint: str) -> str:
    """Return `source/id`; empty for a watcher's alert."""
    return fingerprint.partition("@")[2].partition(":")[0] if "@" in fingerprint.partition(":")[0] else ""


def _to_json(ended: Mapping[str, _Ended]) -> JsonValue:
    return {
        key: [one.fired_at.isoformat() if one.fired_at else None, one.ended_at.isoformat()]
        for key, one in ended.items()
    }


def _from_json(raw: JsonValue) -> OrderedDict[str, _Ended]:
    found: OrderedDict[str, _Ended] = OrderedDict()
    for key, value in raw.items() if isinstance(raw, dict) else ():
        if isinstance(value, list) and len(value) == 2:
            fired_at, ended_at = value
            at = datetime.fromisoformat(fired_at) if isinstance(fired_at, str) else None
            found[key] = _Ended(fired_at=at, ended_at=datetime.fromisoformat(str(ended_at)))
    return found
