"""HTTP client of an engine without threads: many requests in parallel, and streams that end on cancellation."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp.client_exceptions import ClientError

from core.errors import GuardianError, NotFound, SystemUnavailable, TimeLimitExceeded, plain_reason
from integrations.docker_engine.client.docker_sdk import error_for_status
from integrations.docker_engine.client.json_fields import json_object, json_string

CONNECTIONS_LIMIT = 256
"""Connections open at once, at most."""
READ_BUFFER = 256 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")
ErrorFromRefusal = Callable[[int, str, str, str], GuardianError]
"""Builds an error from a status, the engine's reason, its name and the request."""


class EngineHttp:
    """HTTP to one engine over a unix socket or TCP. Raises only the errors of `Engine`."""

    def __init__(self, system: str, path: Path | None, host: str, port: int, context: ssl.SSLContext | None) -> None:
        self._system = system
        self._path = path
        self._context = context
        self._base = (
            "http://docker" if path is not None else f"{'https' if context else 'http'}://{_in_url(host)}:{port}"
        )
        self._session: aiohttp.ClientSession | None = None
        self.api_version = ""
        """Set once negotiated."""

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector: aiohttp.BaseConnector
            if self._path is not None:
                connector = aiohttp.UnixConnector(str(self._path), limit=CONNECTIONS_LIMIT)
            else:
                connector = aiohttp.TCPConnector(
                    limit=CONNECTIONS_LIMIT, ssl=self._context or False, socket_factory=_socket_that_notices_death
                )
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=aiohttp.ClientTimeout(total=None), read_bufsize=READ_BUFFER
            )
        return self._session

    async def get(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        limit_s: float,
        what: str = "",
        may_be_empty: bool = False,
    ) -> object:
        """Return the JSON answer to a GET; `what` names it in errors; None for an empty answer if that is allowed."""
        async with self.stream("GET", path, query, limit_s=limit_s, what=what) as response:
            body = await response.read()
        return None if may_be_empty and not body else self._parse(body, what or path)

    async def post(self, path: str, body: Mapping[str, object], *, limit_s: float, what: str = "") -> object:
        """Return the JSON answer to a POST."""
        async with self.stream("POST", path, body=body, limit_s=limit_s, what=what) as response:
            raw = await response.read()
        return self._parse(raw, what or path)

    async def order(
        self, method: str, path: str, query: Mapping[str, str] | None = None, *, limit_s: float, what: str
    ) -> object:
        """Send a request without a body; returns its JSON answer, None when the answer is empty."""
        async with self.stream(method, path, query, limit_s=limit_s, what=what) as response:
            raw = await response.read()
        return self._parse(raw, what) if raw else None

    def _parse(self, body: bytes, what: str) -> object:
        try:
            return json.loads(body)
        except ValueError as error:
            raise SystemUnavailable(self._system, f"{what}: its answer isn't JSON") from error

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        limit_s: float | None,
        answer_within_s: float | None = None,
        what: str = "",
        refuse: ErrorFromRefusal = error_for_status,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open an answer to be read piece by piece; `limit_s` bounds everything inside the block (None: no bound).

        `refuse` builds the error for a status of 300 or more.
        """
        what = what or path
        version = f"/v{self.api_version}" if self.api_version else ""
        try:
            async with asyncio.timeout(limit_s):
                async with asyncio.timeout(answer_within_s):
                    response = await self._open_session().request(
                        method,
                        f"{self._base}{version}{path}",
                        params=query,
                        json=body,
                        headers=headers,
                        allow_redirects=False,
                    )
                async with _released(response):
                    if response.status >= 300:
                        raise await self._refusal(response, what, refuse)
                    yield response
        except TimeoutError as error:
            raise TimeLimitExceeded(self._system, f"{what} timed out") from error
        except (ClientError, OSError) as error:
            raise SystemUnavailable(self._system, f"{what} couldn't reach the engine: {plain_reason(error)}") from error

    async def _refusal(self, response: aiohttp.ClientResponse, what: str, refuse: ErrorFromRefusal) -> GuardianError:
        raw = await response.content.read(4096)
        try:
            reason = json_string(json_object(json.loads(raw)).get("message"))
        except ValueError:
            reason = raw.decode(errors="replace")
        return refuse(response.status, reason, self._system, what)

    async def close(self) -> None:
        """Close every connection; pending requests fail."""
        if self._session is not None:
            await self._session.close()


@asynccontextmanager
async def _released(response: aiohttp.ClientResponse) -> AsyncIterator[None]:
    """Return the connection to the pool when its answer was read to the end, close it otherwise."""
    try:
        yield
    finally:
        response.release() if response.content.at_eof() else response.close()


def _socket_that_notices_death(info: aiohttp.AddrInfoType) -> socket.socket:
    """Return a socket that notices within half a minute that its peer is gone, even on a silent event stream."""
    family, kind, protocol, _, _ = info
    made = socket.socket(family=family, type=kind, proto=protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def container_path(name: str, rest: str = "") -> str:
    """Return the API path of a container; raises NotFound for an impossible name."""
    return f"/containers/{checked_container_name(name)}{rest}"


def checked_container_name(name: str) -> str:
    """Return the name if it is a possible one; raises NotFound: a crafted name must not reach another API path."""
    if not _NAME.fullmatch(name):
        raise NotFound(f"{name!r} isn't a valid container name")
    return name
