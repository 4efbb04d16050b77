"""A system that fails again and again is left alone for a while, then tried once."""

from core.breaker import CircuitBreaker
from core.errors import SystemUnavailable


def refusal(in_a_row: int, rest_s: float) -> SystemUnavailable:
    return SystemUnavailable("it", f"failed {in_a_row} times, rests {rest_s:g} s")


class Ticking:
    """Time that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        """The moment."""
        return self.now_s


def kinds_of_entry(breaker: CircuitBreaker, times: int) -> list[bool]:
    passed = []
    for _ in range(times):
        try:
            breaker.enter()
        except SystemUnavailable as refusal:
            assert "failed 3 times" in str(refusal)
            passed.append(False)
        else:
            passed.append(True)
    return passed


def test_it_opens_rests_and_lets_one_try() -> None:
    time = Ticking()
    breaker = CircuitBreaker(failures=3, rest_s=30, monotonic=time, refusal=refusal)
    for _ in range(3):
        breaker.enter()
        breaker.failed()
    assert breaker.is_open
    time.now_s += 29.9
    assert kinds_of_entry(breaker, 1) == [False]
    time.now_s += 0.2
    assert kinds_of_entry(breaker, 3) == [True, False, False]
    breaker.failed()
    assert breaker.is_open
    time.now_s += 30.1
    assert kinds_of_entry(breaker, 1) == [True]
    breaker.abandoned()
    assert kinds_of_entry(breaker, 1) == [True]
    breaker.succeeded()
    assert kinds_of_entry(breaker, 3) == [True] * 3


def test_only_failures_in_a_row_count() -> None:
    breaker = CircuitBreaker(failures=2, rest_s=30, monotonic=Ticking(), refusal=refusal)
    for _ in range(5):
        breaker.failed()
        breaker.succeeded()
    assert not breaker.is_open


def test_going_and_coming_back_are_news_once() -> None:
    time = Ticking()
    breaker = CircuitBreaker(failures=2, rest_s=30, monotonic=time, refusal=refusal)
    assert [breaker.failed() for _ in range(3)] == [False, True, False]
    time.now_s += 31
    breaker.enter()
    assert [breaker.succeeded() for _ in range(2)] == [True, False]
