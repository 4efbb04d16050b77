"""Errors as people read them: in their language where there is a sentence, else as the error says itself."""

from __future__ import annotations

from collections.abc import Callable

from core.errors import GuardianError, InvalidParams, Refused, SystemUnavailable
from core.text import Text, text, with_values

PROBLEM_LIMIT = 400


def problem_of(error: BaseException, redact: Callable[[str], str], limit: int = PROBLEM_LIMIT) -> Text | str:
    """To be put into a sentence as its `problem`; free of secrets, the English one cut at `limit` characters."""
    if isinstance(error, GuardianError) and error.says is not None:
        return with_values(error.says, redact)
    return redact(str(error))[:limit]


def own_words(error: GuardianError) -> Text | str:
    """The same inside of another error's `says`, where secrets are taken out later."""
    return error.says if error.says is not None else str(error)[:PROBLEM_LIMIT]


def explained(error: Exception) -> Text:
    """A whole sentence for whoever asked; an error that is not ours is called our failure, its details are logged."""
    if isinstance(error, TimeoutError):
        return text("chat.too_slow")
    if not isinstance(error, GuardianError):
        return text("chat.own_failure")
    if isinstance(error, InvalidParams):
        return text("chat.invalid", problem=error.says or error.problem[:PROBLEM_LIMIT])
    if isinstance(error, SystemUnavailable) and error.says is None:
        return text("chat.unavailable", system=error.system, problem=error.problem[:PROBLEM_LIMIT])
    return text("chat.refused" if isinstance(error, Refused) else "chat.failed", problem=own_words(error))
