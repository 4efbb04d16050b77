"""Find the Docker engine of this machine, or run a private one beside it."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
from docker.errors import APIError, DockerException, NotFound

from tests.testbed.state import BedError, cache_dir, run_dir

SYSTEM_SOCKET = Path("/var/run/docker.sock")
START_LIMIT_S = 60
LABEL = "infraguardian.testbed"  # on every container and network that a test makes
# Small networks out of one range: Docker's defaults end after 31 of them.
ADDRESS_POOL = "base=172.28.0.0/14,size=24"


@contextmanager
def connect(docker_host: str, *, timeout_s: int = 30) -> Iterator[docker.DockerClient]:
    """Give a client of that engine and close it afterwards."""
    client = docker.DockerClient(base_url=docker_host, timeout=timeout_s)
    try:
        yield client
    finally:
        client.close()


def answers(docker_host: str) -> bool:
    """Say whether an engine answers at that address within seconds."""
    if docker_host.startswith("unix://") and not Path(docker_host.removeprefix("unix://")).exists():
        return False
    try:
        with connect(docker_host, timeout_s=10) as client:
            return bool(client.ping())
    except (DockerException, OSError):
        return False


def remove(act: Callable[[], object]) -> None:
    """Call the SDK's removal of something; it is no fault when it has gone or is just going."""
    try:
        act()
    except NotFound:
        return
    except APIError as error:
        if error.status_code != 409:
            raise


def find() -> str | None:
    """Return the address of an engine that answers: DOCKER_HOST, the system's, then our private one."""
    named = os.environ.get("DOCKER_HOST")
    if named:
        if not answers(named):
            raise BedError(f"no engine answers at DOCKER_HOST={named!r}: start it, or unset the variable")
        return named
    for address in (f"unix://{SYSTEM_SOCKET}", private_address()):
        if answers(address):
            return address
    return None


def private_address() -> str:
    """Return where the private engine listens when it runs."""
    return f"unix://{run_dir() / 'docker.sock'}"


def start_private() -> str:
    """Start dockerd with its own data, sockets and process file; it outlives this process.

    Raises:
        BedError: dockerd is missing, we are not root, or it did not answer in time.
    """
    program = shutil.which("dockerd")
    if program is None or os.geteuid() != 0:
        raise BedError(
            "no Docker engine answers and none can be started here (that takes root and `dockerd`): "
            "start Docker, or set DOCKER_HOST, then try again"
        )
    stop_private()
    address, log = private_address(), cache_dir() / "dockerd.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            _command(program, address),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            cwd="/",
        )
    give_up = time.monotonic() + START_LIMIT_S
    while not answers(address):
        if process.poll() is not None or time.monotonic() > give_up:
            raise BedError(f"dockerd did not start; the end of {str(log)!r}:\n{_tail(log)}")
        time.sleep(0.1)
    process.returncode = 0  # it is left running on purpose: keep Popen from warning about it
    return address


def _command(program: str, address: str) -> list[str]:
    run = run_dir()
    return [
        program,
        f"--host={address}",
        f"--data-root={cache_dir() / 'docker'}",
        f"--exec-root={run / 'docker'}",
        f"--pidfile={run / 'docker.pid'}",
        f"--default-address-pool={ADDRESS_POOL}",
        "--log-level=warn",
        "--max-concurrent-downloads=1",
    ]


def _tail(log: Path) -> str:
    return log.read_bytes()[-2000:].decode(errors="replace")


def private_pid() -> int | None:
    """Return the process id of our private engine, or None when it does not run."""
    try:
        pid = int((run_dir() / "docker.pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    return pid if f"--pidfile={run_dir() / 'docker.pid'}" in command.split("\0") else None


def stop_private() -> bool:
    """Stop our private engine with its containers; say whether there was one."""
    pid = private_pid()
    if pid is None:
        (run_dir() / "docker.pid").unlink(missing_ok=True)
        return False
    os.kill(pid, signal.SIGTERM)
    give_up = time.monotonic() + 30
    while private_pid() is not None and Path(f"/proc/{pid}").exists():
        if time.monotonic() > give_up:
            os.kill(pid, signal.SIGKILL)
            break
        time.sleep(0.1)
    return True
