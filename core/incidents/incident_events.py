"""What the desk tells over the bus. An event carries the incident as it was at that moment; ask the desk for it now."""

from __future__ import annotations

from dataclasses import dataclass

from core.incidents.alerts import Alert, Silence
from core.incidents.incident import Incident
from core.text import Text


@dataclass(frozen=True, kw_only=True)
class IncidentOpened:
    """A new incident; a flapping one (`incident.is_flapping`) wants a quiet card."""

    incident: Incident


@dataclass(frozen=True, kw_only=True)
class IncidentChanged:
    """An incident is not what it was."""

    incident: Incident
    before: Incident
    pages: Text | None = None
    """What a person must hear of now, in one line; None: the card that changes is enough."""


@dataclass(frozen=True, kw_only=True)
class AlertRepeated:
    """An alert of an open incident fired again."""

    incident: Incident
    alert: Alert


@dataclass(frozen=True, kw_only=True)
class AlertJoined:
    """Another alert belongs to an open incident: a victim's, or (`is_root`) the root's, found later."""

    incident: Incident
    alert: Alert
    is_root: bool


@dataclass(frozen=True, kw_only=True)
class IncidentMerged:
    """`incident` belongs to the older `into`: its questions are to be withdrawn, its run is over."""

    incident: Incident
    into: Incident


@dataclass(frozen=True, kw_only=True)
class IncidentRecovered:
    """All its alerts cleared by themselves: its questions are to be withdrawn, its run is over."""

    incident: Incident
    before: Incident


@dataclass(frozen=True, kw_only=True)
class AlertHeldBack:
    """A silence, or a deploy of its stack, keeps an alert from becoming an incident for now."""

    alert: Alert
    silence: Silence | None
    """None: a deploy of its stack is under way."""
