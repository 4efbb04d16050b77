"""What every way of delivering runs must keep, in one process and over PostgreSQL."""

import asyncio
import sys
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from core.errors import SystemUnavailable
from core.runs import Done, Priority, Run, Runs, RunState, Waiting
from knowledge.database import Database
from tests.knowledge.runs import CLOCK, PACE, Bench, make_runs, reach
from tests.knowledge.tools import until


async def test_a_run_is_carried_to_its_end(runs: Runs) -> None:
    async def add(run: Run) -> Done:
        assert run.state is RunState.RUNNING
        return Done(result={"sum": run.payload["a"], "list": [1, None]})

    runs.register("add", add)
    await runs.start()
    assert await runs.submit("add", "k", {"a": 2})
    run = await reach(runs, "k", RunState.DONE)
    assert (run.result, run.payload, run.kind) == ({"sum": 2, "list": [1, None]}, {"a": 2}, "add")
    assert not await runs.cancel("k")
    assert not await runs.revive("k")
    assert await runs.get("other") is None


async def test_a_key_is_submitted_once(runs: Runs) -> None:
    seen: list[str] = []

    async def note(run: Run) -> Done:
        seen.append(str(run.payload["from"]))
        return Done()

    runs.register("note", note)
    await runs.start()
    accepted = await asyncio.gather(*(runs.submit("note", "k", {"from": str(n)}) for n in range(10)))
    await reach(runs, "k", RunState.DONE)
    assert accepted.count(True) == 1
    assert seen == [str(accepted.index(True))]


async def test_a_run_submitted_before_the_start_is_done(runs: Runs) -> None:
    async def end(_: Run) -> Done:
        return Done()

    runs.register("end", end)
    assert await runs.submit("end", "k", {})
    await runs.start()
    await reach(runs, "k", RunState.DONE)


async def test_the_highest_priority_goes_first(bench: Bench) -> None:
    order: list[str] = []

    async def note(run: Run) -> Done:
        order.append(run.key)
        return Done()

    runs = bench.new(replace(PACE, concurrency=1))
    runs.register("note", note)
    for key, priority in (("low", Priority.LOW), ("normal", Priority.NORMAL), ("high", Priority.HIGH)):
        await runs.submit("note", key, {}, priority=priority)
    await runs.start()
    for key in ("low", "normal", "high"):
        await reach(runs, key, RunState.DONE)
    assert order == ["high", "normal", "low"]


async def test_a_due_time_is_kept(runs: Runs) -> None:
    began: list[float] = []
    loop = asyncio.get_running_loop()

    async def note(_: Run) -> Done:
        began.append(loop.time())
        return Done()

    runs.register("note", note)
    await runs.start()
    submitted = loop.time()
    await runs.submit("note", "k", {}, due=CLOCK.now() + timedelta(seconds=0.4))
    await reach(runs, "k", RunState.DONE)
    assert 0.39 <= began[0] - submitted < 3


async def test_a_run_waits_until_its_moment(runs: Runs) -> None:
    looks: list[float] = []
    loop = asyncio.get_running_loop()

    async def twice(_: Run) -> Done | Waiting:
        looks.append(loop.time())
        return Waiting(until=CLOCK.now() + timedelta(seconds=0.3)) if len(looks) == 1 else Done()

    runs.register("twice", twice)
    await runs.start()
    await runs.submit("twice", "k", {})
    await reach(runs, "k", RunState.DONE)
    assert len(looks) == 2
    assert 0.28 <= looks[1] - looks[0] < 3


@pytest.mark.parametrize("moment", ["before the look", "during the look", "while it leaves", "after it left", "often"])
async def test_no_wake_is_lost(runs: Runs, moment: str) -> None:
    """A decision falls at each moment of a look; the run must see it, whichever it was."""
    is_decided = False
    looks = 0
    has_looked, may_leave = asyncio.Event(), asyncio.Event()

    async def look(_: Run) -> Done | Waiting:
        nonlocal looks
        looks += 1
        if moment == "before the look" and looks == 1:
            await decide()
        found = is_decided
        has_looked.set()
        if looks == 1:
            await may_leave.wait()
        return Done() if found else Waiting()

    async def decide() -> None:
        nonlocal is_decided
        is_decided = True
        await runs.wake("k")

    runs.register("look", look)
    await runs.start()
    await runs.submit("look", "k", {})
    await has_looked.wait()
    if moment == "during the look":
        await decide()
        may_leave.set()
    elif moment == "while it leaves":
        may_leave.set()
        await decide()
    elif moment == "after it left":
        may_leave.set()
        await reach(runs, "k", RunState.WAITING)
        await decide()
    elif moment == "often":
        may_leave.set()
        for _ in range(20):
            await runs.wake("k")
        await decide()
    else:
        may_leave.set()
    await reach(runs, "k", RunState.DONE)


@pytest.mark.parametrize("turns", range(8))
async def test_no_wake_is_lost_whatever_the_timing(runs: Runs, turns: int) -> None:
    is_decided = False
    has_looked = asyncio.Event()

    async def look(_: Run) -> Done | Waiting:
        found = is_decided
        has_looked.set()
        return Done() if found else Waiting()

    runs.register("look", look)
    await runs.start()
    await runs.submit("look", "k", {})
    await has_looked.wait()
    for _ in range(2**turns - 1):
        await asyncio.sleep(0)
    is_decided = True
    await runs.wake("k")
    await reach(runs, "k", RunState.DONE)


async def test_waking_a_finished_or_unknown_run_does_nothing(runs: Runs) -> None:
    looks: list[str] = []

    async def end(run: Run) -> Done:
        looks.append(run.key)
        return Done()

    runs.register("end", end)
    await runs.start()
    await runs.submit("end", "k", {})
    await reach(runs, "k", RunState.DONE)
    await runs.wake("k")
    await runs.wake("nobody")
    await runs.submit("end", "k2", {})
    await reach(runs, "k2", RunState.DONE)
    assert looks == ["k", "k2"]


async def test_a_waiting_run_is_cancelled(runs: Runs) -> None:
    async def wait(_: Run) -> Waiting:
        return Waiting()

    runs.register("wait", wait)
    await runs.start()
    await runs.submit("wait", "k", {})
    await reach(runs, "k", RunState.WAITING)
    assert await runs.cancel("k")
    assert not await runs.cancel("k")
    await runs.wake("k")
    run = await runs.get("k")
    assert run is not None
    assert run.state is RunState.CANCELLED


async def test_a_running_handler_is_cancelled(runs: Runs) -> None:
    began, cut = asyncio.Event(), asyncio.Event()

    async def hang(_: Run) -> Done:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cut.set()
            raise
        return Done()

    runs.register("hang", hang)
    await runs.start()
    await runs.submit("hang", "k", {})
    await began.wait()
    assert await runs.cancel("k")
    async with asyncio.timeout(8):
        await cut.wait()
    await reach(runs, "k", RunState.CANCELLED)


async def test_a_run_that_fails_too_often_is_dead_until_it_is_revived(runs: Runs) -> None:
    tries: list[int] = []
    is_broken = True

    async def fail(run: Run) -> Done:
        tries.append(run.tries)
        if is_broken:
            raise RuntimeError("the engine is on fire")
        return Done()

    runs.register("fail", fail, tries=3)
    await runs.start()
    await runs.submit("fail", "k", {})
    dead = await reach(runs, "k", RunState.DEAD)
    assert (tries, dead.tries) == ([0, 1, 2], 3)
    assert "on fire" in dead.error
    assert [run.key for run in await runs.list(state=RunState.DEAD)] == ["k"]
    is_broken = False
    assert await runs.revive("k")
    done = await reach(runs, "k", RunState.DONE)
    assert done.tries == 0


async def test_one_handler_at_a_time_per_key_and_few_at_once(runs: Runs) -> None:
    inside: Counter[str] = Counter()
    most_per_key, most, looks = 0, 0, 0

    async def look(run: Run) -> Done | Waiting:
        nonlocal most, most_per_key, looks
        looks += 1
        inside[run.key] += 1
        most_per_key = max(most_per_key, inside[run.key])
        most = max(most, inside.total())
        await asyncio.sleep(0.002)
        inside[run.key] -= 1
        return Waiting() if looks < 60 else Done()

    runs.register("look", look)
    await runs.start()
    keys = [f"k{n}" for n in range(9)]
    for key in keys:
        await runs.submit("look", key, {})

    async def all_done() -> bool:
        for key in keys:
            await runs.wake(key)
        return len(await runs.list(state=RunState.DONE)) == len(keys)

    await until(all_done, within_s=30)
    assert most_per_key == 1
    assert most <= PACE.concurrency


async def test_runs_are_listed_newest_first(runs: Runs) -> None:
    async def end(_: Run) -> Done:
        return Done()

    runs.register("end", end)
    runs.register("later", end)
    await runs.start()
    await runs.submit("end", "a", {})
    await runs.submit("later", "b", {}, due=CLOCK.now() + timedelta(hours=1))
    await reach(runs, "a", RunState.DONE)
    assert [run.key for run in await runs.list()] == ["b", "a"]
    assert [run.key for run in await runs.list(kind="end")] == ["a"]
    assert [run.key for run in await runs.list(state=RunState.QUEUED)] == ["b"]
    assert [run.key for run in await runs.list(limit=1)] == ["b"]


async def test_a_stop_leaves_the_work_to_the_next_start(bench: Bench) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def hang(_: Run) -> Done:
        began.set()
        await asyncio.Event().wait()
        return Done()

    async def end(_: Run) -> Done:
        ended.set()
        return Done()

    first, second = bench.new(), bench.new()
    first.register("work", hang)
    await first.start()
    await first.submit("work", "k", {})
    await began.wait()
    await first.stop()
    second.register("work", end)
    await second.start()
    async with asyncio.timeout(10):
        await ended.wait()
    await reach(second, "k", RunState.DONE)


async def test_a_killed_process_loses_no_run(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "said"
    command = [sys.executable, "-m", "tests.knowledge.run_worker", bench.kind, bench.url, str(file)]
    worker = await asyncio.create_subprocess_exec(*command)
    try:
        await until(lambda: file.exists() and len(file.read_text().splitlines()) >= 2, within_s=30)
        await reach(bench.new(), "w1", RunState.WAITING)
    finally:
        worker.kill()
        async with asyncio.timeout(10):
            await worker.wait()
    is_woken = False

    async def end(_: Run) -> Done:
        return Done(result={"by": "another"})

    async def wait(_: Run) -> Done | Waiting:
        return Done() if is_woken else Waiting()

    runs = bench.new()
    runs.register("hang", end)
    runs.register("wait", wait)
    await runs.start()
    await runs.wake("h1")  # a job of its own, while the dead worker's still counts as running
    run = await reach(runs, "h1", RunState.DONE)
    assert run.result == {"by": "another"}
    is_woken = True
    await runs.wake("w1")
    await reach(runs, "w1", RunState.DONE)


async def test_work_goes_on_after_the_database_cut_every_connection(postgres_url: str, postgres_plain_url: str) -> None:
    async def end(_: Run) -> Done:
        return Done()

    async with Database(postgres_url) as database:
        runs = make_runs("procrastinate", database, CLOCK)
        runs.register("end", end)
        await runs.start()
        try:
            await runs.submit("end", "before", {})
            await reach(runs, "before", RunState.DONE)
            async with await psycopg.AsyncConnection.connect(postgres_plain_url, autocommit=True) as admin:
                others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                await admin.execute(f"{others} AND datname = current_database()")
            await until(lambda: can_submit(runs, "after"))
            await reach(runs, "after", RunState.DONE)
        finally:
            await runs.stop()


async def can_submit(runs: Runs, key: str) -> bool:
    try:
        return await runs.submit("end", key, {}) or await runs.get(key) is not None
    except SystemUnavailable:
        return False
