"""Tools of every measurement: a report with limits, and many small containers on the real engine."""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

from tests.testbed import bring_up, engine
from tests.testbed.stack import Stack, new_stack
from tests.testbed.state import Bed

SLEEP = ("sleep", "infinity")
PARALLEL_CONTAINERS = 4
"""Number of containers made or removed at a time."""
MISSED, FINE = 1, 0


class Report:
    """Prints each figure as it is known; the exit code says whether every limit was kept."""

    def __init__(self, title: str) -> None:
        self._missed: list[str] = []
        print(f"{title}  ({os.cpu_count()} cores, load {os.getloadavg()[0]:.1f})", flush=True)

    def add(self, name: str, value: float, unit: str, *, limit: float | None = None, note: str = "") -> None:
        """Add a figure, which may be at most `limit` if given."""
        is_missed = limit is not None and value > limit
        if is_missed:
            self._missed.append(name)
        mark = "" if limit is None else "MISSED" if is_missed else "ok"
        bound = "" if limit is None else f"≤ {limit:g} {unit}"
        print(f"  {mark:<6} {name:<52} {value:>9.3f} {unit:<3} {bound:<12} {note}".rstrip(), flush=True)

    def say(self, words: str) -> None:
        """Print a line that is no figure."""
        print(f"         {words}", flush=True)

    def must(self, name: str, *, holds: bool, note: str = "") -> None:
        """Add a requirement that holds or not."""
        if not holds:
            self._missed.append(name)
        print(f"  {'ok' if holds else 'MISSED':<6} {name}  {note}".rstrip(), flush=True)

    def finish(self) -> int:
        """Return the exit code, after printing the machine's load."""
        verdict = f"missed: {', '.join(self._missed)}" if self._missed else "all within their limits"
        print(f"  {verdict}  (load {os.getloadavg()[0]:.1f})", flush=True)
        return MISSED if self._missed else FINE


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile, which is always a measured value."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share / 100 * len(ordered)) - 1)]


def spread(values: Sequence[float], unit: str = "s") -> str:
    """Format minimum, median and maximum of some measurements."""
    return f"min {min(values):.3f}, median {statistics.median(values):.3f}, max {max(values):.3f} {unit}"


@contextmanager
def open_bed() -> Iterator[tuple[Bed, Stack]]:
    """Open the test-bed with an empty stack on its engine; its containers are removed afterwards."""
    found = bring_up.ensure()
    with engine.connect(found.docker_host, timeout_s=120) as client:
        stack = new_stack(client, found.image, "bench")
        try:
            yield found, stack
        finally:
            remove_services(stack, *stack.containers)
            stack.remove()


def start_services(stack: Stack, names: Sequence[str], command: Sequence[str] = SLEEP, **more: Any) -> None:
    """Start a container for each name, some at a time; `more`: see `Stack.service`."""
    first, *rest = names
    stack.service(first, command, **more)  # alone: it makes the network
    with ThreadPoolExecutor(PARALLEL_CONTAINERS, thread_name_prefix="bench") as hands:
        for done in [hands.submit(partial(stack.service, name, command, **more)) for name in rest]:
            done.result()


def remove_services(stack: Stack, *names: str) -> None:
    """Remove these services' containers, some at a time."""
    with ThreadPoolExecutor(PARALLEL_CONTAINERS, thread_name_prefix="bench") as hands:
        gone = [stack.containers.pop(name) for name in names]
        for done in [hands.submit(engine.remove, partial(one.remove, force=True, v=True)) for one in gone]:
            done.result()


def numbered_names(prefix: str, count: int) -> list[str]:
    """`api-001`, `api-002`, …"""
    return [f"{prefix}-{number:03}" for number in range(1, count + 1)]
