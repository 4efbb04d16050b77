"""Counts the program's files that four flows pass through: an event to its card, a tap to its action, a question to its
answer by rules, a deploy to its verdict.

The real program runs as a process, and notes each file of its own in which a function is called meanwhile, the
background's few included. Fewer files mean that a reader finds the flow sooner. Libraries and the chat server do not
count.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import docker

from bench.common import Report, open_bed
from playground.server import BotApiServer
from tests.e2e.dokploy_world import GOOD, DokployWorld
from tests.e2e.world import World
from tests.standins.dokploy import DokployStandin
from tests.testbed import engine
from tests.testbed.stack import HTTP_PROBE, Stack
from tests.testbed.state import Bed
from tests.testbed.world import eventually

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "700000003:local-chat-server-of-the-flows-aaaaa"
QUESTION = "why is api down?"
BEFORE = {"event to card": 85, "tap to action": 83, "question to answer": 55, "deploy to verdict": 143}
"""Counted by this benchmark on the layout before packages by noun: the limits are two thirds of them."""


class Flows:
    """The program with its notes: `async with flows.window("event to card"):` counts what runs inside."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.output = world.home / "flow.txt"
        self.files: dict[str, list[str]] = {}

    def settings(self) -> dict[str, str]:
        """Environment variables that let Python load the notes at the start."""
        return {
            "PYTHONPATH": f"{ROOT}:{ROOT / 'bench' / 'flow_trace'}",
            "FLOW_TRACE_ROOT": str(ROOT),
            "FLOW_TRACE_OUTPUT": str(self.output),
        }

    @asynccontextmanager
    async def window(self, name: str) -> AsyncIterator[None]:
        """Count the files that run until the block ends."""
        assert self.world.process is not None
        self.output.unlink(missing_ok=True)
        self.world.process.send_signal(signal.SIGUSR1)
        await asyncio.sleep(0.05)
        yield
        self.world.process.send_signal(signal.SIGUSR2)
        await eventually(self.output.exists, 10, what="the notes of the program")
        self.files[name] = self.output.read_text().splitlines()


def main() -> int:
    """Measure; 1 when a flow passes more than two thirds of what it passed before."""
    parser = argparse.ArgumentParser(prog="python -m bench.bench_flows", description=__doc__)
    parser.add_argument("--each", action="store_true", help="print every file")
    options = parser.parse_args()
    report = Report("Files passed by a flow")
    with open_bed() as (found, stack), TemporaryDirectory(prefix="infraguardian-bench-") as made:
        files = asyncio.run(_incident(stack, found, Path(made)))
        with engine.connect(found.docker_host, timeout_s=120) as client:
            home = Path(made) / "dokploy"
            with DokployStandin(
                docker_host=found.docker_host, docker_config=found.compose_config, home=home
            ) as dokploy:
                files |= asyncio.run(_deploy(stack, found, Path(made), dokploy, client))
    for name, paths in files.items():
        report.add(name, len(paths), "", limit=BEFORE[name] * 2 // 3, note=f"{BEFORE[name]} before")
        for path in paths if options.each else ():
            report.say(path.removeprefix(f"{ROOT}/"))
    return report.finish()


@asynccontextmanager
async def _world(stack: Stack, found: Bed, home: Path) -> AsyncIterator[Flows]:
    await asyncio.to_thread(home.mkdir, exist_ok=True)
    async with BotApiServer(token=TOKEN, state_path=home / "chat.db") as server:
        world = World(chat_server=server, stack=stack, docker_host=found.docker_host, home=home)
        try:
            yield Flows(world)
        finally:
            await world.stop()


async def _incident(stack: Stack, found: Bed, at: Path) -> dict[str, list[str]]:
    stack.service("api", healthcheck=HTTP_PROBE)
    async with _world(stack, found, at / "incident") as flows:
        world = flows.world
        await world.start(**flows.settings())
        await asyncio.sleep(5)  # what is loaded after the start is loaded
        async with flows.window("event to card"):
            stack.containers["api"].kill(signal="SIGKILL")
            await world.card("api", timeout_s=60)
        await world.card("Approve", timeout_s=60)
        async with flows.window("question to answer"):
            await world.ask(world.ada, QUESTION, "api", timeout_s=30)
        async with flows.window("tap to action"):
            await world.tap("Approve")
            await eventually(lambda: stack.state("api")["Running"], 30, what="the repair")
        return flows.files


async def _deploy(
    stack: Stack, found: Bed, at: Path, dokploy: DokployStandin, client: docker.DockerClient
) -> dict[str, list[str]]:
    async with _world(stack, found, at / "deploy") as flows:
        shop = DokployWorld(world=flows.world, dokploy=dokploy, client=client, image=found.image)
        await shop.stack("granada", shop.file(api=GOOD))
        await shop.start("granada", **flows.settings())
        await asyncio.sleep(5)
        async with flows.window("deploy to verdict"):
            sent = await shop.order("/deploy granada new prices", timeout_s=60)
            await shop.private("granada", "1 of 1 service healthy for", after=sent, timeout_s=120)
        return flows.files


if __name__ == "__main__":
    sys.exit(main())
