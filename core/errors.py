"""The tree of errors: each names the thing, what was expected, and what to do next.

GuardianError
├── SettingsError            a setting, file or token is wrong
├── RunbookError             a runbook file is wrong
├── UnknownAction            no such action in the catalogue
├── InvalidParams            an action's parameters do not fit
├── UnknownTarget            no service or stack of that name
├── Refused                  policy, role or state says no
├── SystemUnavailable        an outside system does not answer
│   └── TimeLimitExceeded    … within its time
├── NotFound                 the outside system answered: there is no such thing
├── ActionFailed             the outside system refused or failed what was asked of it
└── ModelFailed              the model's answer cannot be used
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from enum import StrEnum

from core.text import Text, text


class GuardianError(Exception):
    """An error that this program can explain: in English as its message, and in people's language by `says`."""

    message: Text | None = None
    """The same sentence for people; None: there is only the English message."""

    def __init__(self, *words: object, message: Text | None = None) -> None:
        super().__init__(*words)
        if message is not None:
            self.message = message


class SettingsError(GuardianError):
    """A setting is wrong; the message names it, the problem with its value and the next step."""


class RunbookError(GuardianError):
    """A runbook is wrong; the message names file and line, with a suggestion."""


class UnknownAction(GuardianError):
    """The catalogue holds no action of that name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.suggestion = closest(name, known)
        hint = f"; did you mean {self.suggestion!r}?" if self.suggestion else ""
        super().__init__(f"there is no action {name!r}{hint}", message=_unknown("action", name, self.suggestion))


class InvalidParams(GuardianError):
    """The parameters of an action do not fit its schema."""

    def __init__(self, action: str, problem: str, *, message: Text | None = None) -> None:
        self.action = action
        self.problem = problem
        super().__init__(f"{action!r} cannot take these parameters: {problem}", message=message)


class UnknownTarget(GuardianError):
    """No stack, service or container has that name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.suggestion = closest(name, known)
        hint = f"; did you mean {self.suggestion!r}?" if self.suggestion else ""
        super().__init__(
            f"there is no stack or service {name!r}{hint}", message=_unknown("target", name, self.suggestion)
        )


class Refused(GuardianError):
    """The policy, a role or a state does not allow it; the message tells which."""


def plain_reason(error: BaseException) -> str:
    """Return the operating system's message for a failed connection, without the client library's wrapping."""
    inner = getattr(error, "os_error", error)
    return getattr(inner, "strerror", None) or str(error) or type(error).__name__


class SystemUnavailable(GuardianError):
    """An outside system cannot be reached or does not respond."""

    def __init__(self, system: str, problem: str, *, message: Text | None = None) -> None:
        self.system = system
        self.problem = problem
        super().__init__(f"{system} is unavailable: {problem}", message=message)


class TimeLimitExceeded(SystemUnavailable):
    """An outside system did not respond in time; it is unknown whether it acted."""


class NotFound(GuardianError):
    """The outside system answered that the thing does not exist."""


class ActionFailed(GuardianError):
    """The outside system answered, and refused or failed the request."""


class ModelFailure(StrEnum):
    """Reason why the model gave no answer; `model.failed.<value>` is its sentence for people."""

    UNREACHABLE = "unreachable"
    """Nothing listens, the connection broke, or the answer was cut off."""
    BUSY = "busy"
    """The server refused for load, or no slot became free in time."""
    QUEUE_FULL = "queue_full"
    """Our own queue is full."""
    BREAKER_OPEN = "breaker_open"
    """Not tried: it failed several times in a row and is given a pause."""
    MISSING = "missing"
    """The server does not have that model."""
    MALFORMED = "malformed"
    """It answered, but not in the requested form."""
    EMPTY = "empty"
    """It answered nothing."""
    TOO_LONG = "too_long"
    """The question does not fit, or thinking used up the whole answer."""
    TIMED_OUT = "timed_out"
    """It did not finish in time."""
    SERVER_ERROR = "server_error"
    """The server itself reported a fault."""


class ModelFailed(GuardianError):
    """The model is unreachable or its answer cannot be used; rules work without it."""

    def __init__(self, kind: ModelFailure, problem: str, *, model: str = "", tokens: int = 0) -> None:
        self.kind = kind
        self.model = model
        self.tokens = tokens
        """Tokens spent on the failed tries; they count against the budget."""
        super().__init__(problem)


def _unknown(what: str, name: str, suggestion: str | None) -> Text:
    if suggestion is None:
        return text(f"error.unknown_{what}", name=name)
    return text(f"error.unknown_{what}_near", name=name, suggestion=suggestion)


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like `name`, or None if none is close."""
    found = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else None
