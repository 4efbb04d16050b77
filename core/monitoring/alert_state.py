"""Alerts that are firing on a host: raised once, repeated when they happen again, cleared after a calm time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert, Evidence, Firing, Severity
from core.monitoring.recovery import back_off_s, is_wanted_down, not_recovered, targets
from core.monitoring.snapshot import Detector, View
from core.text import Text, text

log = structlog.get_logger(__name__)

SAME_MOMENT = timedelta(seconds=1)
"""Difference allowed between inspect and event for the time of the same exit."""
RESOURCE_CALM_S = 60.0
"""A single sample under the threshold does not end the alert."""
GONE_CALM_S = 60.0
"""A container that is gone may be in the middle of a recreation."""
BACK_OFF_MARGIN_S = 10.0


@dataclass(frozen=True, kw_only=True)
class AlertChange:
    """An alert to raise, or, with `is_over`, to clear."""

    alert: Alert
    is_over: bool = False


@dataclass
class _ActiveAlert:
    firing: Firing
    calm_since: datetime | None = None


class AlertState:
    """Compares the detectors' findings with the firing alerts. Takes all times from the views.

    The alerts of a failing detector stay firing, and an alert of its own reports the failure.
    """

    def __init__(self, detectors: Sequence[Detector], *, settle_s: float) -> None:
        self._detectors = tuple(detectors)
        self.raises = frozenset({AlertKind.DETECTOR_FAILED, *(one.raises for one in detectors)})
        """Kinds of alerts that it can raise."""
        self._event_kinds = frozenset(one.raises for one in detectors if one.raises.traits.detector == "event")
        self._settle_s = settle_s
        self._on: dict[str, _ActiveAlert] = {}
        self._last_at: dict[str, datetime] = {}
        self._said: frozenset[str] = frozenset()
        self._broken: dict[Detector, datetime] = {}

    @property
    def broken_detectors(self) -> tuple[str, ...]:
        """Names of the detectors that failed when they last ran."""
        return tuple(sorted(one.name for one in self._broken))

    def firing(self) -> tuple[Firing, ...]:
        """Return the alerts that are firing."""
        return tuple(on.firing for on in self._on.values())

    def is_firing(self, fingerprint: str) -> bool:
        """Return whether it is firing."""
        return fingerprint in self._on

    def recurred(self, fingerprint: str, since: datetime) -> bool:
        """Return whether it occurred after `since`."""
        last = self._last_at.get(fingerprint)
        return last is not None and last > since

    def last_seen(self, fingerprint: str) -> datetime | None:
        """Return the time of its last occurrence; None: it was never seen."""
        return self._last_at.get(fingerprint)

    def adopt(self, alert: Alert) -> None:
        """Adopt an alert that was firing when the last run ended."""
        self._on[alert.fingerprint] = _ActiveAlert(firing=Firing(alert=alert, since=alert.at, last=alert.at))
        self._last_at[alert.fingerprint] = alert.at

    def take(self, view: View) -> list[AlertChange]:
        """Return the alerts that are new, repeated, better known, or over in this view."""
        is_blind = view.now.unreachable_since is not None
        said = self._newest(view, is_blind=is_blind)
        self._said = frozenset(said)
        raised = [AlertChange(alert=alert) for alert in said.values() if self._is_news(alert, view.now.at)]
        return [*raised, *self._over(view, said, is_blind=is_blind)]

    def why_not_quiet(self, fingerprint: str, view: View, since: datetime, restarted: Iterable[str]) -> Text | None:
        """Return the reason why an alert is not over, by its detector's kind; None: it is over."""
        kind = fingerprint.partition(":")[0]
        if kind in self._unseen_kinds():
            return text("watch.quiet.detector_failed")
        if kind not in self._event_kinds:
            return text("watch.quiet.fires") if fingerprint in self._said else None
        if self.recurred(fingerprint, since):
            return text("watch.quiet.again")
        on = self._on.get(fingerprint)
        alert = on.firing.alert if on else alert_like(fingerprint, view.now.at)
        return not_recovered(alert, view.now, since, restarted)

    def _newest(self, view: View, *, is_blind: bool) -> dict[str, Alert]:
        """Run the detectors and return the newest alert of each fingerprint; of a blind host only that it is blind."""
        said: dict[str, Alert] = {}
        for detector in self._detectors:
            if is_blind and not detector.raises.traits.is_unreachable:
                continue
            for alert in self._ask(detector, view):
                known = said.get(alert.fingerprint)
                if known is None or alert.at > known.at:
                    said[alert.fingerprint] = alert
        if self._broken:
            broken = _broken_alert(view.now.host.name, self.broken_detectors, min(self._broken.values()))
            said[broken.fingerprint] = broken
        return said

    def _ask(self, detector: Detector, view: View) -> list[Alert]:
        """Run a detector, up to where it fails; it is logged once when it fails and once when it works again."""
        said: list[Alert] = []
        try:
            said.extend(detector(view))
        except Exception as error:  # it reads what others wrote: the other detectors go on, whatever it meets
            if detector not in self._broken:
                log.exception("a detector failed", detector=detector.name, problem=repr(error))
                self._broken[detector] = view.now.at
        else:
            if self._broken.pop(detector, None) is not None:
                log.warning("a detector works again", detector=detector.name)
        return said

    def _unseen_kinds(self) -> frozenset[AlertKind]:
        return frozenset(one.raises for one in self._broken)

    def _is_news(self, alert: Alert, now: datetime) -> bool:
        """Return whether to raise it, and remember it as firing."""
        on = self._on.get(alert.fingerprint)
        last = self._last_at.get(alert.fingerprint)
        is_event = alert.detector == "event"
        if on is None:
            if is_event and last is not None and alert.at - last <= SAME_MOMENT:
                return False
            self._on[alert.fingerprint] = _ActiveAlert(firing=Firing(alert=alert, since=now, last=alert.at))
            self._last_at[alert.fingerprint] = alert.at
            return True
        if not is_event and not alert.kind.traits.repeats:
            return False
        happened_again = alert.at - on.firing.last > SAME_MOMENT
        is_better_known = not happened_again and alert.message.key != on.firing.alert.message.key
        if happened_again:
            on.firing = replace(on.firing, alert=alert, last=alert.at, count=on.firing.count + 1)
            on.calm_since = None
            self._last_at[alert.fingerprint] = alert.at
        elif is_better_known:
            on.firing = replace(on.firing, alert=replace(alert, at=on.firing.alert.at))
        return happened_again or is_better_known

    def _over(self, view: View, said: dict[str, Alert], *, is_blind: bool) -> Iterator[AlertChange]:
        unseen = self._unseen_kinds()
        for fingerprint, on in tuple(self._on.items()):
            alert = on.firing.alert
            if alert.kind in unseen or (is_blind and not alert.kind.traits.is_unreachable):
                on.calm_since = None
                continue
            calm_s = self._calm_s(alert, view, is_said=fingerprint in said, last=on.firing.last)
            if calm_s is None:
                on.calm_since = None
                continue
            on.calm_since = on.calm_since or view.now.at
            if (view.now.at - on.calm_since).total_seconds() >= calm_s:
                del self._on[fingerprint]
                yield AlertChange(alert=alert, is_over=True)

    def _calm_s(self, alert: Alert, view: View, *, is_said: bool, last: datetime) -> float | None:
        """Return the time it must stay as calm as it is now to be over; None: it is not calm."""
        if alert.detector == "state":
            return None if is_said else (RESOURCE_CALM_S if alert.kind.traits.is_resource else 0.0)
        if is_wanted_down(alert, view.now, last):
            return 0.0
        found = targets(alert, view.now)
        if not found:
            return GONE_CALM_S
        if not_recovered(alert, view.now, last) is not None:
            return None
        rest_s = back_off_s(found) + BACK_OFF_MARGIN_S if alert.kind is AlertKind.CRASH_LOOP else 0.0
        return max(self._settle_s, rest_s)


def alert_like(fingerprint: str, at: datetime) -> Alert:
    """Return an alert with the target of a fingerprint, to check if that target has recovered."""
    kind, _, target = fingerprint.partition(":")
    host, stack, service = target.split("/", 2)
    return Alert(
        kind=AlertKind(kind),
        severity=Severity.INFO,
        host=host,
        stack=None if stack == "-" else stack,
        service=None if service == "-" else service,
        at=at,
        message=text(f"runbooks.event.{kind}"),
    )


def _broken_alert(host: str, names: tuple[str, ...], since: datetime) -> Alert:
    return Alert(
        kind=AlertKind.DETECTOR_FAILED,
        severity=Severity.WARNING,
        host=host,
        at=since,
        message=text("alert.detector_failed", host=host, names=", ".join(names)),
        evidence=(Evidence(name="broken_detectors", value=list(names), at=since, source="log"),),
    )
