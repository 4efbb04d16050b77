"""Watches a repair until it has held or failed; keeps its progress in the incident's record."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from agent.incident.graph_state import RepairCheck
from agent.incident.incident_deps import IncidentDeps
from agent.incident.nodes.outcomes import call_records
from agent.incident.verification import (
    VerificationResult,
    VerificationState,
    check_repair,
    containers_to_verify,
    verification_window_s,
)
from core.actions.calls import CallState
from core.incidents.incident import WITH_A_PERSON, Incident, IncidentState, Verification
from core.text import text

LEAST_PAUSE_S = 0.2
NOTABLE_SHIFT_S = 1.0
"""A smaller shift of the window's end is not worth a change of the card."""


class RepairWatch:
    """One repair under observation; a new instance resumes from the incident's record."""

    def __init__(self, incident_id: int, repair: RepairCheck, deps: IncidentDeps) -> None:
        self._incident_id = incident_id
        self._repair = repair
        self._deps = deps
        self._acted: Verification | None = None
        self._typical_start_s: float | None = None
        self.next_look_at = deps.clock.now()

    async def look(self) -> VerificationResult | None:
        """Look once; returns None when the incident is already over."""
        incident = await self._deps.tracker.get(self._incident_id)
        if incident is None or not incident.is_open:
            return None
        if self._acted is None:
            self._acted = await plan_effect(self._repair, self._deps)
            self._typical_start_s = await self._deps.start_times.typical(incident.target)
        await _refresh(incident, self._deps)
        now = self._deps.clock.now()
        progress = self._progress(incident, self._acted)
        seen = check_repair(incident, self._deps.watch, progress, now, self._deps.settings.verification)
        await self._keep(incident, seen, progress)
        self.next_look_at = now + self._pause(progress)
        return seen

    def _progress(self, incident: Incident, acted: Verification) -> VerificationState:
        settings = self._deps.settings.verification
        further = tuple(self._repair["containers"])
        containers = containers_to_verify(incident, self._deps.watch.inventory(), further)
        known = incident.verification
        reached = known if known is not None and known.acted_at == acted.acted_at else acted
        return VerificationState(
            acted_at=acted.acted_at,
            good_since=reached.good_since,
            restarts=reached.restarts,
            window_s=max(verification_window_s(containers, self._typical_start_s, settings), self._repair["window_s"]),
            containers=further,
        )

    def _pause(self, progress: VerificationState) -> timedelta:
        poll_s = self._deps.settings.verification.poll_s
        return timedelta(seconds=min(poll_s, max(progress.window_s / 2, LEAST_PAUSE_S)))

    async def _keep(self, incident: Incident, seen: VerificationResult, progress: VerificationState) -> None:
        """Record and show the progress when it has changed."""
        if seen.good_since is not None and progress.good_since is None:
            start_s = (seen.good_since - progress.acted_at).total_seconds()
            await self._deps.start_times.learn(incident.target, start_s)
        if seen.verdict != "pending":
            return
        reached = Verification(acted_at=progress.acted_at, good_since=seen.good_since, restarts=dict(seen.restarts))
        now = self._deps.clock.now()
        ends = (seen.good_since or now) + timedelta(seconds=progress.window_s)
        is_first = incident.verify_until is None
        has_moved = (
            incident.verify_until is not None and abs((incident.verify_until - ends).total_seconds()) > NOTABLE_SHIFT_S
        )
        if not (is_first or has_moved or incident.verification != reached):
            return
        message = text("agent.verifies", window=round(progress.window_s))

        def verifying(one: Incident) -> Incident:
            if not one.is_open:
                return one
            noted = one.note(now, message) if is_first else one
            until = ends if is_first or has_moved else one.verify_until
            state = one.state if one.state in WITH_A_PERSON else IncidentState.VERIFYING
            return replace(noted, state=state, verify_until=until, verification=reached)

        await self._deps.tracker.update(incident.id, verifying)


async def plan_effect(repair: RepairCheck, deps: IncidentDeps) -> Verification:
    """Return the moment at which the plan took effect: the end of its last call.

    For a call followed to a good verdict, the moment from which all was well: that verdict has watched the
    containers since then, and the same time is not waited for twice. The window starts there, and every
    look judges all that has happened since.
    """
    found = await call_records(deps.gateway, repair["calls"])
    ended = [(record.finished_at, record) for record in found if record.finished_at is not None]
    if not ended:
        return Verification(acted_at=datetime.fromisoformat(repair["submitted_at"]))
    at, last = max(ended, key=lambda one: one[0])
    raw = last.result.data.get("good_since") if last.result is not None and last.state is CallState.OK else None
    good_since = datetime.fromisoformat(raw) if isinstance(raw, str) else None
    return Verification(acted_at=min(at, good_since) if good_since else at, good_since=good_since)


async def _refresh(incident: Incident, deps: IncidentDeps) -> None:
    """Refresh its host, and the platform if the trouble was seen there."""
    hosts = {incident.host}
    if any(alert.kind.traits.is_seen_on_platform for alert in incident.alerts):
        hosts |= {one.name for one in deps.watch.inventory().hosts if one.is_platform}
    await asyncio.gather(*(deps.watch.refresh(host) for host in sorted(hosts)))
