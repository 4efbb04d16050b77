"""Both ways of delivering runs, at a pace for tests."""

from dataclasses import dataclass, field

from core.clock import Clock
from core.runs import Run, Runs, RunState
from knowledge.database import Database
from knowledge.runs.local_runs import LocalRuns
from knowledge.runs.run_records import RunLimits
from tests.knowledge.failing_database import FailingDatabase
from tests.knowledge.tools import WallClock, until

CLOCK = WallClock()
PACE = RunLimits(concurrency=4, back_off_s=0.02, grace_s=0.3)


def make_runs(kind: str, database: Database, clock: Clock, pace: RunLimits = PACE) -> Runs:
    """The one or the other, not yet started."""
    if kind == "local":
        return LocalRuns(database, clock, pace)
    from knowledge.runs.procrastinate_runs import ProcrastinateRuns, QueueTimings

    delivery = QueueTimings(poll_s=0.05, sweep_s=0.2, heartbeat_s=0.3, stall_s=1.2)
    return ProcrastinateRuns(database, clock, pace, delivery)


@dataclass
class Bench:
    """A database of the kind that the delivery needs, and a factory of deliveries over it."""

    kind: str
    url: str
    database: FailingDatabase
    made: list[Runs] = field(default_factory=list)

    def new(self, pace: RunLimits = PACE) -> Runs:
        """Another delivery, not yet started; all are stopped after the test."""
        self.made.append(make_runs(self.kind, self.database, CLOCK, pace))
        return self.made[-1]


async def reach(runs: Runs, key: str, state: RunState, within_s: float = 10.0) -> Run:
    """Wait until a run is in a state."""

    async def is_there() -> bool:
        run = await runs.get(key)
        return run is not None and run.state is state

    await until(is_there, within_s)
    run = await runs.get(key)
    assert run is not None
    return run
