"""A process to be killed: works on runs, and says in a file what it has begun.

`python -m tests.knowledge.run_worker KIND URL FILE`, KIND local or procrastinate.
"""

import asyncio
import sys
from pathlib import Path

from core.runs import Done, Run, Waiting
from knowledge.database import Database
from tests.knowledge.runs import make_runs
from tests.knowledge.tools import WallClock


async def work(kind: str, url: str, file: Path) -> None:
    def say(line: str) -> None:
        with file.open("a") as lines:
            lines.write(f"{line}\n")

    async def hang(run: Run) -> Done | Waiting:
        say(f"hanging {run.key}")
        await asyncio.Event().wait()
        return Done()

    async def wait(run: Run) -> Done | Waiting:
        say(f"waiting {run.key}")
        return Waiting()

    async with Database(url) as database:
        runs = make_runs(kind, database, WallClock())
        runs.register("hang", hang)
        runs.register("wait", wait)
        await runs.start()
        await runs.submit("hang", "h1", {"n": 1})
        await runs.submit("wait", "w1", {"n": 2})
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
