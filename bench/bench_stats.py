"""One round of resource samples of 100 running containers, out of cgroup files and through the engine's API."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.common import Report, numbered_names, open_bed, percentile, spread, start_services
from core.settings import EngineSettings
from integrations.docker_engine.client.real_engine import RealEngine
from tests.testbed.stack import Stack

CONTAINERS = 100
LOCAL_LIMIT_MS = 50.0
API_LIMIT_RATIO = 1.3
CPU_LIMIT_PCT = 3.0
LOCAL_ROUNDS, API_ROUNDS, SDK_SAMPLES = 30, 7, 5
PAUSE_S = 0.6
"""Between two local rounds: a CPU share over less is not computed."""
ROUND_EVERY_S = 10.0
REQUEST = "GET /containers/{}/stats?stream=false&one-shot=true HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n"


def main() -> int:
    """Measure; 1 when a limit is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.bench_stats", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the use of CPU is measured, each way")
    seconds: float = parser.parse_args().seconds
    report = Report("Rounds of stats")
    with open_bed() as (found, stack):
        start_services(stack, numbered_names("sleeper", CONTAINERS))
        asyncio.run(_measure(report, found.docker_host, stack, seconds))
    return report.finish()


async def _measure(report: Report, docker_host: str, stack: Stack, seconds: float) -> None:
    local = RealEngine("local", EngineSettings(url=docker_host))
    with TemporaryDirectory() as empty:
        remote = RealEngine("remote", EngineSettings(url=docker_host, cgroup_root=Path(empty)))
        try:
            await _rounds(report, local, remote, docker_host, stack)
            await _cpu(report, "out of cgroup files", local, seconds)
            await _cpu(report, "through the API", remote, seconds)
        finally:
            await local.close()
            await remote.close()


async def _rounds(report: Report, local: RealEngine, remote: RealEngine, docker_host: str, stack: Stack) -> None:
    running = await _running(docker_host)
    await local.sample()
    await remote.sample()  # both know the containers now, as after the program's first round
    files = []
    for _ in range(LOCAL_ROUNDS):
        await asyncio.sleep(PAUSE_S)
        files.append(1000 * await _timed(lambda: _whole_round(local)))
    report.say(f"{len(running)} containers run on the engine")
    report.add("one round out of cgroup files, median", statistics.median(files), "ms", limit=LOCAL_LIMIT_MS)
    report.add("one round out of cgroup files, p95", percentile(files, 95), "ms")

    ours, bare = [], []
    for _ in range(API_ROUNDS):
        bare.append(await _timed(lambda: _all_at_once(docker_host, running)))
        ours.append(await _timed(lambda: _whole_round(remote)))
    ratio = statistics.median(ours) / statistics.median(bare)
    report.add("one round through the API, median", statistics.median(ours), "s", note=spread(ours))
    report.add("the bare API asked all at once, median", statistics.median(bare), "s", note=spread(bare))
    report.add("ratio to the bare API", ratio, "×", limit=API_LIMIT_RATIO)

    one = statistics.median([await _timed(partial(_by_sdk, stack, name)) for name in _some(stack)])
    after_another = one * len(running)
    report.add("SDK stats(stream=False), one container, median", one, "s", note=f"of {SDK_SAMPLES} really asked")
    report.add("… one after another, extrapolated", after_another, "s", note=f"× {len(running)}, not run to the end")
    report.add("… is so many times our round through the API", after_another / statistics.median(ours), "×")
    report.add("… is so many times our round out of files", 1000 * after_another / statistics.median(files), "×")


async def _whole_round(engine: RealEngine) -> None:
    taken = await engine.sample()
    if len(taken) < CONTAINERS:
        raise AssertionError(f"a round brought {len(taken)} samples of {CONTAINERS}")


async def _timed(act: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await act()
    return time.perf_counter() - began


def _some(stack: Stack) -> list[str]:
    return sorted(stack.containers)[:SDK_SAMPLES]


async def _by_sdk(stack: Stack, name: str) -> None:
    await asyncio.to_thread(stack.containers[name].stats, stream=False)


async def _cpu(report: Report, how: str, engine: RealEngine, seconds: float) -> None:
    """CPU time of this process while it does nothing but a round every ten seconds."""
    rounds = max(1, round(seconds / ROUND_EVERY_S))
    used, began = time.process_time(), time.perf_counter()
    for number in range(1, rounds + 1):
        await _whole_round(engine)
        await asyncio.sleep(max(0.0, began + number * ROUND_EVERY_S - time.perf_counter()))
    used, lasted = time.process_time() - used, time.perf_counter() - began
    note = f"{rounds} rounds in {lasted:.0f} s, {1000 * used / rounds:.1f} ms of CPU each"
    report.add(f"of one core, a round every 10 s {how}", 100 * used / lasted, "%", limit=CPU_LIMIT_PCT, note=note)


# -- the bare API: what no client can undercut ---------------------------------------------------------------------


async def _running(docker_host: str) -> list[str]:
    raw = await _answer(docker_host, "GET /containers/json HTTP/1.0\r\nHost: docker\r\n\r\n")
    return [str(one["Id"]) for one in json.loads(raw.partition(b"\r\n\r\n")[2])]


async def _all_at_once(docker_host: str, ids: Sequence[str]) -> None:
    answers = await asyncio.gather(*(_answer(docker_host, REQUEST.format(one)) for one in ids))
    bad = [answer[:60] for answer in answers if b" 200 " not in answer[:20]]
    if bad:
        raise AssertionError(f"the engine refused {len(bad)} of {len(answers)}: {bad[0]!r}")


async def _answer(docker_host: str, request: str) -> bytes:
    reader, writer = await asyncio.open_unix_connection(docker_host.removeprefix("unix://"))
    try:
        writer.write(request.encode())
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


if __name__ == "__main__":
    sys.exit(main())
