"""/status with 100 containers, from the message written to the answer in the chat; and 200 messages at once.

Telegram takes about one message a second in a chat, in bursts of a few, and the program keeps to that. So the requests
come from twenty people in turn, each in a chat of their own and at most every 1.1 seconds: none waits for the pace.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import time
from collections.abc import Sequence

from bench.common import Report, numbered_names, open_bed, percentile, spread, start_services
from bench.program import cpu_s, pid_of, prepared_world, start_program, temporary_home, until_settled
from playground.chats.chat_people import PlaygroundPerson
from tests.e2e.world import World
from tests.testbed.world import eventually

CONTAINERS, PEOPLE, REQUESTS, EACH = 100, 20, 100, 10
STATUS_LIMIT_MS = 50.0
FIRST_PERSON = 2001
REST_S = 1.1
FLOOD_LIMIT_S = 60.0
BURST, PER_S = 4, 1.0
"""The pace of one chat, as the program keeps it."""


def main() -> int:
    """Measure; 1 when a limit is missed or a message was lost."""
    report = Report("/status, and many people at once")
    with open_bed() as (found, stack), temporary_home() as place:
        names = numbered_names("sleeper", CONTAINERS)
        start_services(stack, names)
        ids = list(range(FIRST_PERSON, FIRST_PERSON + PEOPLE))

        async def measure() -> None:
            async with prepared_world(
                stack, found.docker_host, place, INFRAGUARDIAN_TELEGRAM__VIEWERS=str(ids)
            ) as made:
                people = [made.chat_server.person(one, f"Person {one}") for one in ids]
                await start_program(made)
                await _until_sampled(made)
                await until_settled(made)
                await _one_after_another(report, people, pid_of(made))
                await asyncio.sleep(BURST / PER_S + 1)  # every chat may burst again
                await _all_at_once(report, people, names)

        asyncio.run(measure())
    return report.finish()


async def _until_sampled(made: World) -> None:
    """Wait until the answer holds what it holds in daily life: every container, and the use of all."""
    async with asyncio.timeout(60):
        while True:
            before = made.ada.chat.last_id
            await made.ada.say("/status")
            shown = await made.ada.chat.next_message(after=before, timeout_s=20)
            if f"{CONTAINERS}/{CONTAINERS}" in shown.text and "%" in shown.text:
                return
            await asyncio.sleep(REST_S)


async def _one_after_another(report: Report, people: Sequence[PlaygroundPerson], pid: int) -> None:
    asked = dict.fromkeys((one.id for one in people), 0.0)
    took: list[float] = []
    used = cpu_s(pid)
    for number in range(REQUESTS):
        person = people[number % len(people)]
        await asyncio.sleep(max(0.0, asked[person.id] + REST_S - time.monotonic()))
        after, began = person.chat.last_id, time.monotonic()
        asked[person.id] = began
        await person.say("/status")
        shown = await person.chat.next_message(after=after)
        took.append(1000 * (shown.sent_at - began))
    name = f"/status of {CONTAINERS} containers, update in → answer out"
    report.add(f"{name}, p95", percentile(took, 95), "ms", limit=STATUS_LIMIT_MS, note=f"of {REQUESTS}")
    report.add(f"{name}, median", statistics.median(took), "ms", note=spread(took, "ms"))
    report.add(
        "CPU time of the program per request", 1000 * (cpu_s(pid) - used) / REQUESTS, "ms", note="watching included"
    )


async def _all_at_once(report: Report, people: Sequence[PlaygroundPerson], names: Sequence[str]) -> None:
    """Each person asks after ten services without waiting; each answer names its service."""
    asked = {one.id: [names[(number * EACH + index) % len(names)] for index in range(EACH)]
             for number, one in enumerate(people)}  # fmt: skip
    after = {one.id: one.chat.last_id for one in people}
    began = time.monotonic()
    for index in range(EACH):
        for person in people:
            await person.say(f"/health {asked[person.id][index]}")
    with contextlib.suppress(AssertionError):  # what is missing then is counted below
        await eventually(
            lambda: all(len(_answers(one, after[one.id])) >= EACH for one in people), FLOOD_LIMIT_S, what="all answers"
        )
    told = {one.id: [text for text, _ in _answers(one, after[one.id])] for one in people}
    count = sum(map(len, told.values()))
    in_order = all(all(name in text for name, text in zip(asked[one.id], told[one.id], strict=False)) for one in people)
    report.must("none lost, none twice", holds=all(len(one) == EACH for one in told.values()), note=f"{count} of 200")
    report.must("order kept in every chat", holds=in_order)
    firsts = [min(at for _, at in _answers(one, after[one.id])) - began for one in people]
    last = max(at for one in people for _, at in _answers(one, after[one.id])) - began
    report.add("the 20 first answers, slowest", max(firsts), "s", note=spread(firsts))
    least = (EACH - BURST) / PER_S
    report.add("all 200 answers", last, "s", note=f"the pace of a chat alone takes {least:.0f} s for {EACH} answers")


def _answers(person: PlaygroundPerson, after: int) -> list[tuple[str, float]]:
    return [(one.text, one.sent_at) for one in person.chat.bot_messages if one.id > after]


if __name__ == "__main__":
    sys.exit(main())
