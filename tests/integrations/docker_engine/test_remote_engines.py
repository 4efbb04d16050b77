"""Engines on other machines: TCP with TLS, and SSH with a forwarded socket."""

from __future__ import annotations

import ipaddress
import os
import ssl
import textwrap
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from core.errors import SettingsError, SystemUnavailable
from core.monitoring.snapshot import EventKind
from core.settings import EngineSettings
from integrations.docker_engine.client.real_engine import RealEngine
from tests.integrations.docker_engine.contract import is_up, recorded, until
from tests.integrations.docker_engine.real_stage import RealStage
from tests.integrations.docker_engine.stand_in import forward_to, on_port
from tests.testbed.stack import Stack
from tests.testbed.world import eventually

Key = ec.EllipticCurvePrivateKey
OpenEngine = Callable[..., RealEngine]


@pytest.fixture
async def open_engine() -> AsyncIterator[OpenEngine]:
    """Give a factory of engines, closed afterwards."""
    made: list[RealEngine] = []

    def make(name: str, settings: EngineSettings, *, ssh_program: str = "ssh") -> RealEngine:
        made.append(RealEngine(name, settings, ssh_program=ssh_program))
        return made[-1]

    yield make
    for engine in made:
        await engine.close()


class Authority:
    """A certificate authority of one test."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        certificate = self._signed(self.name, self.key, x509.BasicConstraints(ca=True, path_length=0))
        self.file = home / "ca.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _signed(self, subject: x509.Name, key: Key, *extensions: x509.ExtensionType) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, name: str) -> tuple[Path, Path]:
        """The files of a certificate for 127.0.0.1, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._signed(
            subject,
            key,
            x509.BasicConstraints(ca=False, path_length=None),
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
        )
        files = self.home / f"{name}.pem", self.home / f"{name}-key.pem"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def tls_port(authority: Authority, docker_host: str) -> AsyncIterator[int]:
    """Give the port of a TLS server in front of the real engine that asks for a client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("engine"))
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_REQUIRED
    async with on_port(forward_to(docker_host.removeprefix("unix://")), context) as port:
        yield port


async def try_out(engine: RealEngine, stack: Stack) -> None:
    """Look, listen, measure and act through an engine that is not local."""
    info = await engine.info()
    assert (info.is_local, info.memory_free_bytes) == (False, None)
    stage = RealStage(engine, stack)
    name = await stage.runs("api")
    async with recorded(engine) as seen:
        await engine.restart(name, grace_s=5)
        await seen.wait_for(name, EventKind.RESTART)
    assert (await until(stage, name, is_up)).host == engine.name
    assert (await engine.exec(name, ["echo", "hi"])).stdout == "hi\n"
    assert any(line.text.startswith("listening") for line in await engine.logs(name))
    assert (await engine.sample())[name].memory_bytes > 0
    assert await engine.oom_kills() == {}


async def test_tcp_with_tls(open_engine: OpenEngine, tls_port: int, authority: Authority, stack: Stack) -> None:
    cert, key = authority.issue("guardian")
    settings = EngineSettings(url=f"tcp://127.0.0.1:{tls_port}", tls_ca=authority.file, tls_cert=cert, tls_key=key)
    engine = open_engine("far", settings)
    await try_out(engine, stack)


async def test_tls_with_a_foreign_authority(open_engine: OpenEngine, tls_port: int, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    cert, key = other.issue("guardian")
    url = f"tcp://127.0.0.1:{tls_port}"
    engine = open_engine("far", EngineSettings(url=url, tls_ca=other.file, tls_cert=cert, tls_key=key))
    with pytest.raises(SystemUnavailable, match=r"(?i)certificate"):
        await engine.info()


async def test_invalid_tls_files_are_named(open_engine: OpenEngine, tls_port: int, tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("nothing")
    engine = open_engine("far", EngineSettings(url=f"tcp://127.0.0.1:{tls_port}", tls_ca=junk))
    with pytest.raises(SettingsError, match=r"'far'.*TLS files"):
        await engine.info()


async def test_plain_tcp(open_engine: OpenEngine, docker_host: str, stack: Stack) -> None:
    async with on_port(forward_to(docker_host.removeprefix("unix://")), None) as port:
        engine = open_engine("proxy", EngineSettings(url=f"tcp://127.0.0.1:{port}"))
        assert (await engine.info()).version
        assert await engine.containers(only=["nobody"]) == []


# -- ssh -----------------------------------------------------------------------------------------------------------


def fake_ssh(home: Path, real: str, problem: str = "") -> Path:
    """A program that takes ssh's arguments, writes them down and forwards the socket itself."""
    program = home / "ssh"
    program.write_text(
        textwrap.dedent(f"""\
        #!/usr/bin/env python3
        import os, socket, sys, threading
        open({str(home / "calls")!r}, "a").write(repr(sys.argv[1:]) + "\\n")
        open({str(home / "pid")!r}, "w").write(str(os.getpid()))
        if {problem!r}:
            sys.exit({problem!r})
        local = sys.argv[sys.argv.index("-L") + 1].partition(":")[0]
        server = socket.socket(socket.AF_UNIX)
        server.bind(local)
        server.listen(64)

        def pump(source, target):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

        while True:
            near, _ = server.accept()
            far = socket.socket(socket.AF_UNIX)
            far.connect({real!r})
            for pair in ((near, far), (far, near)):
                threading.Thread(target=pump, args=pair, daemon=True).start()
        """)
    )
    program.chmod(0o755)
    return program


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_ssh_forwards_the_socket(open_engine: OpenEngine, tmp_path: Path, docker_host: str, stack: Stack) -> None:
    program = fake_ssh(tmp_path, docker_host.removeprefix("unix://"))
    key = tmp_path / "id"
    settings = EngineSettings(url="ssh://ada@far.example:2222", ssh_key=key)
    engine = open_engine("far", settings, ssh_program=str(program))
    await try_out(engine, stack)
    said = (tmp_path / "calls").read_text()
    for part in ("'BatchMode=yes'", "'ServerAliveInterval=10'", "'ExitOnForwardFailure=yes'", f"'-i', '{key}'"):
        assert part in said
    assert "'-p', '2222'" in said
    assert ":/var/run/docker.sock', '--', 'ada@far.example'" in said
    pid = int((tmp_path / "pid").read_text())
    assert lives(pid)
    await engine.close()  # once more by the fixture: closing twice does no harm
    assert not lives(pid)


async def test_ssh_that_dies_is_started_again(open_engine: OpenEngine, tmp_path: Path, docker_host: str) -> None:
    program = fake_ssh(tmp_path, docker_host.removeprefix("unix://"))
    engine = open_engine("far", EngineSettings(url="ssh://far.example"), ssh_program=str(program))
    await engine.info()
    first = int((tmp_path / "pid").read_text())
    os.kill(first, 9)

    async def answers() -> bool:
        try:
            return bool((await engine.info()).version) and int((tmp_path / "pid").read_text()) != first
        except SystemUnavailable:
            return False

    await eventually(answers, 10)
    assert len((tmp_path / "calls").read_text().splitlines()) == 2


async def test_ssh_that_is_refused_says_why(open_engine: OpenEngine, tmp_path: Path) -> None:
    program = fake_ssh(tmp_path, "", "ada@far.example: Permission denied (publickey).")
    engine = open_engine("far", EngineSettings(url="ssh://ada@far.example"), ssh_program=str(program))
    with pytest.raises(SystemUnavailable, match=r"'far'.*Permission denied \(publickey\)"):
        await engine.info()


async def test_without_an_ssh_client(open_engine: OpenEngine, tmp_path: Path) -> None:
    engine = open_engine("far", EngineSettings(url="ssh://far.example"), ssh_program=str(tmp_path / "none"))
    with pytest.raises(SystemUnavailable, match="install an SSH client"):
        await engine.info()


async def test_the_system_s_ssh_takes_our_arguments(open_engine: OpenEngine) -> None:
    """Nobody listens on port 1 of this machine: ssh understands everything and says so."""
    engine = open_engine("far", EngineSettings(url="ssh://ada@127.0.0.1:1", timeout_s=5))
    with pytest.raises(SystemUnavailable, match=r"(?i)connection refused|install an SSH client"):
        await engine.info()
