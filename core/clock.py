"""The clock: injected everywhere, so that tests can set the time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A source of the current time."""

    def now(self) -> datetime:
        """Return the current time, UTC-aware."""
        ...


class SystemClock:
    """The real time."""

    def now(self) -> datetime:
        """Return the current time, UTC-aware."""
        return datetime.now(UTC)
