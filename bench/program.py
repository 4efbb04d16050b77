"""The program under measurement: a process of its own with its default settings."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from playground.server import BotApiServer
from tests.e2e.world import World
from tests.testbed.stack import Stack
from tests.testbed.world import eventually

TOKEN = "700000002:local-chat-server-of-the-measurements"
AS_SHIPPED = {
    "PYTHONDONTWRITEBYTECODE": "",  # an installed program is compiled
    "INFRAGUARDIAN_TELEGRAM__ALERT_CHATS": "[]",
    "INFRAGUARDIAN_TELEGRAM__GROUP_EDIT_PACE_S": "4",
    "INFRAGUARDIAN_TELEGRAM__POLL_TIMEOUT_S": "30",
    "INFRAGUARDIAN_TELEGRAM__EDIT_PACE_S": "1.5",
    "INFRAGUARDIAN_WATCH__POLL_S": "10",
    "INFRAGUARDIAN_WATCH__STATS_S": "10",
    "INFRAGUARDIAN_VERIFICATION__WINDOW_S": "30",
    "INFRAGUARDIAN_VERIFICATION__POLL_S": "2",
}
"""Settings that undo the haste of the tests' world: figures are about the defaults, with cards in the admin's chat."""
SETTLED_S = 3.0
TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def temporary_home() -> Iterator[Path]:
    """Make an empty data directory for one run of the program."""
    with TemporaryDirectory(prefix="infraguardian-bench-") as made:
        yield Path(made)


@asynccontextmanager
async def prepared_world(stack: Stack, docker_host: str, at: Path, **settings: str) -> AsyncIterator[World]:
    """Prepare a chat server and the program, not started yet; prints the program's output when something fails."""
    async with BotApiServer(token=TOKEN, state_path=at / "chat.db") as chat_server:
        made = World(
            chat_server=chat_server, stack=stack, docker_host=docker_host, home=at, settings=AS_SHIPPED | settings
        )
        try:
            yield made
        finally:
            if made.process is not None and made.process.returncode is None:
                await made.stop()


async def start_program(made: World) -> float:
    """Start the program; returns the seconds until its first getUpdates waits at the chat server."""
    began = time.monotonic()
    await made.start()
    return time.monotonic() - began


async def until_on_guard(made: World) -> None:
    """Wait until it has greeted: everything is started."""
    await eventually(lambda: made.log().count("\n") > 0, 20, what="the program's greeting")


async def until_settled(made: World, limit_s: float = 60.0) -> None:
    """Wait until loading has ended: less than a tenth of a core is used."""
    async with asyncio.timeout(limit_s):
        used, before = cpu_s(pid_of(made)), 0.0
        while used - before > 0.1 * SETTLED_S:
            await asyncio.sleep(SETTLED_S)
            used, before = cpu_s(pid_of(made)), used


def pid_of(made: World) -> int:
    """Return the id of the program's process."""
    if made.process is None:
        raise AssertionError("the program was not started")
    return made.process.pid


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process and of its children, in MB (1,000,000 bytes)."""
    return sum(_rss_kb(one) for one in (pid, *_children(pid))) * 1024 / 1e6


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process and of its finished children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS


def _rss_kb(pid: int) -> int:
    for row in Path(f"/proc/{pid}/status").read_text().splitlines():
        if row.startswith("VmRSS:"):
            return int(row.split()[1])
    return 0


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
