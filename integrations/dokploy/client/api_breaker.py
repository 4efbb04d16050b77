"""Leaves a Dokploy alone that failed several times in a row, then lets one request try it; says so once."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from core.errors import SystemUnavailable
from core.text import Text, text

log = structlog.get_logger(__name__)


class BreakerOpen(SystemUnavailable):
    """Not tried: it failed several times in a row and is left alone for a moment."""


class CircuitBreaker:
    """Closed: all pass. Open: none, for a rest. Half open: one; its fate decides."""

    def __init__(self, url: str, *, failures: int, rest_s: float, monotonic: Callable[[], float]) -> None:
        self._url = url
        self._limit = failures
        self._rest_s = rest_s
        self._monotonic = monotonic
        self._in_a_row = 0
        self._problem = ""
        self._says: Text | None = None
        self._closed_again_at: float | None = None
        self._is_probing = False

    @property
    def is_open(self) -> bool:
        """Whether a request would be refused now."""
        if self._closed_again_at is None:
            return False
        return self._is_probing or self._monotonic() < self._closed_again_at

    def enter(self) -> None:
        """Begin a request, which must end in `succeeded`, `failed` or `abandoned`; raises BreakerOpen."""
        if self.is_open:
            raise BreakerOpen(
                "Dokploy",
                f"it failed {self._in_a_row} times in a row and is left alone for {self._rest_s:g} s; "
                f"the last time: {self._problem}",
                says=text(
                    "dokploy_error.resting", problem=self._says or "", count=self._in_a_row, seconds=self._rest_s
                ),
            )
        self._is_probing = self._closed_again_at is not None

    def succeeded(self) -> None:
        """It answered, be it with an error of its own."""
        if self._closed_again_at is not None:
            log.info("Dokploy is back", action="dokploy_back", url=self._url)
        self._in_a_row = 0
        self._closed_again_at = None
        self._is_probing = False

    def failed(self, problem: str, says: Text) -> None:
        """It could not be reached, or what stands before it could not reach it."""
        self._in_a_row += 1
        self._problem, self._says = problem, says
        self._is_probing = False
        if self._in_a_row >= self._limit:
            if self._closed_again_at is None:
                log.warning("Dokploy is gone", action="dokploy_gone", url=self._url, problem=problem)
            self._closed_again_at = self._monotonic() + self._rest_s

    def abandoned(self) -> None:
        """Cancelled or out of time: says nothing about it."""
        self._is_probing = False
