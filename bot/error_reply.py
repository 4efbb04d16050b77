"""Says in a sentence what went wrong, for whoever asked."""

from __future__ import annotations

from core.errors import GuardianError, InvalidParams, Refused, SystemUnavailable
from core.text import Text, text

PROBLEM_LIMIT = 300


def error_reply(error: Exception) -> Text:
    """An error, for people; one that is not ours is only called a failure of ours, its details are in the log."""
    if isinstance(error, TimeoutError):
        return text("chat.too_slow")
    if not isinstance(error, GuardianError):
        return text("chat.own_failure")
    problem = error.says or str(error)[:PROBLEM_LIMIT]
    if isinstance(error, SystemUnavailable) and error.says is None:
        return text("chat.unavailable", system=error.system, problem=error.problem[:PROBLEM_LIMIT])
    if isinstance(error, InvalidParams):
        return text("chat.invalid", problem=error.says or error.problem[:PROBLEM_LIMIT])
    return text("chat.refused" if isinstance(error, Refused) else "chat.failed", problem=problem)
