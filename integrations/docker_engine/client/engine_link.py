"""Connections to an engine: unix socket, TCP with or without TLS, SSH; reopened after the engine was away."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from core.errors import ActionFailed, GuardianError, NotFound, SettingsError, SystemUnavailable, TimeLimitExceeded
from core.settings import EngineSettings
from core.tasks import undone_on_failure
from integrations.docker_engine.client.docker_sdk import DockerSdkClient, TlsFiles
from integrations.docker_engine.client.engine_http import EngineHttp
from integrations.docker_engine.client.json_fields import json_int, json_object, json_string
from integrations.docker_engine.client.ssh_tunnel import SshTunnel

log = structlog.get_logger(__name__)

NEWEST_API = (1, 47)
"""The newest API version whose answers this package knows; engines speak older ones on request."""
OLDEST_API = (1, 24)
"""Oldest API version of the Docker SDK (docker.constants.MINIMUM_DOCKER_API_VERSION)."""
DEFAULT_SSH_SOCKET = "/var/run/docker.sock"


@dataclass(frozen=True, kw_only=True)
class EngineAddress:
    """A validated engine address."""

    socket: Path | None = None
    host: str = ""
    port: int = 0
    tls: TlsFiles | None = None
    ssh: str | None = None
    """user@host[:port] of the machine with the `socket`."""

    @property
    def sdk_url(self) -> str:
        """URL for the Docker SDK."""
        if self.socket is not None:
            return f"unix://{self.socket}"
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"


def parse_engine_address(name: str, settings: EngineSettings) -> EngineAddress:
    """Parse the address in the settings; raises SettingsError naming the engine and the wrong part."""
    url = urlsplit(settings.url)
    if url.scheme == "unix":
        path = Path(settings.url.removeprefix("unix://"))
        if not path.is_absolute():
            raise SettingsError(
                f"engine {name!r}: {settings.url!r} needs an absolute path, as in unix:///run/docker.sock"
            )
        return EngineAddress(socket=path)
    if not url.hostname or url.hostname.startswith("-"):
        raise SettingsError(f"engine {name!r}: {settings.url!r} has no host")
    if url.scheme == "ssh":
        user = f"{url.username}@" if url.username else ""
        port = f":{url.port}" if url.port else ""
        return EngineAddress(socket=Path(url.path or DEFAULT_SSH_SOCKET), ssh=f"{user}{url.hostname}{port}")
    tls = _tls(name, settings)
    return EngineAddress(host=url.hostname, port=url.port or (2376 if tls else 2375), tls=tls)


def _tls(name: str, settings: EngineSettings) -> TlsFiles | None:
    files = {"tls_ca": settings.tls_ca, "tls_cert": settings.tls_cert, "tls_key": settings.tls_key}
    if not any(files.values()):
        return None
    if settings.tls_ca is None or bool(settings.tls_cert) != bool(settings.tls_key):
        raise SettingsError(f"engine {name!r}: TLS needs tls_ca, and tls_cert and tls_key together")
    for field, path in files.items():
        if path is not None and not path.is_file():
            raise SettingsError(f"engine {name!r}: {field} {str(path)!r} isn't a file")
    return TlsFiles(ca=settings.tls_ca, cert=settings.tls_cert, key=settings.tls_key)


@dataclass(frozen=True, kw_only=True)
class EngineLink:
    """An open connection to an engine, with the negotiated API version."""

    api_version: str
    engine_version: str
    wire: EngineHttp
    control: DockerSdkClient
    tunnel: SshTunnel | None

    async def close(self) -> None:
        """Close every connection."""
        await self.wire.close()
        self.control.close()
        if self.tunnel is not None:
            await self.tunnel.close()


class EngineConnector:
    """Keeps one link to an engine: opened on first use, dropped when it breaks, then opened and negotiated again."""

    def __init__(self, name: str, settings: EngineSettings, *, ssh_program: str = "ssh") -> None:
        self.name = name
        self.address = parse_engine_address(name, settings)
        self._settings = settings
        self._ssh_program = ssh_program
        self._link: EngineLink | None = None
        self._opening = asyncio.Lock()
        self._is_away = False

    async def link(self) -> EngineLink:
        """Return the open link; raises SystemUnavailable or TimeLimitExceeded when the engine does not answer."""
        if self._link is not None and (self._link.tunnel is None or self._link.tunnel.is_open):
            return self._link
        try:
            async with asyncio.timeout(self._settings.timeout_s), self._opening:
                if self._link is not None:
                    if self._link.tunnel is None or self._link.tunnel.is_open:
                        return self._link
                    await self.drop(self._link)
                self._link = await self._open()
        except TimeoutError:
            problem = f"it did not answer within {self._settings.timeout_s:g} s"
            raise self.lost(TimeLimitExceeded(self.title, problem)) from None
        except SystemUnavailable as error:
            raise self.lost(error) from error.__cause__
        return self._link

    @property
    def title(self) -> str:
        """Name of the engine in errors."""
        return f"Docker engine {self.name!r}"

    def lost(self, error: SystemUnavailable) -> SystemUnavailable:
        """Note that the engine is away, logged once; returns the error, to be raised."""
        if not self._is_away:
            self._is_away = True
            log.warning("a Docker engine is gone", engine=self.name, problem=error.problem)
        return error

    def answered(self, link: EngineLink) -> None:
        """Note that the engine answers, logged once after it was away."""
        if self._is_away:
            self._is_away = False
            log.warning("a Docker engine is back", engine=self.name, version=link.engine_version)

    async def drop(self, link: EngineLink) -> None:
        """Forget a broken link, so that the next call opens a new one."""
        if self._link is link:
            self._link = None
        await link.close()

    async def close(self) -> None:
        """Close the link if one is open."""
        if self._link is not None:
            await self.drop(self._link)

    async def _open(self) -> EngineLink:
        tunnel: SshTunnel | None = None
        address = self.address
        if address.ssh is not None and address.socket is not None:
            tunnel = SshTunnel(self.title, address.ssh, address.socket, self._settings, program=self._ssh_program)
            address = EngineAddress(socket=await tunnel.open())
        wire = EngineHttp(self.title, address.socket, address.host, address.port, _ssl_context(self.name, address.tls))

        async def close() -> None:
            await wire.close()
            if tunnel is not None:
                with suppress(GuardianError):
                    await tunnel.close()

        async with undone_on_failure(close):
            return await self._negotiate(address, wire, tunnel)

    async def _negotiate(self, address: EngineAddress, wire: EngineHttp, tunnel: SshTunnel | None) -> EngineLink:
        try:
            versions = json_object(await wire.get("/version", limit_s=self._settings.timeout_s))
        except (NotFound, ActionFailed) as error:
            raise SystemUnavailable(
                self.title, f"what responds at its address isn't a Docker engine ({error})"
            ) from error
        if not json_string(versions.get("ApiVersion")):
            raise SystemUnavailable(self.title, "what responds at its address isn't a Docker engine")
        chosen = choose_api_version(json_string(versions["ApiVersion"]), json_string(versions.get("MinAPIVersion")))
        if _number(chosen) < OLDEST_API:
            needed = ".".join(str(part) for part in OLDEST_API)
            raise SystemUnavailable(
                self.title,
                f"it supports Docker API {chosen} at most, but {needed} is needed; upgrade it to Docker 1.12 or newer",
            )
        wire.api_version = chosen
        control = DockerSdkClient(address.sdk_url, chosen, tls=address.tls, timeout_s=self._settings.timeout_s)
        return EngineLink(
            api_version=chosen,
            engine_version=json_string(versions.get("Version")),
            wire=wire,
            control=control,
            tunnel=tunnel,
        )


def choose_api_version(newest: str, oldest: str) -> str:
    """Return the API version to use with such an engine: the newest both know, never below the engine's oldest."""
    wanted = min(_number(newest), NEWEST_API)
    return ".".join(str(part) for part in max(wanted, _number(oldest)))


def _number(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return json_int(major), json_int(minor)


def _ssl_context(name: str, tls: TlsFiles | None) -> ssl.SSLContext | None:
    if tls is None:
        return None
    try:
        context = ssl.create_default_context(cafile=str(tls.ca))
        if tls.cert is not None:
            context.load_cert_chain(str(tls.cert), str(tls.key))
    except (ssl.SSLError, OSError) as error:
        raise SettingsError(f"engine {name!r}: its TLS files cannot be used: {error}") from error
    return context
