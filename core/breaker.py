"""Circuit breaker: stops requests to a system after several failures in a row, then lets one request test it."""

from __future__ import annotations

from collections.abc import Callable


class CircuitBreaker:
    """Three states. Closed: all requests pass. Open: none, for a pause. Half open: one, whose result decides."""

    def __init__(
        self,
        *,
        failures: int,
        rest_s: float,
        monotonic: Callable[[], float],
        refusal: Callable[[int, float], Exception],
    ) -> None:
        """Open after `failures` failures in a row; `refusal(in_a_row, rest_s)` makes the error for refused requests."""
        self._limit = failures
        self._rest_s = rest_s
        self._monotonic = monotonic
        self._refusal = refusal
        self._in_a_row = 0
        self._closed_again_at: float | None = None
        self._is_probing = False

    @property
    def is_open(self) -> bool:
        """True while requests are refused."""
        if self._closed_again_at is None:
            return False
        return self._is_probing or self._monotonic() < self._closed_again_at

    def refuse_if_open(self) -> None:
        """Raise the refusal while the breaker is open."""
        if self.is_open:
            raise self._refusal(self._in_a_row, self._rest_s)

    def enter(self) -> None:
        """Begin a request, which must end in `succeeded`, `failed` or `abandoned`; raises like `refuse_if_open`."""
        self.refuse_if_open()
        self._is_probing = self._closed_again_at is not None

    def succeeded(self) -> bool:
        """Record an answer, even if it is an error of the system's own; True: the system is back."""
        is_back = self._closed_again_at is not None
        self._in_a_row = 0
        self._closed_again_at = None
        self._is_probing = False
        return is_back

    def failed(self) -> bool:
        """Record a failed connection or a refusal for load; True: the breaker has opened."""
        self._in_a_row += 1
        self._is_probing = False
        if self._in_a_row < self._limit:
            return False
        is_news = self._closed_again_at is None
        self._closed_again_at = self._monotonic() + self._rest_s
        return is_news

    def abandoned(self) -> None:
        """Record a request that was cancelled or ran out of time, which tells nothing about the system."""
        self._is_probing = False
