"""A reverse proxy as Dokploy has one: nginx on loopback, with certificates made for the test."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.testbed.world import eventually

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"


@dataclass(frozen=True, kw_only=True)
class Site:
    """A host name and what the proxy does for it."""

    host: str
    does: str
    """Directives of nginx inside `location /`."""
    certificate: str | None = None
    """Name of a certificate made by `Authority.sign`; None: plain HTTP."""


class Authority:
    """Signs certificates; `context` trusts it and nobody else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        now = datetime.now(UTC)
        self._name = name
        self._own = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=400))
            .not_valid_after(now + timedelta(days=400))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    key_cert_sign=True,
                    crl_sign=True,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
            .sign(self._key, hashes.SHA256())
        )

    def context(self) -> ssl.SSLContext:
        """A client's."""
        pem = self._own.public_bytes(serialization.Encoding.PEM).decode()
        return ssl.create_default_context(cadata=pem)

    def sign(self, host: str, *, ends_in: timedelta, name: str = "", common_name: str = "") -> str:
        """Write `<name>.pem` and `<name>.key` for that host; a past end makes it expired. Returns the name."""
        key = ec.generate_private_key(ec.SECP256R1())
        ends = datetime.now(UTC) + ends_in
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name or host)])
        issuer_key = self._key.public_key()
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(ends - timedelta(days=90))
            .not_valid_after(ends)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        stem = name or host
        (self._folder / f"{stem}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
        (self._folder / f"{stem}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return stem


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Where the proxy listens."""

    http: int
    https: int


@asynccontextmanager
async def proxy(folder: Path, *sites: Site) -> AsyncIterator[Ports]:
    """Run nginx with these sites; every other host gets Traefik's word for a host it does not know."""
    ports = Ports(http=free_port(), https=free_port())
    (folder / "nginx.conf").write_text(_configuration(folder, ports, sites))
    process = await asyncio.create_subprocess_exec(
        NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")
    )
    try:
        await eventually(lambda: _listens(ports.http) and process.returncode is None, what="nginx to listen")
        yield ports
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as one:
        one.settimeout(1.0)
        return one.connect_ex(("127.0.0.1", port)) == 0


def _configuration(folder: Path, ports: Ports, sites: tuple[Site, ...]) -> str:
    servers = "\n".join(_server(site, ports) for site in sites)
    temps = "\n".join(
        f"  {kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
daemon off;
master_process off;
pid {folder}/nginx.pid;
events {{}}
http {{
  access_log {folder}/access.log;
{temps}
  default_type text/plain;
  server {{
    listen 127.0.0.1:{ports.http} default_server;
    location / {{ return 404 "404 page not found\\n"; }}
  }}
{servers}
}}
"""


def _server(site: Site, ports: Ports) -> str:
    listen = f"listen 127.0.0.1:{ports.http};"
    if site.certificate is not None:
        listen = (
            f"listen 127.0.0.1:{ports.https} ssl; "
            f"ssl_certificate {site.certificate}.pem; ssl_certificate_key {site.certificate}.key;"
        )
    return f"  server {{ {listen} server_name {site.host}; location / {{ {site.does} }} }}"
