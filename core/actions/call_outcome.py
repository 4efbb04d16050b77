"""Asks the outside system, for a limited time, if a call that was cut off took effect."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

import structlog

from core.actions.calls import CallRecord
from core.actions.catalog import Action, Outcome, Params
from core.errors import GuardianError

LOOKS = (0.0, 0.05, 0.15, 0.4, 1.0)
"""Moments at which the outside system is asked, as shares of `CallLimits.settle_s`."""
_OF_UNDO = {Outcome.OK: Outcome.FAILED, Outcome.FAILED: Outcome.OK}
"""Outcome of an undo: a change that is still there was not undone."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class CallLimits:
    """Time limits of a call besides its action's own. Seconds."""

    lock_s: float = 60.0
    """Wait for another call on the same target."""
    settle_s: float = 20.0
    """Wait for the outside system to show if a call that was cut off took effect: a restart needs its grace period."""
    answer_s: float = 10.0
    """Wait for each of its answers. Both together keep the target locked, so they must stay far below `lock_s`."""
    records_s: float = 1.0
    """Pause before the next try while the records are unavailable."""


async def took_effect(record: CallRecord, action: Action, params: Params, limits: CallLimits) -> Outcome:
    """Find out if a started call took effect, by the last answer of the outside system; UNKNOWN without an answer.

    The target stays locked meanwhile, so that no other call runs beside one that may still be at work.
    """
    if action.outcome is None or record.started_at is None:
        return Outcome.UNKNOWN
    clock = asyncio.get_running_loop().time
    began, found = clock(), Outcome.UNKNOWN
    for share in LOOKS:
        await asyncio.sleep(began + share * limits.settle_s - clock())
        found = await _shown(action, action.outcome(params, record.started_at), limits)
        if record.call.undo_of is not None:
            found = _OF_UNDO.get(found, found)
        if found is Outcome.OK or clock() - began >= limits.settle_s:
            break
    return found


async def _shown(action: Action, look: Awaitable[Outcome], limits: CallLimits) -> Outcome:
    try:
        async with asyncio.timeout(min(limits.answer_s, action.time_limit_s)):
            return await look
    except (GuardianError, TimeoutError) as error:
        log.warning("the outside system did not answer", action=action.name, error=str(error))
        return Outcome.UNKNOWN
