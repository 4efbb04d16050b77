"""The time: injected everywhere, so that tests can set it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Time, injected."""

    def now(self) -> datetime:
        """The moment, UTC-aware."""
        ...


class SystemClock:
    """The real time."""

    def now(self) -> datetime:
        """The moment, UTC-aware."""
        return datetime.now(UTC)
