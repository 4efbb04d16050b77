"""Asks the world whether a call that was cut off took effect, for a bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

import structlog

from core.actions.calls import CallRecord
from core.actions.catalog import Action, Outcome, Params
from core.errors import GuardianError

LOOKS = (0.0, 0.05, 0.15, 0.4, 1.0)
"""When the world is asked: shares of the time for it."""
_OF_UNDO = {Outcome.OK: Outcome.FAILED, Outcome.FAILED: Outcome.OK}
"""A change that is still there was not undone."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class CallLimits:
    """How long a call may wait for what is not its action. Seconds."""

    lock_s: float = 60.0
    """For another call on the same target."""
    settle_s: float = 20.0
    """For the world to show whether a call that was cut off took effect: a restart needs its grace period."""
    answer_s: float = 10.0
    """For each of its answers. The target stays locked for both together at most: far less than `lock_s`."""
    records_s: float = 1.0
    """Before the next look, while the records are away."""


async def took_effect(record: CallRecord, action: Action, params: Params, limits: CallLimits) -> Outcome:
    """Whether a started call took effect, by what the world shows last; no answer is no knowledge.

    The target stays locked meanwhile, or another call would run beside one that may still be at work.
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
        log.warning("the world did not answer", action=action.name, error=str(error))
        return Outcome.UNKNOWN
