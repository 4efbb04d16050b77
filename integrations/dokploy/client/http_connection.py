"""HTTP connections to one Dokploy, opened on first use."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from types import SimpleNamespace

import aiohttp

from core.errors import SettingsError
from core.settings import DokploySettings
from core.text import Text, text
from integrations.dokploy.client.dokploy_errors import HttpResponse, Request

ANSWER_LIMIT_BYTES = 32 * 1024 * 1024
KEEP_ALIVE_S = 4.0
"""Keep-alive below the 5 s after which Node closes an idle connection, so that no order hits one just closed."""

# first match counts: the special before the general
_BROKE: tuple[tuple[type[aiohttp.ClientError], str, str], ...] = (
    (aiohttp.ClientConnectorDNSError, "no_name", "the name in {url} is not known; correct `dokploy.url`"),
    (
        aiohttp.ClientConnectorCertificateError,
        "bad_certificate",
        "the certificate of {url} is not trusted; renew it, or name its authority in `dokploy.tls_ca`",
    ),
    (aiohttp.ClientSSLError, "no_tls", "no TLS at {url}; is it http instead of https in `dokploy.url`?"),
    (
        aiohttp.ClientConnectorError,
        "nobody",
        "nobody answers at {url}; is Dokploy running, and is `dokploy.url` right?",
    ),
    (
        aiohttp.ConnectionTimeoutError,
        "no_connection",
        "{url} takes no connection; is the machine up, does a firewall stand between?",
    ),
    (
        aiohttp.ClientResponseError,
        "no_http",
        "what answers at {url} does not speak HTTP; correct `dokploy.url`",
    ),
    (aiohttp.ClientPayloadError, "broke_off", "the answer of {url} broke off or is larger than {limit_mb} MB"),
)
_OTHERWISE = ("connection_broke", "the connection to {url} broke; Dokploy may be restarting")


class ConnectionFailed(Exception):
    """Connection failed or broke. Holds no trace of the request: aiohttp's own errors quote its key and its query."""

    def __init__(self, problem: str, message: Text) -> None:
        self.message = message
        super().__init__(problem)


@dataclass(kw_only=True)
class SendProgress:
    """Progress of sending a request."""

    has_begun: bool = False
    """True once any of it was written to the network: from then on Dokploy may have acted on it."""


class HttpConnection:
    """HTTP connection to one Dokploy; sends the key to the configured address only. Close with `aclose`."""

    def __init__(self, settings: DokploySettings) -> None:
        self._settings = settings
        self._url = settings.url
        self._session: aiohttp.ClientSession | None = None

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def exchange(self, request: Request, sending: SendProgress) -> HttpResponse:
        """Return the reply to the request, whatever its status; raises ConnectionBroke. aiohttp retries a read once."""
        session = self._opened()
        try:
            return await self._exchanged(session, request, sending)
        except aiohttp.ClientError as error:
            broke = self._broke(error)
        raise broke  # outside of the handler, so that the error in hand is not kept

    async def _exchanged(self, session: aiohttp.ClientSession, request: Request, sending: SendProgress) -> HttpResponse:
        async with session.request(
            request.method,
            f"{self._url}/api/{request.procedure}",
            params=request.query,
            data=request.body,
            headers={"Content-Type": "application/json"} if request.body is not None else None,
            allow_redirects=False,  # the key must not follow to another host
            trace_request_ctx=sending,
        ) as response:
            content = bytearray()
            async for chunk in response.content.iter_chunked(65536):
                content += chunk
                if len(content) > ANSWER_LIMIT_BYTES:
                    raise aiohttp.ClientPayloadError(f"more than {ANSWER_LIMIT_BYTES} bytes")
            return HttpResponse(
                status=response.status,
                content=bytes(content),
                content_type=response.headers.get("Content-Type", "").casefold(),
                location=response.headers.get("Location", ""),
                retry_after=response.headers.get("Retry-After", ""),
                is_login_wanted="WWW-Authenticate" in response.headers,
                date=response.headers.get("Date", ""),
            )

    def _broke(self, error: aiohttp.ClientError) -> ConnectionFailed:
        name, words = next(((name, words) for kind, name, words in _BROKE if isinstance(error, kind)), _OTHERWISE)
        limit_mb = ANSWER_LIMIT_BYTES // 1024 // 1024
        message = text(f"dokploy_error.{name}", url=self._url, limit_mb=limit_mb)
        return ConnectionFailed(words.format(url=self._url, limit_mb=limit_mb), message)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            settings = self._settings
            trace = aiohttp.TraceConfig()
            trace.on_request_headers_sent.append(_note_sending)
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


async def _note_sending(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.has_begun = True


def _tls(settings: DokploySettings) -> ssl.SSLContext | bool:
    if settings.tls_ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(settings.tls_ca))
    except OSError as error:
        raise SettingsError(f"`dokploy.tls_ca` {str(settings.tls_ca)!r} cannot be used: {error}") from error
