"""Whoever registered a kind hears once of each dead run, whatever happens in between."""

import asyncio
import sys
from pathlib import Path

import pytest

from core.runs import Done, Priority, Run, Runs, RunState
from knowledge.runs.run_records import CUT_OFF_LIMIT, DEATH_REPORT_TRIES, RunRecords, new_run
from tests.knowledge.failing_database import WRITING, Moment
from tests.knowledge.runs import CLOCK, Bench, reach
from tests.knowledge.tools import until


async def fail(_: Run) -> Done:
    raise RuntimeError("the engine is on fire")


async def test_a_death_is_told_once_each_time(runs: Runs) -> None:
    told: list[Run] = []

    async def on_dead(run: Run) -> None:
        told.append(run)

    runs.register("fail", fail, tries=2, on_dead=on_dead)
    await runs.start()
    await runs.submit("fail", "k", {"n": 1})
    await reach(runs, "k", RunState.DEAD)
    await runs.wake("k")
    ((run,),) = [told]
    assert (run.key, run.payload, run.state, run.tries) == ("k", {"n": 1}, RunState.DEAD, 2)
    assert run.error == "RuntimeError: the engine is on fire"
    assert await runs.revive("k")
    await until(lambda: len(told) == 2)
    await reach(runs, "k", RunState.DEAD)
    assert len(told) == 2


async def test_what_ends_well_or_is_cancelled_is_no_death(runs: Runs) -> None:
    told: list[str] = []
    tries: list[int] = []

    async def on_dead(run: Run) -> None:
        told.append(run.key)

    async def fail_once(run: Run) -> Done:
        tries.append(run.tries)
        if run.tries == 0:
            raise RuntimeError("not yet")
        return Done()

    async def hang(_: Run) -> Done:
        await asyncio.Event().wait()
        return Done()

    runs.register("once", fail_once, tries=2, on_dead=on_dead)
    runs.register("hang", hang, on_dead=on_dead)
    await runs.start()
    await runs.submit("once", "a", {})
    await runs.submit("hang", "b", {})
    await reach(runs, "b", RunState.RUNNING)
    await runs.cancel("b")
    await reach(runs, "a", RunState.DONE)
    assert (told, tries) == ([], [0, 1])


async def test_a_hearer_that_fails_is_told_again_and_not_for_ever(runs: Runs) -> None:
    told: list[str] = []

    async def on_dead(run: Run) -> None:
        told.append(run.key)
        if run.key == "always" or told.count(run.key) == 1:
            raise RuntimeError("I cannot bear it")

    runs.register("fail", fail, tries=1, on_dead=on_dead)
    await runs.start()
    await runs.submit("fail", "once", {})
    await runs.submit("fail", "always", {})
    await reach(runs, "once", RunState.DEAD)
    await reach(runs, "always", RunState.DEAD)
    assert (told.count("once"), told.count("always")) == (2, DEATH_REPORT_TRIES)


@pytest.mark.parametrize("moment", WRITING)
async def test_a_death_in_a_database_fault_is_told_once(bench: Bench, moment: Moment) -> None:
    told: list[str] = []

    async def fail_with_it(_: Run) -> Done:
        bench.database.fail(moment, times=3)
        raise RuntimeError("everything fails")

    async def on_dead(run: Run) -> None:
        told.append(run.key)
        bench.database.fail(moment, times=3)

    runs = bench.new()
    runs.register("fail", fail_with_it, tries=1, on_dead=on_dead)
    await runs.start()
    await runs.submit("fail", "k", {})
    await reach(runs, "k", RunState.DEAD)
    assert told == ["k"]


async def test_a_kill_between_the_last_failure_and_the_telling_loses_nothing(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "mourning"
    command = [sys.executable, "-m", "tests.knowledge.run_mourner", bench.kind, bench.url, str(file)]
    worker = await asyncio.create_subprocess_exec(*command)
    try:
        await until(file.exists, within_s=40)
    finally:
        worker.kill()
        async with asyncio.timeout(10):
            await worker.wait()
    told: list[Run] = []
    looked: list[str] = []

    async def look(run: Run) -> Done:
        looked.append(run.key)
        return Done()

    async def on_dead(run: Run) -> None:
        told.append(run)

    runs = bench.new()
    runs.register("fail", look, tries=2, on_dead=on_dead)
    await runs.start()
    await reach(runs, "k", RunState.DEAD, within_s=20)
    assert [run.error for run in told] == ["RuntimeError: the engine is on fire"]
    assert looked == []  # its tries are used up


@pytest.mark.parametrize(("cut_off", "is_told"), [(0, True), (DEATH_REPORT_TRIES, False)])
async def test_a_telling_that_ends_the_process_is_given_up(bench: Bench, cut_off: int, is_told: bool) -> None:
    told: list[str] = []

    async def on_dead(run: Run) -> None:
        told.append(run.key)

    records = RunRecords(bench.database, CLOCK)
    await records.insert(new_run("fail", "k", {}, Priority.NORMAL, None))
    await records.move("k", state=RunState.RUNNING, tries=2, error="it broke", cut_off=cut_off)
    runs = bench.new()
    runs.register("fail", fail, tries=2, on_dead=on_dead)
    await runs.start()
    dead = await reach(runs, "k", RunState.DEAD)
    assert (told == ["k"]) == is_told
    assert dead.error == "it broke"


async def test_what_ends_the_process_again_and_again_is_dead_and_told(bench: Bench) -> None:
    told: list[str] = []

    async def on_dead(run: Run) -> None:
        told.append(run.error)

    records = RunRecords(bench.database, CLOCK)
    await records.insert(new_run("fail", "k", {}, Priority.NORMAL, None))
    await records.move("k", state=RunState.RUNNING, cut_off=CUT_OFF_LIMIT)
    runs = bench.new()
    runs.register("fail", fail, tries=2, on_dead=on_dead)
    await runs.start()
    dead = await reach(runs, "k", RunState.DEAD)
    assert dead.error == f"it was cut off {CUT_OFF_LIMIT + 1} times, each time with the whole process"
    assert told == [dead.error]
