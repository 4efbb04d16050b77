"""Groups alerts into incidents: with the same target's, the root's, or the victims' open incident."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert
from core.incidents.incident import BUSY, Incident
from core.monitoring.topology import Topology
from core.settings import WatchSettings


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """Result of grouping: the incident that an alert joins (as its root if `is_root`), and those merged into it."""

    incident: Incident
    is_root: bool = False
    absorbing: tuple[Incident, ...] = ()


def alert_title(alert: Alert) -> str:
    """Return `stack/service`, a service or a stack alone, or the host, as in `Incident.target` and the topology."""
    if alert.service is None:
        return alert.stack or alert.host
    return f"{alert.stack}/{alert.service}" if alert.stack else alert.service


def place(
    alert: Alert, open_ones: Sequence[Incident], topology: Topology, is_firing: Iterable[str], settings: WatchSettings
) -> Grouping | None:
    """Return the open incident (oldest first given) that a new alert joins; None: it needs one of its own."""
    here = [incident for incident in open_ones if incident.host == alert.host]
    own = next((one for one in here if one.target == alert_title(alert) and _is_akin(alert, one)), None)
    if own is not None:
        return Grouping(incident=own)
    if alert.stack is not None:
        whole = _of_whole(alert, here, settings)
        if whole:
            return Grouping(incident=whole[0], absorbing=tuple(whole[1:]))
    if alert.service is None:
        return None
    firing = frozenset(is_firing)
    root = _of_root(alert, here, topology, firing, settings)
    if root is not None:
        return Grouping(incident=root)
    victims = _of_victims(alert, here, topology, settings)
    if victims:
        return Grouping(incident=victims[0], is_root=True, absorbing=tuple(victims[1:]))
    return None


def _is_akin(alert: Alert, incident: Incident) -> bool:
    """Return whether they may belong together: a failed backup is no part of a failed deployment."""
    apart = [one for one in incident.alerts if alert.kind.traits.stands_apart or one.kind.traits.stands_apart]
    return all(alert.kind == one.kind for one in apart)


def _of_whole(alert: Alert, here: Sequence[Incident], settings: WatchSettings) -> list[Incident]:
    """Return the incidents, oldest first, that a stack's own alert shares with its containers' alerts.

    One deploy, one card: the incidents opened by its containers are merged into one, except those under repair.
    """
    within = timedelta(seconds=settings.group_within_s)
    near = [
        incident
        for incident in here
        if incident.stack == alert.stack and any(abs(alert.at - one.at) <= within for one in incident.alerts)
    ]
    if alert.service is not None:
        return [one for one in near if _is_of_a_deploy(one)][:1]
    if not _has_cause_inside(alert):
        return []
    inside = [one for one in near if one.service is not None]
    is_whole_deploy = alert.kind.traits.sums_up_containers
    return [one for one in inside if one is inside[0] or (is_whole_deploy and one.state not in BUSY)]


def _is_of_a_deploy(incident: Incident) -> bool:
    return any(one.kind.traits.sums_up_containers or _is_for_a_container(one) for one in incident.alerts)


def _has_cause_inside(alert: Alert) -> bool:
    return alert.kind.traits.has_cause_inside or _is_for_a_container(alert)


def _is_for_a_container(alert: Alert) -> bool:
    """Return whether a deployment failed because one of its containers did not become healthy."""
    return alert.kind is AlertKind.DEPLOY_FAILED and alert.facts().get("deploy_error") == "unhealthy_dependency"


def _of_root(
    alert: Alert, here: Sequence[Incident], topology: Topology, firing: frozenset[str], settings: WatchSettings
) -> Incident | None:
    """Return the incident that holds an alert of a service this one depends on."""
    if not can_be_caused(alert):
        return None
    for root in topology.roots(alert_title(alert)):
        for incident in here:
            if any(_explains(other, root, alert, firing, settings) for other in incident.alerts):
                return incident
    return None


def _explains(other: Alert, root: str, alert: Alert, firing: frozenset[str], settings: WatchSettings) -> bool:
    if alert_title(other) != root or not other.kind.traits.can_cause:
        return False
    if other.kind.traits.is_down and other.fingerprint in firing:
        return True
    return abs(alert.at - other.at) <= timedelta(seconds=settings.group_within_s)


def _of_victims(alert: Alert, here: Sequence[Incident], topology: Topology, settings: WatchSettings) -> list[Incident]:
    """Return the incidents of this alert's victims, oldest first, without those under repair."""
    if not alert.kind.traits.can_cause:
        return []
    victims = set(topology.victims(alert_title(alert)))
    within = timedelta(seconds=settings.group_within_s)
    return [
        incident
        for incident in here
        if incident.state not in BUSY
        and incident.target in victims
        and all(can_be_caused(one) for one in incident.alerts)
        and any(abs(alert.at - one.at) <= within for one in incident.alerts)
    ]


def can_be_caused(alert: Alert) -> bool:
    """Return whether a dependency may be the cause; a container killed for memory is its own cause."""
    return alert.kind.traits.can_be_caused and not alert.facts().get("oom_killed")
