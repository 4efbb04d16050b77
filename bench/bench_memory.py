"""Start-up time until the program polls, and its memory: idle, and after every part was used."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time

from bench.common import Report, numbered_names, open_bed, spread, start_services
from bench.program import cpu_s, pid_of, prepared_world, rss_mb, start_program, temporary_home
from tests.e2e.world import World
from tests.testbed.stack import Stack

CONTAINERS = 50
STARTS = 5
START_LIMIT_S = 3.0
IDLE_LIMIT_MB, USED_LIMIT_MB = 180.0, 300.0
SETTLE_S = 20.0
"""Between the last use and the reading: memory that is only borrowed is given back by then."""


def main() -> int:
    """Measure; 1 when a limit is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.bench_memory", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long it is left idle")
    minutes: float = parser.parse_args().minutes
    report = Report("Start and memory")
    with open_bed() as (found, stack):
        start_services(stack, numbered_names("sleeper", CONTAINERS))
        asyncio.run(_starts(report, stack, found.docker_host))
        asyncio.run(_memory(report, stack, found.docker_host, minutes))
    return report.finish()


async def _starts(report: Report, stack: Stack, docker_host: str) -> None:
    """Measure starts with cold records: the first one also makes the database."""
    took: list[float] = []
    again: list[float] = []
    cpu: list[float] = []
    for _ in range(STARTS):
        with temporary_home() as place:
            for times in (took, again):
                async with prepared_world(stack, docker_host, place) as made:
                    times.append(await start_program(made))
                    cpu.append(cpu_s(pid_of(made)))
    report.add("start → polling, new database, median", statistics.median(took), "s", limit=START_LIMIT_S)
    report.say(spread(took))
    report.add("start → polling, next start, median", statistics.median(again), "s", limit=START_LIMIT_S)
    report.say(spread(again))
    report.add("CPU time until it polls, median", statistics.median(cpu), "s", note=spread(cpu))


async def _memory(report: Report, stack: Stack, docker_host: str, minutes: float) -> None:
    with temporary_home() as place:
        async with prepared_world(stack, docker_host, place) as made:
            await start_program(made)
            pid = pid_of(made)
            used = cpu_s(pid)
            await asyncio.sleep(60 * minutes)
            share = 100 * (cpu_s(pid) - used) / (60 * minutes)
            idle = rss_mb(pid)
            report.add(
                f"memory after {minutes:g} idle minutes, {CONTAINERS} containers", idle, "MB", limit=IDLE_LIMIT_MB
            )
            report.add("of one core while idle, start-up included", share, "%")
            await _use_every_part(made)
            await asyncio.sleep(SETTLE_S)
            report.add("memory after every part was used once", rss_mb(pid), "MB", limit=USED_LIMIT_MB)


async def _use_every_part(made: World) -> None:
    """Use every part: an incident repaired and learnt, a chart, a recall, a question without a model."""
    victim, other = sorted(made.stack.containers)[:2]
    made.stack.containers[victim].kill()
    await made.tap("Approve", victim, chat=made.ada.chat, timeout_s=30)
    await made.card("Resolved", chat=made.ada.chat, timeout_s=90)
    for words in (f"/metrics {other}", "/memory", "/incidents", f"/logs {other}", "why is everything so slow today?"):
        before = made.ada.chat.last_id
        await made.ada.say(words)
        await made.ada.chat.next_message(after=before, timeout_s=30)
    await _until_quiet(made)


async def _until_quiet(made: World, rest_s: float = 5.0) -> None:
    """Wait until nothing new has come for a while: slow answers are complete."""
    seen, since = made.ada.chat.last_id, time.monotonic()
    while time.monotonic() - since < rest_s:
        await asyncio.sleep(0.2)
        if made.ada.chat.last_id != seen:
            seen, since = made.ada.chat.last_id, time.monotonic()


if __name__ == "__main__":
    sys.exit(main())
