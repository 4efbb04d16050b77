"""Which call is being carried out: for actions whose effect must be found again, and told from everybody else's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime

from core.actions.policy import Actor


@dataclass(frozen=True, kw_only=True)
class CurrentCall:
    """The call under way."""

    key: str
    actor: Actor
    """Who wished it."""
    approved_by: str | None = None
    incident_id: int | None = None
    undo_of: str | None = None
    cause: str | None = None
    started_at: datetime | None = None


_calling: ContextVar[CurrentCall | None] = ContextVar("calling", default=None)


def current_call() -> CurrentCall | None:
    """The call that the running action belongs to; None outside one (a READ asked for directly)."""
    return _calling.get()


@contextmanager
def as_current_call(call: CurrentCall) -> Iterator[None]:
    """Everything awaited inside belongs to this call."""
    token = _calling.set(call)
    try:
        yield
    finally:
        _calling.reset(token)
