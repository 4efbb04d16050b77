"""Leaves a server alone that failed several times in a row, then lets one request try it."""

from __future__ import annotations

from collections.abc import Callable

from core.errors import ModelFailed, ModelFailure


class CircuitBreaker:
    """Closed: all pass. Open: none, for a rest. Half open: one; its fate decides."""

    def __init__(self, *, failures: int, rest_s: float, monotonic: Callable[[], float]) -> None:
        self._limit = failures
        self._rest_s = rest_s
        self._monotonic = monotonic
        self._in_a_row = 0
        self._closed_again_at: float | None = None
        self._is_probing = False

    @property
    def is_open(self) -> bool:
        """Whether a request would be refused now."""
        if self._closed_again_at is None:
            return False
        return self._is_probing or self._monotonic() < self._closed_again_at

    def refuse_if_open(self) -> None:
        """Raise ModelFailed (breaker_open) while nobody may pass."""
        if not self.is_open:
            return
        raise ModelFailed(
            ModelFailure.BREAKER_OPEN,
            f"the model failed {self._in_a_row} times in a row and is left alone for {self._rest_s:g} s",
        )

    def enter(self) -> None:
        """Begin a request, which must end in `succeeded`, `failed` or `abandoned`; raises like `refuse_if_open`."""
        self.refuse_if_open()
        self._is_probing = self._closed_again_at is not None

    def succeeded(self) -> None:
        """The server answered, be it with an error of its own."""
        self._in_a_row = 0
        self._closed_again_at = None
        self._is_probing = False

    def failed(self) -> None:
        """It could not be reached, or refused for load."""
        self._in_a_row += 1
        self._is_probing = False
        if self._in_a_row >= self._limit:
            self._closed_again_at = self._monotonic() + self._rest_s

    def abandoned(self) -> None:
        """Cancelled or out of time: says nothing about the server."""
        self._is_probing = False
