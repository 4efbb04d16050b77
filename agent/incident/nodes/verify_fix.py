"""Judges the repair by the world, over the window; asks for another look until it has held or failed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from agent.incident.graph_state import IncidentGraphState
from agent.incident.incident_deps import IncidentDeps
from agent.incident.nodes.outcomes import records
from agent.incident.verification import VerificationResult, VerificationState, check, targets, window_s
from agent.runbooks.plans import Plan
from agent.runbooks.runbook import Verify
from core.actions.calls import CallState
from core.incidents.alerts import AlertKind
from core.incidents.incident import Incident, IncidentState
from core.text import text

PLATFORM_KINDS = frozenset(
    {
        *(AlertKind.DEPLOY_FAILED, AlertKind.DEPLOY_CRASHED, AlertKind.DEPLOY_STUCK, AlertKind.QUEUE_BLOCKED),
        *(AlertKind.STATUS_CONTRADICTS, AlertKind.DOMAIN_FAILING, AlertKind.BACKUP_FAILED),
        AlertKind.PLATFORM_UNREACHABLE,
    }
)
"""What only a look at the platform can tell to be over."""


async def verify_fix(state: IncidentGraphState, mind: IncidentDeps) -> IncidentGraphState:
    """One look; `verdict` says whether to wait for the next."""
    incident = await mind.desk.get(state["incident_id"])
    if incident is None or not incident.is_open:
        return {"verdict": "held"}
    acted = await _acted(state, mind)
    await _look_again(incident, mind)
    now = mind.clock.now()
    raw = state.get("plan")
    wanted = Plan.from_json(raw).verify if raw else Verify()
    containers = targets(incident, mind.watch.inventory(), wanted.containers)
    learnt = await mind.start_times.typical(incident.target)
    progress = VerificationState(
        acted_at=acted.at,
        good_since=_moment(state.get("good_since")) if state.get("has_looked") else acted.good_since,
        restarts=state.get("restarts") or {},
        window_s=max(window_s(containers, learnt, mind.settings.verification), wanted.window_s or 0.0),
        containers=wanted.containers,
    )
    seen = check(incident, mind.watch, progress, now, mind.settings.verification)
    if seen.good_since is not None and progress.good_since is None:
        start_s = (seen.good_since - acted.at).total_seconds()
        await mind.start_times.learn(incident.target, start_s)
    await _show(incident, seen, progress, mind)
    pause = timedelta(seconds=min(mind.settings.verification.poll_s, max(progress.window_s / 2, 0.2)))
    return {
        "acted_at": acted.at.isoformat(),
        "verdict": seen.verdict,
        "has_looked": True,
        "good_since": seen.good_since.isoformat() if seen.good_since else None,
        "restarts": dict(seen.restarts),
        "verify_until": (now + pause).isoformat(),
        "reason": seen.says.to_json() if seen.verdict == "failed" else None,
    }


async def await_window(state: IncidentGraphState, mind: IncidentDeps) -> IncidentGraphState:
    """Waits for the moment of the next look."""
    from langgraph.types import interrupt

    interrupt({"until": state["verify_until"]})
    return {}


@dataclass(frozen=True, kw_only=True)
class _Acted:
    """When the plan took effect: what happened before is not its doing."""

    at: datetime
    good_since: datetime | None = None
    """Since when what it began was judged well by whoever followed it; None: nobody did."""


async def _acted(state: IncidentGraphState, mind: IncidentDeps) -> _Acted:
    """The end of its last call; of one that was followed to a good verdict, the moment since when all was well.

    That verdict has watched the containers since then, so that the same time is not waited for twice: the window is
    counted from there, and every look of ours judges all that has happened since.
    """
    found = await records(mind.door, state.get("call_keys", []))
    ended = [(record.finished_at, record) for record in found if record.finished_at is not None]
    if not ended:
        return _Acted(at=datetime.fromisoformat(state["acted_at"]))
    at, last = max(ended, key=lambda one: one[0])
    raw = last.result.data.get("good_since") if last.result is not None and last.state is CallState.OK else None
    good_since = _moment(raw) if isinstance(raw, str) else None
    return _Acted(at=min(at, good_since) if good_since else at, good_since=good_since)


async def _look_again(incident: Incident, mind: IncidentDeps) -> None:
    """At its host, and at the platform where the trouble was seen there."""
    hosts = {incident.host}
    if any(alert.kind in PLATFORM_KINDS for alert in incident.alerts):
        hosts |= {one.name for one in mind.watch.inventory().hosts if one.is_platform}
    await asyncio.gather(*(mind.watch.refresh(host) for host in sorted(hosts)))


async def _show(incident: Incident, seen: VerificationResult, progress: VerificationState, mind: IncidentDeps) -> None:
    ends = (seen.good_since or mind.clock.now()) + timedelta(seconds=progress.window_s)
    is_news = incident.state is not IncidentState.VERIFYING or incident.verify_until is None
    moved = incident.verify_until is not None and abs((incident.verify_until - ends).total_seconds()) > 1.0
    if seen.verdict != "pending" or not (is_news or moved):
        return
    now = mind.clock.now()

    def verifying(one: Incident) -> Incident:
        if not one.is_open:
            return one
        noted = one.note(now, text("agent.verifies", window=round(progress.window_s))) if is_news else one
        return replace(noted, state=IncidentState.VERIFYING, verify_until=ends)

    await mind.desk.update(incident.id, verifying)


def _moment(raw: str | None) -> datetime | None:
    return datetime.fromisoformat(raw) if raw else None
