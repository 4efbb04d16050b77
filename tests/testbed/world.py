"""Wait for a condition in the real world; a test never sleeps for a fixed time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")
PAUSE_S = 0.03


def wait_until(condition: Callable[[], T], timeout_s: float = 20, *, what: str = "") -> T:
    """Return the first truthy answer of `condition`; fail with its last answer when the time is over."""
    give_up = time.monotonic() + timeout_s
    while not (answer := condition()):
        if time.monotonic() > give_up:
            raise AssertionError(_too_late(timeout_s, what, answer))
        time.sleep(PAUSE_S)
    return answer


@overload
async def eventually(condition: Callable[[], Awaitable[T]], timeout_s: float = ..., *, what: str = ...) -> T: ...
@overload
async def eventually(condition: Callable[[], T], timeout_s: float = ..., *, what: str = ...) -> T: ...
async def eventually(condition: Callable[[], Any], timeout_s: float = 20, *, what: str = "") -> Any:
    """Like `wait_until`, without blocking the loop; `condition` may be a coroutine function."""
    give_up = time.monotonic() + timeout_s
    while True:
        got = condition()
        answer = await got if inspect.isawaitable(got) else got
        if answer:
            return answer
        if time.monotonic() > give_up:
            raise AssertionError(_too_late(timeout_s, what, answer))
        await asyncio.sleep(PAUSE_S)


def _too_late(timeout_s: float, what: str, answer: object) -> str:
    return f"{what or 'the condition'} did not come true within {timeout_s} s; last answer: {answer!r}"
