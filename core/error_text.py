"""What went wrong, for people: in their language where the error has a sentence for it, else as it says itself."""

from __future__ import annotations

from collections.abc import Callable

from core.errors import GuardianError
from core.text import Text, with_values

PROBLEM_LIMIT = 400


def problem_of(error: BaseException, redact: Callable[[str], str], limit: int = PROBLEM_LIMIT) -> Text | str:
    """To be put into a sentence as its `problem`; free of secrets, the English one cut at `limit` characters."""
    if isinstance(error, GuardianError) and error.says is not None:
        return with_values(error.says, redact)
    return redact(str(error))[:limit]


def own_words(error: GuardianError) -> Text | str:
    """The same inside of another error's `says`, where secrets are taken out later."""
    return error.says if error.says is not None else str(error)[:PROBLEM_LIMIT]
