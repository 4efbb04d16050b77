"""Events of the tracker on the bus. Each carries the incident as it was at that moment; ask the tracker for it now."""

from __future__ import annotations

from dataclasses import dataclass

from core.incidents.alerts import Alert, Silence
from core.incidents.incident import Incident
from core.text import Text


@dataclass(frozen=True, kw_only=True)
class IncidentOpened:
    """A new incident was opened; a flapping one (`incident.is_flapping`) gets a quiet card."""

    incident: Incident


@dataclass(frozen=True, kw_only=True)
class IncidentChanged:
    """An incident has changed."""

    incident: Incident
    before: Incident
    pages: Text | None = None
    """One sentence that a person must hear now; None: the updated card is enough."""


@dataclass(frozen=True, kw_only=True)
class AlertRepeated:
    """An alert of an open incident fired again."""

    incident: Incident
    alert: Alert


@dataclass(frozen=True, kw_only=True)
class AlertJoined:
    """Another alert was added to an open incident: a victim's, or (`is_root`) the root's, found later."""

    incident: Incident
    alert: Alert
    is_root: bool


@dataclass(frozen=True, kw_only=True)
class IncidentMerged:
    """`incident` was merged into the older `into`: its approvals are to be withdrawn, its run is over."""

    incident: Incident
    into: Incident


@dataclass(frozen=True, kw_only=True)
class IncidentRecovered:
    """All its alerts cleared by themselves: its approvals are to be withdrawn, its run is over."""

    incident: Incident
    before: Incident


@dataclass(frozen=True, kw_only=True)
class AlertHeldBack:
    """A silence, or a deploy of its stack, keeps an alert from becoming an incident for now."""

    alert: Alert
    silence: Silence | None
    """None: a deploy of its stack is under way."""
