"""HTTP calls to Dokploy: key, pace, time limits, retries of reads, circuit breaker, translated errors."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Literal, TypeVar

import structlog

from core.breaker import CircuitBreaker
from core.error_text import own_words
from core.errors import GuardianError, SystemUnavailable, TimeLimitExceeded
from core.settings import DokploySettings
from core.text import Text, text
from integrations.dokploy.client.dokploy_errors import (
    BODY_LIMIT_BYTES,
    GATEWAY_STATUSES,
    SYSTEM,
    BreakerOpen,
    HttpResponse,
    KeyRejected,
    NotSent,
    Request,
    answer_lost,
    answer_unreadable,
    error_from_reply,
)
from integrations.dokploy.client.http_connection import ConnectionFailed, HttpConnection, SendProgress
from integrations.dokploy.client.request_limiter import RequestLimiter, RequestQueueFull
from integrations.dokploy.client.response_parsing import parse_reply, parse_rows

log = structlog.get_logger(__name__)
T = TypeVar("T")
QueryValue = str | int | bool | None
BACK_OFF_S = (0.3, 1.0, 3.0)
LONG_ANSWER_BYTES = 64 * 1024
CLOCK_TOLERANCE = timedelta(seconds=5)
"""Difference that still counts as equal clocks: a date has whole seconds, and an answer takes time."""
CLOCK_SKEW_LIMIT = timedelta(days=366)
"""Difference too large to come from a clock."""


class RetryLimits(StrEnum):
    """Class of time limit of a call."""

    QUICK = "quick"
    SLOW = "slow"
    """Dokploy answers once the work is done: stop, start, restart."""
    LONG = "long"
    """The work may also include pulling images or copying data."""


class DokployTransport:
    """Transport of every call; connects on first use, close with `aclose`. The first call needs a running loop."""

    def __init__(
        self,
        settings: DokploySettings,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        back_off_s: tuple[float, ...] = BACK_OFF_S,
    ) -> None:
        self.url = settings.url
        self.clock_ahead = timedelta()
        """Lead of the server's clock over ours; zero if it is within the tolerance."""
        self._settings = settings
        self._back_off_s = back_off_s[: settings.retries]
        self._pace = RequestLimiter(
            at_once=settings.at_once,
            slow_at_once=settings.slow_at_once,
            waiting=settings.waiting,
            interval_s=settings.pace_s,
            monotonic=monotonic,
        )
        self._breaker = CircuitBreaker(
            failures=settings.breaker_failures,
            rest_s=settings.breaker_rest_s,
            monotonic=monotonic,
            refusal=self._resting,
        )
        self._last_failure: tuple[str, Text | str] = ("", "")
        self._connection = HttpConnection(settings)
        self._polled: dict[str, tuple[bytes, list[Any]]] = {}
        """Last answer to each polled procedure, and its parsed rows."""
        self._accepted = 0
        self._is_refused = False

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connection.aclose()

    async def get(
        self,
        procedure: str,
        answer: type[T],
        params: Mapping[str, QueryValue] | None = None,
        *,
        patience: RetryLimits = RetryLimits.QUICK,
    ) -> T:
        """Send a read; retried if Dokploy cannot be reached, within the same time limit."""
        request = _request("GET", procedure, params or {})
        reply = await self._answered(request, patience)
        return await self._read(reply, lambda: parse_reply(reply, request, answer, self.url))

    async def get_rows(self, procedure: str, row: type[T], params: Mapping[str, QueryValue] | None = None) -> list[T]:
        """Read a list; a row that does not fit is left out and logged."""
        request = _request("GET", procedure, params or {})
        reply = await self._answered(request, RetryLimits.QUICK)
        return await self._read(reply, lambda: parse_rows(reply, request, row, self.url))

    async def poll_rows(self, procedure: str, row: type[T]) -> list[T]:
        """Read a list without parameters, every few seconds; an answer equal to the last one is not parsed again."""
        request = _request("GET", procedure, {})
        reply = await self._answered(request, RetryLimits.QUICK)
        before = self._polled.get(procedure)
        if before is not None and before[0] == reply.content:
            return before[1]
        rows = await self._read(reply, lambda: parse_rows(reply, request, row, self.url))
        self._polled[procedure] = (reply.content, rows)
        return rows

    async def get_or_none(self, procedure: str, answer: type[T], params: Mapping[str, QueryValue]) -> T | None:
        """Read something that may not exist: an empty answer and null are None."""
        request = _request("GET", procedure, params)
        reply = await self._answered(request, RetryLimits.QUICK)
        if reply.content.strip() in (b"", b"null"):
            return None
        return parse_reply(reply, request, answer, self.url)

    async def post(
        self,
        procedure: str,
        answer: type[T],
        body: Mapping[str, Any] | None = None,
        *,
        patience: RetryLimits = RetryLimits.QUICK,
    ) -> T:
        """Send an order at most once. Raises AnswerLost if it is unknown whether it took effect."""
        request = _request("POST", procedure, body or {})
        return parse_reply(await self._answered(request, patience), request, answer, self.url)

    async def order(
        self, procedure: str, body: Mapping[str, Any] | None = None, *, patience: RetryLimits = RetryLimits.QUICK
    ) -> None:
        """Send an order whose answer is of no use (`true`, nothing, or the row as it was before)."""
        request = _request("POST", procedure, body or {})
        reply = await self._answered(request, patience)
        if "html" in reply.content_type:
            raise answer_unreadable(reply, request, self.url, "a web page")

    @staticmethod
    async def _read(reply: HttpResponse, read_it: Callable[[], T]) -> T:
        """Parse a long answer in a thread, so that it does not block the loop."""
        return read_it() if len(reply.content) < LONG_ANSWER_BYTES else await asyncio.to_thread(read_it)

    async def _answered(self, request: Request, patience: RetryLimits) -> HttpResponse:
        """Return the successful reply to a request, or raise its error."""
        if request.body is not None and len(request.body) > BODY_LIMIT_BYTES:
            raise NotSent(
                f"{request.what}: {len(request.body) // 1024} kB are more than the 1024 kB that Dokploy takes; "
                "make the file smaller",
                message=text("dokploy_error.too_large_kb", kb=len(request.body) // 1024),
            )
        limit_s = self._limit_s(patience)
        sending = SendProgress()
        try:
            async with asyncio.timeout(limit_s), self._pace.turn(is_slow=patience is not RetryLimits.QUICK):
                reply = await self._tried(request, sending)
        except TimeoutError as error:
            raise self._late(request, patience, sending.has_begun) from error
        except (BreakerOpen, RequestQueueFull) as error:
            if request.method == "GET":
                raise
            message = text("dokploy_error.nothing_done", problem=own_words(error))
            raise NotSent(f"{request.what} was not sent: {error.problem}", message=message) from error
        self.clock_ahead = _clock_lead(reply.date)
        if reply.status != 200:
            failure = error_from_reply(reply, request, url=self.url, accepted=self._accepted)
            self._count(
                has_passed=None if isinstance(failure, SystemUnavailable) else not isinstance(failure, KeyRejected)
            )
            raise failure
        self._count(has_passed=True)
        return reply

    def _count(self, *, has_passed: bool | None) -> None:
        """Count calls with an accepted key (None: not checked); starts anew once a refused key is accepted again."""
        if has_passed:
            self._accepted = 1 if self._is_refused else self._accepted + 1
        if has_passed is not None:
            self._is_refused = not has_passed

    async def _tried(self, request: Request, sending: SendProgress) -> HttpResponse:
        pauses = self._back_off_s if request.method == "GET" else ()
        for pause_s in pauses:
            try:
                reply = await self._once(request, sending)
            except BreakerOpen:
                raise
            except SystemUnavailable:
                if self._breaker.is_open:
                    raise
            else:
                if reply.status not in GATEWAY_STATUSES or self._breaker.is_open:
                    return reply
            await asyncio.sleep(pause_s)
            await self._pace.space()
        return await self._once(request, sending)

    async def _once(self, request: Request, sending: SendProgress) -> HttpResponse:
        self._breaker.enter()
        try:
            reply = await self._connection.exchange(request, sending)
        except ConnectionFailed as error:
            problem = f"{request.what}: {error}"
            self._note_failure(problem, error.message)
            if request.method == "GET":
                raise SystemUnavailable(SYSTEM, problem, message=error.message) from error
            if sending.has_begun:
                raise answer_lost(problem, error.message) from error
            raise NotSent(
                f"{problem}; nothing was sent", message=text("dokploy_error.nothing_done", problem=error.message)
            ) from error
        except BaseException:  # cut off: neither a success nor a failure of Dokploy's
            self._breaker.abandoned()
            raise
        if reply.status in GATEWAY_STATUSES:
            message = text("dokploy_error.gateway", status=reply.status)
            self._note_failure(f"the proxy before it answers {reply.status}", message)
        elif self._breaker.succeeded():
            log.info("Dokploy is back", action="dokploy_back", url=self.url)
        return reply

    def _note_failure(self, problem: str, message: Text) -> None:
        self._last_failure = problem, message
        if self._breaker.failed():
            log.warning("Dokploy is gone", action="dokploy_gone", url=self.url, problem=problem)

    def _resting(self, in_a_row: int, rest_s: float) -> BreakerOpen:
        problem, message = self._last_failure
        return BreakerOpen(
            SYSTEM,
            f"it failed {in_a_row} times in a row and is left alone for {rest_s:g} s; the last time: {problem}",
            message=text("dokploy_error.resting", problem=message, count=in_a_row, seconds=rest_s),
        )

    def _late(self, request: Request, patience: RetryLimits, was_sent: bool) -> GuardianError:
        seconds = self._limit_s(patience)
        problem = f"{request.what} was not answered within {seconds:g} s"
        message = text("dokploy_error.late", seconds=seconds, url=self.url)
        if patience is RetryLimits.QUICK and was_sent:
            self._note_failure(problem, message)
        if request.method == "GET":
            full = f"{problem}; look whether Dokploy at {self.url} is overloaded or hangs"
            return TimeLimitExceeded(SYSTEM, full, message=message)
        if was_sent:
            return answer_lost(problem, text("dokploy_error.late_order", seconds=seconds))
        not_sent = text("dokploy_error.nothing_done", problem=text("dokploy_error.not_sent", seconds=seconds))
        return NotSent(f"{request.what} was not sent within {seconds:g} s: others were before it", message=not_sent)

    def _limit_s(self, patience: RetryLimits) -> float:
        settings = self._settings
        if patience is RetryLimits.QUICK:
            return settings.timeout_s
        return settings.slow_timeout_s if patience is RetryLimits.SLOW else settings.long_timeout_s


def _clock_lead(date: str) -> timedelta:
    try:
        ahead = parsedate_to_datetime(date) - datetime.now(UTC)
    except (ValueError, TypeError, OverflowError):
        return timedelta()
    return ahead if CLOCK_TOLERANCE < abs(ahead) < CLOCK_SKEW_LIMIT else timedelta()


def _request(method: Literal["GET", "POST"], procedure: str, params: Mapping[str, Any]) -> Request:
    given = {name: value for name, value in params.items() if value is not None} if method == "GET" else dict(params)
    subject = next((value for name, value in given.items() if name.endswith("Id") or name in _SUBJECTS), None)
    what = f"{procedure} of {subject!r}" if isinstance(subject, str) else procedure
    if method == "GET":
        return Request(
            method=method, procedure=procedure, what=what, query={n: _query_text(v) for n, v in given.items()}
        )
    return Request(method=method, procedure=procedure, what=what, body=json.dumps(given).encode())


_SUBJECTS = ("id", "appName", "domain", "host")


def _query_text(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
