"""Outcomes of a plan's calls."""

from __future__ import annotations

from collections.abc import Sequence

from agent.incident.graph_state import PlanOutcome
from core.actions.calls import CallRecord, CallState
from core.actions.gateway import ActionGateway
from core.text import Text


async def call_records(gateway: ActionGateway, keys: Sequence[str]) -> list[CallRecord]:
    """Return the ledger's records of those keys, without unknown ones."""
    found = [await gateway.ledger.get(key) for key in keys]
    return [record for record in found if record is not None]


def plan_outcome(found: Sequence[CallRecord]) -> PlanOutcome | None:
    """Return the outcome of all calls together; None while one of them may still change.

    Success outweighs refusal: a plan is verified when some of its steps were approved and worked.
    """
    states = [record.state for record in found]
    if any(not state.is_final for state in states):
        return None
    if CallState.UNKNOWN in states:
        return "unknown"
    if CallState.FAILED in states:
        return "failed"
    if CallState.OK in states:
        return "ok"
    if CallState.WITHDRAWN in states:
        return "withdrawn"
    if CallState.EXPIRED in states:
        return "expired"
    by_person = any(record.state is CallState.DENIED and record.approval_id for record in found)
    return "denied" if by_person else "refused"


def first_problem(found: Sequence[CallRecord]) -> Text | None:
    """Return the message of the first call that did not work, or None."""
    for record in found:
        if record.state is not CallState.OK and record.result is not None:
            return record.result.message
    return None
