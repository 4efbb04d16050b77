"""Run shell commands as Dokploy does, with a `docker` that talks to the engine of the tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from tests.standins.dokploy.calls import Refusal, failed

LIMIT_S = 180.0


class ShellFailed(Exception):
    """A command ended with another code than 0. `text`: Dokploy's words, command and error output whole."""

    def __init__(self, command: str, said: str) -> None:
        self.text = f"Command failed: {command}\n{said}"
        super().__init__(self.text)

    def refusal(self) -> Refusal:
        """As an answer."""
        return failed(self.text)


@dataclass(kw_only=True)
class Shell:
    """`bin_dir` holds the wrapped docker and stands first in PATH."""

    bin_dir: Path
    docker_host: str
    docker_config: str

    def prepare(self) -> None:
        """Write the wrapper: commands run under `env -i`, so no variable of ours would reach docker."""
        self.bin_dir.mkdir(parents=True, exist_ok=True)
        real = shutil.which("docker")
        if real is None:
            raise RuntimeError("the stand-in needs the docker command line: run `make testbed`")
        wrapper = self.bin_dir / "docker"
        host, config = shlex.quote(self.docker_host), shlex.quote(self.docker_config)
        wrapper.write_text(f'#!/bin/sh\nexport DOCKER_HOST={host} DOCKER_CONFIG={config}\nexec {real} "$@"\n')
        wrapper.chmod(0o755)

    async def run(self, command: str, *, cwd: Path | None = None) -> str:
        """Its output; ShellFailed with Dokploy's words when it fails. Ends with all its children when cancelled."""
        if cwd is not None and not await asyncio.to_thread(cwd.is_dir):
            raise failed("spawn /bin/sh ENOENT")
        process = await asyncio.create_subprocess_exec(
            "/bin/bash",
            "-c",
            command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=cwd,
            env=self._environment(),
            start_new_session=True,
        )
        try:
            out, error = await asyncio.wait_for(process.communicate(), LIMIT_S)
        except (TimeoutError, asyncio.CancelledError):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            raise
        if process.returncode != 0:
            raise ShellFailed(command, error.decode(errors="replace"))
        return out.decode(errors="replace")

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
        return {**kept, "PATH": f"{self.bin_dir}:{os.environ['PATH']}", "GIT_TERMINAL_PROMPT": "0"}
