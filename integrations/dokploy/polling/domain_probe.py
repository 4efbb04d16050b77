"""Requests a domain over HTTP as its visitors do, and classifies its problem in one word."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection
from cryptography import x509

from core.clock import Clock
from core.deployments.platform import Domain, DomainState
from core.errors import plain_reason

TIME_LIMIT_S = 5.0
TRAEFIK_NOT_FOUND = b"404 page not found"
"""Whole answer of Traefik for a host that no router knows."""
BAD_GATEWAY = frozenset({502, 503, 504})
DETAIL_LIMIT = 200
TRAEFIK_DEFAULT_CERTIFICATE = "TRAEFIK DEFAULT CERT"
"""Certificate that Traefik shows while it has none for a host."""
USER_AGENT = "InfraGuardian (domain check)"

ResolveHost = Callable[[str], Awaitable[list[str]]]


async def resolve_host(host: str) -> list[str]:
    """Resolve a name with this machine's resolver; raises socket.gaierror."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class _FixedResolver(AbstractResolver):
    """Resolver that returns addresses known already."""

    def __init__(self, addresses: list[str], ports: dict[int, int]) -> None:
        self._addresses = addresses
        self._ports = ports

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=self._ports.get(port, port),
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""


class _CertificateResponse(aiohttp.ClientResponse):
    """Response that keeps the certificate: a connection whose short answer has arrived is released at once."""

    certificate: object = None

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        transport = connection.transport
        self.certificate = transport.get_extra_info("peercert") if transport else None
        return await super().start(connection)


class DomainProbe:
    """Probe by one GET without cookies, keys or redirects; a second connection only reads a refused certificate."""

    def __init__(
        self,
        *,
        clock: Clock,
        certificate_days: int,
        resolve: ResolveHost = resolve_host,
        http_port: int = 80,
        https_port: int = 443,
        trusted: ssl.SSLContext | None = None,
        time_limit_s: float = TIME_LIMIT_S,
    ) -> None:
        """Set the ports where the proxy listens: `http_port`, `https_port`.

        `trusted`: the trusted authorities; None: this machine's.
        """
        self._clock = clock
        self._certificate_s = certificate_days * 86400
        self._resolve = resolve
        self._ports = {80: http_port, 443: https_port}
        self._trusted = trusted
        self._time_limit_s = time_limit_s

    async def ask(self, domain: Domain) -> DomainState:
        """Return the state of the domain; every failure is a state too."""
        try:
            async with asyncio.timeout(self._time_limit_s):
                return await self._ask(domain)
        except TimeoutError:
            return self._state(domain, "unreachable", f"no answer within {self._time_limit_s:g} s")

    async def _ask(self, domain: Domain) -> DomainState:
        try:
            addresses = await self._resolve(domain.host)
        except (socket.gaierror, UnicodeError) as error:
            return self._state(domain, "dns", plain_reason(error))
        if not addresses:
            return self._state(domain, "dns", "no address")
        resolver = _FixedResolver(addresses, self._ports)
        try:
            return await self._get(domain, resolver)
        except aiohttp.ClientConnectorCertificateError as error:
            return await self._refused(domain, resolver, error.certificate_error)
        except aiohttp.ClientSSLError as error:
            return self._state(domain, "certificate", f"no secure connection: {_reason(error)}")
        except (aiohttp.ClientError, OSError) as error:
            return self._state(domain, "unreachable", _reason(error))

    async def _get(self, domain: Domain, resolver: _FixedResolver) -> DomainState:
        async with (
            self._session(resolver, self._context()) as session,
            session.get(domain.url, allow_redirects=False) as response,
        ):
            assert isinstance(response, _CertificateResponse)
            certificate = response.certificate
            begin = await response.content.read(len(TRAEFIK_NOT_FOUND)) if response.status == 404 else b""
        ends = _ends(certificate)
        status = response.status
        problem = _problem(status, begin)
        if not problem and ends is not None and (ends - self._clock.now()).total_seconds() < self._certificate_s:
            problem = "certificate"
        return self._state(domain, problem, f"HTTP {status}" if problem else "", status=status, ends=ends)

    async def _refused(self, domain: Domain, resolver: _FixedResolver, error: Exception) -> DomainState:
        """Return the reason for the refused certificate and its end, read over an unverified connection."""
        why = getattr(error, "verify_message", "") or plain_reason(error)
        address = (await resolver.resolve(domain.host, 443))[0]
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            _, writer = await asyncio.open_connection(
                address["host"], address["port"], ssl=context, server_hostname=domain.host
            )
        except OSError:
            return self._state(domain, "certificate", why)
        try:
            shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        finally:
            writer.close()
        certificate = x509.load_der_x509_certificate(shown)
        if TRAEFIK_DEFAULT_CERTIFICATE in certificate.subject.rfc4514_string():
            why = "Traefik has none for it and shows its own"
        return self._state(domain, "certificate", why, ends=certificate.not_valid_after_utc)

    def _session(self, resolver: _FixedResolver, context: ssl.SSLContext) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=resolver, ssl=context, force_close=True, use_dns_cache=False),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT},
            response_class=_CertificateResponse,
            timeout=aiohttp.ClientTimeout(total=None),
        )

    def _context(self) -> ssl.SSLContext:
        self._trusted = self._trusted or ssl.create_default_context()
        return self._trusted

    def _state(
        self,
        domain: Domain,
        problem: str,
        detail: str,
        *,
        status: int | None = None,
        ends: datetime | None = None,
    ) -> DomainState:
        return DomainState(
            domain_id=domain.id,
            at=self._clock.now(),
            problem=problem,
            detail=" ".join(detail.split())[:DETAIL_LIMIT],
            http_status=status,
            certificate_ends=ends,
        )


def _problem(status: int, begin: bytes) -> str:
    if status == 404 and begin == TRAEFIK_NOT_FOUND:
        return "router"
    if status in BAD_GATEWAY:
        return "bad_gateway"
    return "http_error" if status >= 500 else ""


def _ends(certificate: object) -> datetime | None:
    if not isinstance(certificate, dict) or "notAfter" not in certificate:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)


def _reason(error: Exception) -> str:
    """Return the reason without the address: `Connection refused`."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if isinstance(number, int) and number > 0 else plain_reason(error).partition(" ssl:")[0]
