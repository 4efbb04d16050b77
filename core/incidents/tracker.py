"""The incident tracker: opens, groups and closes incidents, and is the only place that changes one.

Longer than other files: its methods share the locks and the open incidents, and their order is what prevents races.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

import structlog

from core.bus import Bus
from core.clock import Clock
from core.errors import NotFound, Refused
from core.incidents.alerts import Alert, Severity, Silence
from core.incidents.grouping import Grouping, alert_title, place
from core.incidents.incident import ALERT_IS_ON, BUSY, Incident, IncidentState
from core.incidents.incident_events import (
    AlertHeldBack,
    AlertJoined,
    AlertRepeated,
    IncidentChanged,
    IncidentMerged,
    IncidentOpened,
    IncidentRecovered,
)
from core.incidents.incident_store import IncidentStore, Silences
from core.monitoring.topology import Topology
from core.settings import WatchSettings
from core.text import Text, text

log = structlog.get_logger(__name__)

IncidentChange = Callable[[Incident], Incident]
_Taken = tuple[Incident, list[object]]
"""The incident that took an alert, and the events to publish."""
HELD_LIMIT = 1000
_LOUDNESS = {severity: place for place, severity in enumerate(Severity)}


class IncidentTracker:
    """Keeps the open incidents, saves every change first, then publishes it on the bus.

    One writer at a time per incident: `update` reads, changes and saves under the incident's lock, so that graph,
    decisions and alerts never overwrite each other. Events are published outside the locks: a listener may update.
    """

    def __init__(
        self,
        *,
        store: IncidentStore,
        silences: Silences,
        bus: Bus,
        clock: Clock,
        settings: WatchSettings,
        simulated_hosts: Collection[str] = (),
        is_planned: Callable[[Alert], bool] | None = None,
    ) -> None:
        """Create it; `is_planned` tells if a deploy under way explains an alert, which then waits for its verdict."""
        self._store = store
        self._silences = silences
        self._bus = bus
        self._clock = clock
        self._settings = settings
        self._simulated = frozenset(simulated_hosts)
        self._is_planned = is_planned or (lambda _: False)
        self._open: dict[int, Incident] = {}
        self._firing: set[str] = set()
        self._held: dict[str, tuple[Alert, Topology]] = {}
        self._left: dict[str, tuple[int, datetime]] = {}
        self._calm_since: dict[int, datetime] = {}
        self._placing = asyncio.Lock()
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    # -- reading ----------------------------------------------------------------------------------------------------

    async def take_up(self) -> tuple[Alert, ...]:
        """Load the incidents of earlier runs; returns the alerts that were firing, to be adopted by the watchers.

        The watchers clear those that are over: such an incident becomes *recovered* in the usual way.
        """
        alerts: dict[str, Alert] = {}
        for incident in await self._store.closed_by_hand():
            if ALERT_IS_ON in incident.tags:
                self._leave(incident, incident.alerts)
                alerts |= {alert.fingerprint: alert for alert in incident.alerts}
        for incident in await self._store.open_ones():
            self._open[incident.id] = incident
            alerts |= {alert.fingerprint: alert for alert in incident.alerts}
        self._firing.update(alerts)
        return tuple(alerts.values())

    def open_ones(self) -> tuple[Incident, ...]:
        """Return all open incidents, oldest first."""
        return tuple(self._open[number] for number in sorted(self._open))

    async def get(self, incident_id: int) -> Incident | None:
        """Return the incident as it is now, open or closed; None: there is none."""
        return self._open.get(incident_id) or await self._store.get(incident_id)

    # -- changing ---------------------------------------------------------------------------------------------------

    async def update(self, incident_id: int, change: IncidentChange, *, pages: Text | None = None) -> Incident:
        """Change an incident: `change` gets it as it is now and returns its new version.

        `pages`: a sentence that a person must hear now, besides the updated card.
        A closed incident may get notes, but no other state: Refused. NotFound: there is none of that number.
        """
        async with self._lock(incident_id):
            before, after = await self._change(incident_id, change)
        if after == before:
            return after
        await self._bus.publish(IncidentChanged(incident=after, before=before, pages=pages))
        return await self._close_if_calm(incident_id) or self._open.get(incident_id, after)

    def _lock(self, incident_id: int) -> asyncio.Lock:
        return self._locks.setdefault(incident_id, asyncio.Lock())

    async def _change(self, incident_id: int, change: IncidentChange) -> tuple[Incident, Incident]:
        """Read, change and save, under the incident's lock."""
        before = await self.get(incident_id)
        if before is None:
            raise NotFound(f"there is no incident {incident_id}")
        after = change(before)
        if after == before:
            return before, before
        now = self._clock.now()
        if not before.is_open and after.state is not before.state:
            raise Refused(f"incident {incident_id} is closed ({before.state}); it cannot become {after.state}")
        closed_at = None if after.is_open else (after.closed_at or now)
        after = replace(after, id=incident_id, updated_at=now, closed_at=closed_at)
        if before.is_open and after.state is IncidentState.CLOSED:
            after = self._left_on(after)
        await self._store.save(after)
        self._remember(after)
        return before, after

    def _remember(self, incident: Incident) -> None:
        if incident.is_open:
            self._open[incident.id] = incident
            return
        self._open.pop(incident.id, None)
        self._calm_since.pop(incident.id, None)

    # -- alerts -----------------------------------------------------------------------------------------------------

    async def raise_alert(self, alert: Alert, topology: Topology) -> Incident | None:
        """Raise an alert: open an incident or add to one.

        None: a silence or a deploy holds it back, or its incident was closed by hand and it has not happened again.
        """
        async with self._placing:
            incident, events = await self._take(alert, topology)
        await self._publish(events)
        return incident

    async def _take(self, alert: Alert, topology: Topology) -> tuple[Incident | None, list[object]]:
        """Find the alert's incident, and search again if that one has ended before its lock was free."""
        self._firing.add(alert.fingerprint)
        while True:
            if alert.fingerprint in self._left:
                if alert.at <= self._left[alert.fingerprint][1]:
                    return None, []
                await self._is_left_no_more(alert.fingerprint)
            known = self._holder(alert.fingerprint)
            if known is not None:
                taken = await self._again(known, alert)
            else:
                silence = await self._silence_for(alert)
                if silence is not None or self._is_planned(alert):
                    self._hold(alert, topology)
                    return None, [AlertHeldBack(alert=alert, silence=silence)]
                self._held.pop(alert.fingerprint, None)
                taken = await self._place(alert, topology)
            if taken is not None:
                return taken

    async def clear_alert(self, fingerprint: str) -> None:
        """Clear an alert; its incident recovers when none of its alerts is firing and no repair is running."""
        async with self._placing:
            self._firing.discard(fingerprint)
            self._held.pop(fingerprint, None)
            await self._is_left_no_more(fingerprint)
            holder = self._holder(fingerprint)
        if holder is not None:
            await self._close_if_calm(holder.id)

    async def review(self) -> None:
        """Raise alerts whose silence or deploy is over, and close calm incidents; to be called periodically."""
        now = self._clock.now()
        active = await self._silences.active(now)
        for alert, _ in tuple(self._held.values()):
            if not any(silence.covers(alert, now) for silence in active) and not self._is_planned(alert):
                await self._let_go(alert.fingerprint)
        for incident in self.open_ones():
            await self._close_if_calm(incident.id)

    async def _let_go(self, fingerprint: str) -> None:
        """Raise an alert that was held back, unless it has cleared meanwhile."""
        events: list[object] = []
        async with self._placing:
            if fingerprint in self._held:
                _, events = await self._take(*self._held[fingerprint])
        await self._publish(events)

    def _holder(self, fingerprint: str) -> Incident | None:
        """Return the open incident that holds an alert of that fingerprint."""
        return next(
            (one for one in self.open_ones() if any(alert.fingerprint == fingerprint for alert in one.alerts)), None
        )

    async def _silence_for(self, alert: Alert) -> Silence | None:
        now = self._clock.now()
        return next((one for one in await self._silences.active(now) if one.covers(alert, now)), None)

    def _hold(self, alert: Alert, topology: Topology) -> None:
        if len(self._held) >= HELD_LIMIT:
            self._held.pop(next(iter(self._held)))
        self._held[alert.fingerprint] = (alert, topology)

    async def _again(self, known: Incident, alert: Alert) -> _Taken | None:
        """Record a repeat of an alert, or better details of the same occurrence; None: the incident has ended."""
        old = next(one for one in known.alerts if one.fingerprint == alert.fingerprint)
        is_repeat = alert.at > old.at

        def change(incident: Incident) -> Incident:
            if not incident.is_open:
                return incident
            alerts = tuple(alert if one.fingerprint == alert.fingerprint else one for one in incident.alerts)
            is_first = incident.alerts[0].fingerprint == alert.fingerprint
            changed = replace(
                incident,
                alerts=alerts,
                message=alert.message if is_first else incident.message,
                severity=_loudest(incident.severity, alert.severity),
                repeats=incident.repeats + is_repeat,
            )
            return changed.note(self._clock.now(), text("incident.note.repeated")) if is_repeat else changed

        async with self._lock(known.id):
            before, after = await self._change(known.id, change)
        if not before.is_open:
            return None
        self._calm_since.pop(known.id, None)
        if is_repeat:
            return after, [AlertRepeated(incident=after, alert=alert)]
        return after, [IncidentChanged(incident=after, before=before)]

    async def _place(self, alert: Alert, topology: Topology) -> _Taken | None:
        found = place(alert, self.open_ones(), topology, self._firing, self._settings)
        if found is None:
            return await self._open_new(alert)
        return await self._join(found, alert)

    async def _open_new(self, alert: Alert) -> _Taken:
        now = self._clock.now()
        since = now - timedelta(seconds=self._settings.flap_within_s)
        openings = await self._store.openings(alert.fingerprint, since)
        is_flapping = openings + 1 >= self._settings.flap_changes
        incident = Incident(
            severity=alert.severity,
            host=alert.host,
            stack=alert.stack,
            service=alert.service,
            container=alert.container,
            message=alert.message,
            kind=alert.kind,
            opened_at=now,
            occurred_at=alert.at,
            updated_at=now,
            alerts=(alert,),
            is_flapping=is_flapping,
            is_simulated=alert.host in self._simulated,
        ).note(now, text("incident.note.opened", message=alert.message))
        if is_flapping:
            incident = incident.note(now, text("incident.note.flapping"))
        incident = await self._store.open(incident)
        self._remember(incident)
        log.info("an incident was opened", incident=incident.id, fingerprint=alert.fingerprint)
        return incident, [IncidentOpened(incident=incident)]

    async def _join(self, found: Grouping, alert: Alert) -> _Taken | None:
        """Add an alert to an open incident and merge others into it; None: it has ended, or its repair has begun."""
        now = self._clock.now()
        title = alert_title(alert)
        key = "incident.note.culprit" if found.is_root else "incident.note.joined"

        def change(incident: Incident) -> Incident:
            if not incident.is_open or (found.is_root and incident.state in BUSY):
                return incident
            joined = replace(
                incident,
                alerts=(*incident.alerts, alert),
                severity=_loudest(incident.severity, alert.severity),
            ).note(now, text(key, message=alert.message, root=title))
            return joined.with_culprit(title) if found.is_root else joined

        async with self._lock(found.incident.id):
            before, after = await self._change(found.incident.id, change)
            if after is before:
                return None
            self._calm_since.pop(after.id, None)
            events: list[object] = []
            for other in found.absorbing:
                async with self._lock(other.id):
                    after, merged = await self._absorb(after, other.id)
                events += merged
        return after, [AlertJoined(incident=after, alert=alert, is_root=found.is_root), *events]

    async def _absorb(self, older: Incident, other_id: int) -> _Taken:
        """Merge an incident into an older one, under the locks of both; one that has ended or is under repair stays."""
        other = self._open.get(other_id)
        if other is None or other.state in BUSY:
            return older, []
        now = self._clock.now()

        def end(incident: Incident) -> Incident:
            ended = replace(
                incident,
                state=IncidentState.MERGED,
                merged_into=older.id,
                outcome=text("incident.outcome.merged", into=older.id),
            )
            return ended.note(now, text("incident.note.merged", into=older.id))

        def take_over(incident: Incident) -> Incident:
            known = {alert.fingerprint for alert in incident.alerts}
            more = tuple(alert for alert in other.alerts if alert.fingerprint not in known)
            grown = replace(incident, alerts=(*incident.alerts, *more), repeats=incident.repeats + other.repeats)
            return grown.note(now, text("incident.note.absorbed", other=other.id))

        _, older = await self._change(older.id, take_over)  # first: a process that ends here leaves no alert alone
        _, ended = await self._change(other.id, end)
        return older, [IncidentMerged(incident=ended, into=older)]

    # -- closing ----------------------------------------------------------------------------------------------------

    async def close_unwatched(self, is_watched: Callable[[str], bool]) -> list[Incident]:
        """Close the incidents whose targets were removed from the settings: nothing would ever clear their alerts."""
        closed: list[Incident] = []
        for incident in self.open_ones():
            away = {alert.fingerprint for alert in incident.alerts if not is_watched(alert.fingerprint)}
            self._firing -= away
            if len(away) == len(incident.alerts):
                closed.append(await self.update(incident.id, self._unwatched))
            elif away:
                await self._close_if_calm(incident.id)
        return closed

    def _unwatched(self, incident: Incident) -> Incident:
        if not incident.is_open:
            return incident
        return incident.closed(self._clock.now(), text("incident.outcome.unwatched", target=incident.target))

    def _left_on(self, incident: Incident) -> Incident:
        """Tag an incident closed while alerts of it are firing: these count as new only if they happen again."""
        on = [alert for alert in incident.alerts if alert.fingerprint in self._firing]
        self._leave(incident, on)
        return replace(incident, tags=(*incident.tags, ALERT_IS_ON)) if on else incident

    def _leave(self, incident: Incident, alerts: Iterable[Alert]) -> None:
        self._left.update({alert.fingerprint: (incident.id, alert.at) for alert in alerts})

    async def _is_left_no_more(self, fingerprint: str) -> None:
        """Forget an alert of an incident that was closed by hand: it has cleared, or has happened again."""
        incident_id, _ = self._left.pop(fingerprint, (0, None))
        if not incident_id or any(incident_id == number for number, _ in self._left.values()):
            return
        async with self._lock(incident_id):
            await self._change(
                incident_id, lambda one: replace(one, tags=tuple(tag for tag in one.tags if tag != ALERT_IS_ON))
            )

    async def _close_if_calm(self, incident_id: int) -> Incident | None:
        """Close an incident as recovered if none of its alerts is firing: not during a repair, a flapping one later."""
        incident = self._open.get(incident_id)
        if incident is None or not self._is_calm(incident):
            return None

        def recover(now_it_is: Incident) -> Incident:
            if not now_it_is.is_open or now_it_is.state in BUSY or self._any_firing(now_it_is):
                return now_it_is
            closed = replace(now_it_is, state=IncidentState.RECOVERED, outcome=text("incident.outcome.recovered"))
            return closed.note(self._clock.now(), text("incident.note.recovered"))

        async with self._lock(incident_id):
            before, after = await self._change(incident_id, recover)
        if after.state is IncidentState.RECOVERED and before.is_open:
            log.info("an incident recovered by itself", incident=incident_id)
            await self._bus.publish(IncidentRecovered(incident=after, before=before))
        return after

    def _is_calm(self, incident: Incident) -> bool:
        if incident.state in BUSY:
            return False
        if self._any_firing(incident):
            self._calm_since.pop(incident.id, None)
            return False
        if not incident.is_flapping:
            return True
        now = self._clock.now()
        since = self._calm_since.setdefault(incident.id, now)
        return (now - since).total_seconds() >= self._settings.flap_within_s

    def _any_firing(self, incident: Incident) -> bool:
        return any(alert.fingerprint in self._firing for alert in incident.alerts)

    async def _publish(self, events: Iterable[object]) -> None:
        for event in events:
            await self._bus.publish(event)


def _loudest(one: Severity, other: Severity) -> Severity:
    return max(one, other, key=_LOUDNESS.__getitem__)
