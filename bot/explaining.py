"""Says in a sentence what went wrong, for whoever asked."""

from __future__ import annotations

from core.errors import GuardianError, InvalidParams, Refused, SystemUnavailable
from core.wording import Text, text

PROBLEM_LIMIT = 300


def explained(error: Exception) -> Text:
    """An error, for people; one that is not ours is only called a failure of ours, its details are in the log."""
    if isinstance(error, GuardianError) and error.says is not None:
        return text("chat.failed", problem=error.says)
    if isinstance(error, SystemUnavailable):
        return text("chat.unavailable", system=error.system, problem=error.problem[:PROBLEM_LIMIT])
    if isinstance(error, InvalidParams):
        return text("chat.invalid", problem=error.problem[:PROBLEM_LIMIT])
    if isinstance(error, Refused):
        return text("chat.refused", problem=str(error)[:PROBLEM_LIMIT])
    if isinstance(error, GuardianError):
        return text("chat.failed", problem=str(error)[:PROBLEM_LIMIT])
    return text("chat.own_failure")
