"""Both ways of delivering runs, at a pace for tests."""

from core.clock import Clock
from core.runs import Runs
from knowledge.database import Database
from knowledge.runs.local_runs import LocalRuns
from knowledge.runs.run_records import RunLimits

PACE = RunLimits(concurrency=4, back_off_s=0.02, grace_s=0.3)


def make_runs(kind: str, database: Database, clock: Clock, pace: RunLimits = PACE) -> Runs:
    """The one or the other, not yet started."""
    if kind == "local":
        return LocalRuns(database, clock, pace)
    from knowledge.runs.procrastinate_runs import ProcrastinateRuns, QueueTimings

    delivery = QueueTimings(poll_s=0.05, sweep_s=0.2, heartbeat_s=0.3, stall_s=1.2)
    return ProcrastinateRuns(database, clock, pace, delivery)
