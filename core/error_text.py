"""Turns errors into text for people: in their language if there is a sentence, else the English message."""

from __future__ import annotations

from collections.abc import Callable

from core.errors import GuardianError, InvalidParams, Refused, SystemUnavailable
from core.text import Text, text, with_values

PROBLEM_LIMIT = 400


def problem_of(error: BaseException, redact: Callable[[str], str], limit: int = PROBLEM_LIMIT) -> Text | str:
    """Return an error as the `problem` of a sentence, free of secrets; its English message is cut at `limit`."""
    if isinstance(error, GuardianError) and error.message is not None:
        return with_values(error.message, redact)
    return redact(str(error))[:limit]


def own_words(error: GuardianError) -> Text | str:
    """Return an error's sentence for use inside another error's, which is redacted later."""
    return error.message if error.message is not None else str(error)[:PROBLEM_LIMIT]


def explained(error: Exception) -> Text:
    """Return a whole sentence for the person who asked; an unexpected error is called ours and logged."""
    if isinstance(error, TimeoutError):
        return text("chat.too_slow")
    if not isinstance(error, GuardianError):
        return text("chat.own_failure")
    if isinstance(error, InvalidParams):
        return text("chat.invalid", problem=error.message or error.problem[:PROBLEM_LIMIT])
    if isinstance(error, SystemUnavailable) and error.message is None:
        return text("chat.unavailable", system=error.system, problem=error.problem[:PROBLEM_LIMIT])
    return text("chat.refused" if isinstance(error, Refused) else "chat.failed", problem=own_words(error))
