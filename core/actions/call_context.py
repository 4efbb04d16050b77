"""Context of the running call, for actions whose effect must be found again and told apart from other people's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime

from core.actions.policy import Actor


@dataclass(frozen=True, kw_only=True)
class CurrentCall:
    """The call that is being executed."""

    key: str
    actor: Actor
    """The requester."""
    approved_by: str | None = None
    incident_id: int | None = None
    undo_of: str | None = None
    cause: str | None = None
    started_at: datetime | None = None


_calling: ContextVar[CurrentCall | None] = ContextVar("calling", default=None)


def current_call() -> CurrentCall | None:
    """Return the call that the running action belongs to; None outside one (a READ run directly)."""
    return _calling.get()


@contextmanager
def as_current_call(call: CurrentCall) -> Iterator[None]:
    """Make everything awaited inside belong to this call."""
    token = _calling.set(call)
    try:
        yield
    finally:
        _calling.reset(token)
