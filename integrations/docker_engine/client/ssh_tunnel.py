"""Forwards a remote engine's socket with the system's own `ssh`, which knows the user's keys and known hosts."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from core.errors import SystemUnavailable
from core.settings import EngineSettings
from core.tasks import undone_on_failure

TUNNEL_POLL_S = 0.05
STOP_GRACE_S = 3.0


class SshTunnel:
    """One `ssh -N -L` child. It never prompts (BatchMode), notices a dead peer, and ends with this process."""

    def __init__(self, system: str, target: str, remote: Path, settings: EngineSettings, *, program: str) -> None:
        self._system = system
        self._target = target
        self._remote = remote
        self._settings = settings
        self._program = program
        self._home: Path | None = None
        self._child: asyncio.subprocess.Process | None = None

    @property
    def is_open(self) -> bool:
        """True while the child process lives."""
        return self._child is not None and self._child.returncode is None

    async def open(self) -> Path:
        """Start the child and return the local socket once it accepts connections.

        Raises SystemUnavailable with ssh's message when it ends first.
        """
        self._home = Path(tempfile.mkdtemp(prefix="guardian-ssh-"))
        local = self._home / "docker.sock"
        async with undone_on_failure(self.close):
            await self._spawn(local)
            await self._wait_for(local)
        return local

    async def _spawn(self, local: Path) -> None:
        assert self._home is not None
        program = shutil.which(self._program)
        if program is None:
            raise SystemUnavailable(self._system, f"the program {self._program!r} is missing: install an SSH client")
        with (self._home / "said").open("wb") as said:
            self._child = await asyncio.create_subprocess_exec(
                *_with_parent(),
                program,
                *self._arguments(local),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )

    def _arguments(self, local: Path) -> list[str]:
        connect_s = max(1, int(self._settings.timeout_s) - 1)
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": str(connect_s),
            "ServerAliveInterval": "10",
            "ServerAliveCountMax": "3",
            "ExitOnForwardFailure": "yes",
            "ControlMaster": "no",
            "ControlPath": "none",
        }
        host, colon, port = self._target.rpartition(":")
        return [
            "-N",
            "-T",
            *(part for key, value in options.items() for part in ("-o", f"{key}={value}")),
            *(("-i", str(self._settings.ssh_key)) if self._settings.ssh_key else ()),
            *(("-p", port) if colon else ()),
            "-L",
            f"{local}:{self._remote}",
            "--",
            host if colon else self._target,
        ]

    async def _wait_for(self, local: Path) -> None:
        assert self._child is not None
        while not await _accepts(local):
            if self._child.returncode is not None:
                raise SystemUnavailable(self._system, f"ssh to {self._target!r} ended: {self._last_words()}")
            await asyncio.sleep(TUNNEL_POLL_S)

    def _last_words(self) -> str:
        assert self._home is not None
        said = (self._home / "said").read_bytes()[-2000:].decode(errors="replace").strip()
        return said.splitlines()[-1] if said else "it gave no reason"

    async def close(self) -> None:
        """End the child and remove its socket."""
        if self._child is not None and self._child.returncode is None:
            self._child.terminate()
            try:
                await asyncio.wait_for(self._child.wait(), STOP_GRACE_S)
            except TimeoutError:
                with suppress(ProcessLookupError):
                    self._child.kill()
                await self._child.wait()
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)


def _with_parent() -> list[str]:
    """Return a command prefix that ends the child with this process, even if killed; empty when not possible."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


async def _accepts(path: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(str(path))
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True
