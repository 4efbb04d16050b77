"""One HTTP door to Dokploy: key, pace, time limits, retries of reads, breaker, errors in this program's words."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache
from types import SimpleNamespace
from typing import Any, Literal, TypeVar, cast

import aiohttp
from pydantic import TypeAdapter, ValidationError

from core.errors import SettingsError, SystemUnavailable, TimeLimitExceeded
from core.settings import DokploySettings
from integrations.dokploy.breaker import Breaker, BreakerOpen
from integrations.dokploy.failures import (
    BODY_LIMIT_BYTES,
    GATEWAY_STATUSES,
    SYSTEM,
    AnswerLost,
    KeyRejected,
    NotSent,
    Reply,
    Request,
    translate,
    unreadable,
)
from integrations.dokploy.pace import LineFull, Pace

T = TypeVar("T")
Param = str | int | bool | None
ANSWER_LIMIT_BYTES = 32 * 1024 * 1024
BACK_OFF_S = (0.3, 1.0, 3.0)
KEEP_ALIVE_S = 4.0
"""Below the 5 s after which Node closes an idle connection: an order is never written into one that just closed."""


class Patience(StrEnum):
    """How long a call may take."""

    QUICK = "quick"
    SLOW = "slow"
    """Dokploy answers when the work is done: stop, start, restart."""
    LONG = "long"
    """… and the work may include pulling images or copying data."""


class Transport:
    """Connections are opened on first use; close with `aclose`. Needs a running loop from the first call on."""

    def __init__(
        self,
        settings: DokploySettings,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        back_off_s: tuple[float, ...] = BACK_OFF_S,
    ) -> None:
        self.url = settings.url
        self._settings = settings
        self._back_off_s = back_off_s[: settings.retries]
        self._pace = Pace(
            at_once=settings.at_once,
            slow_at_once=settings.slow_at_once,
            waiting=settings.waiting,
            interval_s=settings.pace_s,
            monotonic=monotonic,
        )
        self._breaker = Breaker(
            settings.url, failures=settings.breaker_failures, rest_s=settings.breaker_rest_s, monotonic=monotonic
        )
        self._session: aiohttp.ClientSession | None = None
        self._accepted = 0
        self._is_refused = False

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(
        self,
        procedure: str,
        answer: type[T],
        params: Mapping[str, Param] | None = None,
        *,
        patience: Patience = Patience.QUICK,
    ) -> T:
        """Ask; tried again when Dokploy cannot be reached, within the same time limit."""
        request = _request("GET", procedure, params or {})
        return self._read(await self._answered(request, patience), request, answer)

    async def get_or_none(self, procedure: str, answer: type[T], params: Mapping[str, Param]) -> T | None:
        """Ask for what may not be there: an empty answer and null are None."""
        request = _request("GET", procedure, params)
        reply = await self._answered(request, Patience.QUICK)
        if reply.content.strip() in (b"", b"null"):
            return None
        return self._read(reply, request, answer)

    async def post(
        self,
        procedure: str,
        answer: type[T],
        body: Mapping[str, Any] | None = None,
        *,
        patience: Patience = Patience.QUICK,
    ) -> T:
        """Order; sent at most once, whatever happens. AnswerLost: whether it was done is unknown."""
        request = _request("POST", procedure, body or {})
        return self._read(await self._answered(request, patience), request, answer)

    async def order(
        self, procedure: str, body: Mapping[str, Any] | None = None, *, patience: Patience = Patience.QUICK
    ) -> None:
        """Order what answers nothing of use (`true`, nothing, or the row as it was before)."""
        request = _request("POST", procedure, body or {})
        reply = await self._answered(request, patience)
        if "html" in reply.content_type:
            raise unreadable(reply, request, self.url, "a web page")

    def _read(self, reply: Reply, request: Request, answer: type[T]) -> T:
        if not reply.content.strip():
            raise unreadable(reply, request, self.url, "nothing came")
        try:
            return _adapter(answer).validate_python(json.loads(reply.content))
        except ValidationError as error:
            places = {".".join(str(part) for part in one["loc"]) or "all of it" for one in _without_input(error)}
            wrong = f"{', '.join(sorted(places)[:5])} in place of {_name(answer)}"
        except ValueError:
            wrong = "no JSON"
        # Outside of the handler: the error in hand quotes what it did not like, and that may be a secret.
        raise unreadable(reply, request, self.url, wrong)

    async def _answered(self, request: Request, patience: Patience) -> Reply:
        """The successful reply to a request, or what its failure means."""
        if request.body is not None and len(request.body) > BODY_LIMIT_BYTES:
            raise NotSent(
                f"{request.what}: {len(request.body) // 1024} kB are more than the 1024 kB that Dokploy takes; "
                "make the file smaller"
            )
        limit_s = self._limit_s(patience)
        sent = SimpleNamespace(headers=False)
        try:
            async with asyncio.timeout(limit_s), self._pace.turn(is_slow=patience is not Patience.QUICK):
                reply = await self._tried(request, sent)
        except TimeoutError as error:
            raise self._late(request, patience, sent.headers) from error
        except (BreakerOpen, LineFull) as error:
            if request.method == "GET":
                raise
            raise NotSent(f"{request.what} was not sent: {error.problem}") from error
        if reply.status != 200:
            failure = translate(reply, request, url=self.url, accepted=self._accepted)
            self._count(
                has_passed=None if isinstance(failure, SystemUnavailable) else not isinstance(failure, KeyRejected)
            )
            raise failure
        self._count(has_passed=True)
        return reply

    def _count(self, *, has_passed: bool | None) -> None:
        """Note whether the key was taken (None: nobody looked at it); a key refused and taken again counts anew."""
        if has_passed:
            self._accepted = 1 if self._is_refused else self._accepted + 1
        if has_passed is not None:
            self._is_refused = not has_passed

    async def _tried(self, request: Request, sent: SimpleNamespace) -> Reply:
        pauses = self._back_off_s if request.method == "GET" else ()
        for pause_s in pauses:
            try:
                reply = await self._once(request, sent)
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
        return await self._once(request, sent)

    async def _once(self, request: Request, sent: SimpleNamespace) -> Reply:
        self._breaker.enter()
        try:
            reply = await self._exchange(request, sent)
        except aiohttp.ClientError as error:
            says = f"{request.what}: {self._fault(error)}"
            self._breaker.failed(says)
            if request.method == "GET":
                raise SystemUnavailable(SYSTEM, says) from error
            if sent.headers:
                raise AnswerLost(SYSTEM, f"{says}; whether it was done is unknown, look before repeating it") from error
            raise NotSent(f"{says}; nothing was sent") from error
        except BaseException:
            self._breaker.abandoned()
            raise
        if reply.status in GATEWAY_STATUSES:
            self._breaker.failed(f"the proxy before it answers {reply.status}")
        else:
            self._breaker.succeeded()
        return reply

    async def _exchange(self, request: Request, sent: SimpleNamespace) -> Reply:
        async with self._opened().request(
            request.method,
            f"{self.url}/api/{request.procedure}",
            params=request.query,
            data=request.body,
            headers={"Content-Type": "application/json"} if request.body is not None else None,
            allow_redirects=False,  # the key must not follow to another host
            trace_request_ctx=sent,
        ) as response:
            content = bytearray()
            async for chunk in response.content.iter_chunked(65536):
                content += chunk
                if len(content) > ANSWER_LIMIT_BYTES:
                    raise aiohttp.ClientPayloadError(f"more than {ANSWER_LIMIT_BYTES} bytes")
            return Reply(
                status=response.status,
                content=bytes(content),
                content_type=response.headers.get("Content-Type", "").casefold(),
                location=response.headers.get("Location", ""),
                retry_after=response.headers.get("Retry-After", ""),
                is_login_wanted="WWW-Authenticate" in response.headers,
            )

    def _late(self, request: Request, patience: Patience, was_sent: bool) -> TimeLimitExceeded | NotSent:
        says = f"{request.what} was not answered within {self._limit_s(patience):g} s"
        if patience is Patience.QUICK and was_sent:
            self._breaker.failed(says)
        if request.method == "GET":
            return TimeLimitExceeded(SYSTEM, f"{says}; look whether Dokploy at {self.url} is overloaded or hangs")
        if was_sent:
            return AnswerLost(SYSTEM, f"{says}; whether it was done is unknown, look before repeating it")
        return NotSent(f"{request.what} was not sent within {self._limit_s(patience):g} s: others were before it")

    def _limit_s(self, patience: Patience) -> float:
        settings = self._settings
        if patience is Patience.QUICK:
            return settings.timeout_s
        return settings.slow_timeout_s if patience is Patience.SLOW else settings.long_timeout_s

    def _fault(self, error: aiohttp.ClientError) -> str:
        url = self.url
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            return f"the name in {url} is not known; correct `dokploy.url`"
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return f"the certificate of {url} is not trusted; renew it, or name its authority in `dokploy.tls_ca`"
        if isinstance(error, aiohttp.ClientSSLError):
            return f"no TLS at {url}; is it http instead of https in `dokploy.url`?"
        if isinstance(error, aiohttp.ClientConnectorError):
            return f"nobody answers at {url}; is Dokploy running, and is `dokploy.url` right?"
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return f"{url} takes no connection; is the machine up, does a firewall stand between?"
        return f"the connection to {url} broke; Dokploy may be restarting"

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            settings = self._settings
            trace = aiohttp.TraceConfig()
            trace.on_request_headers_sent.append(_note_sent)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=settings.at_once + settings.slow_at_once,
                    keepalive_timeout=KEEP_ALIVE_S,
                    ssl=_tls(settings),
                ),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_timeout_s),
                headers={"x-api-key": settings.api_key.get_secret_value(), "Accept": "application/json"},
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=[trace],
            )
        return self._session


async def _note_sent(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.headers = True


def _tls(settings: DokploySettings) -> ssl.SSLContext | bool:
    if settings.tls_ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(settings.tls_ca))
    except OSError as error:
        raise SettingsError(f"`dokploy.tls_ca` {str(settings.tls_ca)!r} cannot be used: {error}") from error


def _request(method: Literal["GET", "POST"], procedure: str, params: Mapping[str, Any]) -> Request:
    given = {name: value for name, value in params.items() if value is not None} if method == "GET" else dict(params)
    subject = next((value for name, value in given.items() if name.endswith("Id") or name in _SUBJECTS), None)
    what = f"{procedure} of {subject!r}" if isinstance(subject, str) else procedure
    if method == "GET":
        return Request(method=method, procedure=procedure, what=what, query={n: _plain(v) for n, v in given.items()})
    return Request(method=method, procedure=procedure, what=what, body=json.dumps(given).encode())


_SUBJECTS = ("id", "appName", "domain", "host")


def _plain(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


@cache
def _adapter_of(answer: Any) -> TypeAdapter[Any]:
    return TypeAdapter(answer)


def _adapter(answer: type[T]) -> TypeAdapter[T]:
    return cast(TypeAdapter[T], _adapter_of(cast(Any, answer)))


def _name(answer: Any) -> str:
    return str(answer).rpartition(".")[2].removesuffix("'>").removesuffix("]")


def _without_input(error: ValidationError) -> list[Any]:
    return list(error.errors(include_url=False, include_context=False, include_input=False))
