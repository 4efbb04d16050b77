"""What every way of delivering runs must keep while the database is away, and when a run is dead."""

from contextlib import suppress
from datetime import timedelta

import pytest

from core.errors import SystemUnavailable
from core.runs import Done, Priority, Run, Runs, RunState, Waiting
from knowledge.runs.run_records import RunRecords, new_run
from tests.knowledge.failing_database import WRITING, Moment
from tests.knowledge.runs import CLOCK, Bench, reach
from tests.knowledge.tools import until

AWAY_S = 0.6
"""Much longer than the tests' runs need to use up their tries."""


async def wake_surely(runs: Runs, key: str) -> None:
    """Wake a run as its callers do: again, when they hear that it did not work."""

    async def is_woken() -> bool:
        with suppress(SystemUnavailable):
            await runs.wake(key)
            return True
        return False

    await until(is_woken)


@pytest.mark.parametrize("moments", [(Moment.READ, Moment.WRITE), (Moment.COMMIT,), (Moment.ANSWER,)])
async def test_a_waiting_run_outlives_a_database_that_is_away(bench: Bench, moments: tuple[Moment, ...]) -> None:
    looks: list[int] = []

    async def look(run: Run) -> Done | Waiting:
        looks.append(run.tries)
        return Waiting() if len(looks) == 1 else Done()

    runs = bench.new()
    runs.register("look", look)
    await runs.start()
    await runs.submit("look", "k", {})
    await reach(runs, "k", RunState.WAITING)
    bench.database.fail(*moments, for_s=AWAY_S)
    await wake_surely(runs, "k")
    await until(lambda: not bench.database.is_failing)
    done = await reach(runs, "k", RunState.DONE)
    assert done.error == ""
    assert looks[:2] == [0, 0]  # the database's absence is no failure of the handler


@pytest.mark.parametrize("moment", WRITING)
@pytest.mark.parametrize("answer", ["done", "waiting", "due", "failure"])
async def test_an_answer_that_cannot_be_written_is_kept_until_it_can(bench: Bench, moment: Moment, answer: str) -> None:
    looks: list[int] = []

    async def look(run: Run) -> Done | Waiting:
        looks.append(run.tries)
        if len(looks) > 1:
            return Done(result={"looks": len(looks)})
        bench.database.fail(moment, for_s=AWAY_S)
        if answer == "failure":
            raise RuntimeError("it is broken")
        if answer == "done":
            return Done(result={"looks": len(looks)})
        return Waiting(until=CLOCK.now() + timedelta(seconds=0.1) if answer == "due" else None)

    runs = bench.new()
    runs.register("look", look)
    await runs.start()
    await runs.submit("look", "k", {})
    await until(lambda: bool(looks))
    await until(lambda: not bench.database.is_failing)
    if answer == "waiting":
        await reach(runs, "k", RunState.WAITING)
        await runs.wake("k")
    done = await reach(runs, "k", RunState.DONE)
    assert done.result == {"looks": 1 if answer == "done" else 2}
    assert looks == {"done": [0], "waiting": [0, 0], "due": [0, 0], "failure": [0, 1]}[answer]


async def test_a_run_whose_writer_heard_no_answer_is_looked_at(bench: Bench) -> None:
    """It is committed, but whoever submitted it was told that the database is away, and asks for a look at it."""

    async def end(_: Run) -> Done:
        return Done()

    runs = bench.new()
    runs.register("end", end)
    await runs.start()
    bench.database.fail(Moment.ANSWER, times=1)
    with pytest.raises(SystemUnavailable):
        await runs.submit("end", "k", {})
    assert not await runs.submit("end", "k", {})
    await reach(runs, "k", RunState.DONE)


async def test_a_run_that_nobody_carries_on_any_more_is_taken_up(bench: Bench) -> None:
    async def end(_: Run) -> Done:
        return Done()

    records = RunRecords(bench.database, CLOCK)
    await records.insert(new_run("end", "k", {}, Priority.NORMAL, None))
    await records.move("k", state=RunState.RUNNING)
    runs = bench.new()
    runs.register("end", end)
    await runs.start()
    await reach(runs, "k", RunState.DONE)
