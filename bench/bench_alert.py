"""A container dies: how long until its card is in the chat, and until the card says the rules' cause.

Containers of one stack die one after another, each in its own service without dependencies: killed by the kernel for
memory, killed from the host with SIGKILL, and ended by their own error with exit code 1. The program is started anew
several times, so that the first incident after a start, when nothing is warm, counts as often as a start happens.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import sys
import time
from dataclasses import dataclass
from datetime import datetime

from bench.common import Report, open_bed, percentile, remove_services, spread, start_services
from bench.program import prepared_world, start_program, temporary_home, until_on_guard
from playground.chats.chat_records import MessageVersion
from tests.e2e.world import World
from tests.testbed.stack import Stack
from tests.testbed.world import eventually

CONTAINERS = 50
STARTS, INCIDENTS_PER_START = 3, 8
CAUSE_LIMIT_S, CARD_LIMIT_S = 1.5, 0.5
GIVE_UP_S = 30.0
PAUSE_S = 6.0
"""Between two incidents: Telegram takes one message a second per chat; a queue would be another figure."""
MEMORY_LIMIT = "24m"
VICTIM_PROGRAM = """
import signal, sys, time
def eat(*_):
    hold = []
    while True:
        hold.append(bytearray(1 << 20))
def fail(*_):
    print("RuntimeError: the connection pool is exhausted", file=sys.stderr, flush=True)
    sys.exit(1)
signal.signal(signal.SIGUSR1, eat)
signal.signal(signal.SIGUSR2, fail)
print("ready", flush=True)
while True:
    time.sleep(3600)
"""
DEATHS = {"oom": signal.SIGUSR1, "kill": signal.SIGKILL, "exit": signal.SIGUSR2}
BY_RULES = "by a rule"
"""Text beside the cause on a card with a diagnosis by rules."""


@dataclass(frozen=True, kw_only=True)
class AlertTiming:
    """Times of one death, in seconds since the container's process ended."""

    way: str
    is_first: bool
    card_s: float
    cause_s: float


def main() -> int:
    """Measure; 1 when a limit is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.bench_alert", description=__doc__)
    parser.add_argument("--starts", type=int, default=STARTS)
    parser.add_argument("--each", action="store_true", help="print every incident")
    options = parser.parse_args()
    report = Report("Container dies → card")
    seen: list[AlertTiming] = []
    with open_bed() as (found, stack):
        for number in range(options.starts):
            _top_up(stack, f"api{number}")
            seen += asyncio.run(_one_start(stack, found.docker_host))
            remove_services(stack, *[name for name in stack.containers if not stack.state(name)["Running"]])
    if options.each:
        for one in seen:
            report.say(f"{one.way:<5} card {one.card_s:.3f} s, cause {one.cause_s:.3f} s {'first' * one.is_first}")
    return _summary(report, seen)


def _summary(report: Report, seen: list[AlertTiming]) -> int:
    cards, causes = [one.card_s for one in seen], [one.cause_s for one in seen]
    report.say(f"{len(seen)} incidents among {CONTAINERS} containers in {sum(one.is_first for one in seen)} starts")
    report.add("first card, median", statistics.median(cards), "s", limit=CARD_LIMIT_S, note=spread(cards))
    report.add("card with the rules' cause, p95", percentile(causes, 95), "s", limit=CAUSE_LIMIT_S, note=spread(causes))
    firsts = [one.cause_s for one in seen if one.is_first]
    report.add("… the first after a start, slowest", max(firsts), "s", note=spread(firsts))
    for way in DEATHS:
        took = [one.cause_s for one in seen if one.way == way]
        report.add(f"… {way}, median", statistics.median(took), "s", note=spread(took))
    return report.finish()


def _top_up(stack: Stack, prefix: str) -> None:
    """Replace dead containers by new services until there are fifty again."""
    missing = CONTAINERS - len(stack.containers)
    names = [f"{prefix}-{number:02}" for number in range(1, missing + 1)]
    start_services(stack, names, ["python3", "-u", "-c", VICTIM_PROGRAM], mem_limit=MEMORY_LIMIT)


async def _one_start(stack: Stack, docker_host: str) -> list[AlertTiming]:
    ways = list(DEATHS)
    seen: list[AlertTiming] = []
    with temporary_home() as place:
        async with prepared_world(stack, docker_host, place) as made:
            await start_program(made)
            for number, name in enumerate(sorted(stack.containers)[:INCIDENTS_PER_START]):
                way = ways[number % len(ways)]
                card_s, cause_s = await _incident(made, name, way)
                seen.append(AlertTiming(way=way, is_first=number == 0, card_s=card_s, cause_s=cause_s))
                if number == 0:
                    await until_on_guard(made)
                await asyncio.sleep(PAUSE_S)
    return seen


async def _incident(made: World, name: str, way: str) -> tuple[float, float]:
    """Let a service's container die; seconds to its first card, and to the card with its cause."""
    after = made.ada.chat.last_id
    os.kill(int(made.stack.state(name)["Pid"]), DEATHS[way])
    await made.ada.chat.wait_for(
        lambda message: name in message.text and BY_RULES in message.text, after=after, timeout_s=GIVE_UP_S
    )
    died = await _died_at(made.stack, name)
    shown: list[MessageVersion] = [
        version
        for message in made.ada.chat.bot_messages
        if message.id > after
        for version in message.versions
        if name in version.text
    ]
    return min(one.at for one in shown) - died, min(one.at for one in shown if BY_RULES in one.text) - died


async def _died_at(stack: Stack, name: str) -> float:
    """Return the moment on the monotonic clock at which the engine saw the container's process end."""
    state = await eventually(lambda: (found := stack.state(name))["Status"] == "exited" and found, 10)
    finished = datetime.fromisoformat(_microseconds(str(state["FinishedAt"])))
    return finished.timestamp() - time.time() + time.monotonic()


def _microseconds(stamp: str) -> str:
    """Convert `…T10:00:00.123456789Z` into a form that datetime reads."""
    whole, _, rest = stamp.removesuffix("Z").partition(".")
    return f"{whole}.{rest[:6]:0<6}+00:00"


if __name__ == "__main__":
    sys.exit(main())
