"""Judges the repair by the world, over the window; asks for another look until it has held or failed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from agent.nodes.outcomes import records
from agent.plans import Plan
from agent.ports import Mind
from agent.runbook_models import Verify
from agent.state import DokployAgentState
from agent.verification import Check, Progress, check, targets, window_s
from core.incidents import Incident, IncidentState
from core.wording import text


async def verify_fix(state: DokployAgentState, mind: Mind) -> DokployAgentState:
    """One look; `verdict` says whether to wait for the next."""
    incident = await mind.desk.get(state["incident_id"])
    if incident is None or not incident.is_open:
        return {"verdict": "held"}
    acted_at = await _acted_at(state, mind)
    await mind.watch.refresh(incident.host)
    now = mind.clock.now()
    raw = state.get("plan")
    wanted = Plan.from_json(raw).verify if raw else Verify()
    containers = targets(incident, mind.watch.inventory(), wanted.containers)
    learnt = await mind.start_times.typical(incident.target)
    progress = Progress(
        acted_at=acted_at,
        good_since=_moment(state.get("good_since")),
        restarts=state.get("restarts") or {},
        window_s=max(window_s(containers, learnt, mind.settings.verification), wanted.window_s or 0.0),
        containers=wanted.containers,
    )
    seen = check(incident, mind.watch, progress, now, mind.settings.verification)
    if seen.good_since is not None and progress.good_since is None:
        start_s = (seen.good_since - acted_at).total_seconds()
        await mind.start_times.learn(incident.target, start_s)
    await _show(incident, seen, progress, mind)
    pause = timedelta(seconds=min(mind.settings.verification.poll_s, max(progress.window_s / 2, 0.2)))
    return {
        "acted_at": acted_at.isoformat(),
        "verdict": seen.verdict,
        "good_since": seen.good_since.isoformat() if seen.good_since else None,
        "restarts": dict(seen.restarts),
        "verify_until": (now + pause).isoformat(),
        "reason": seen.says.to_json() if seen.verdict == "failed" else None,
    }


async def await_window(state: DokployAgentState, mind: Mind) -> DokployAgentState:
    """Waits for the moment of the next look."""
    from langgraph.types import interrupt

    interrupt({"until": state["verify_until"]})
    return {}


async def _acted_at(state: DokployAgentState, mind: Mind) -> datetime:
    """When the last call of the plan ended: what happened before is not the repair's doing."""
    ended = [record.finished_at for record in await records(mind.door, state.get("call_keys", []))]
    known = [moment for moment in ended if moment is not None]
    return max(known) if known else datetime.fromisoformat(state["acted_at"])


async def _show(incident: Incident, seen: Check, progress: Progress, mind: Mind) -> None:
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
