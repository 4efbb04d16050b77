"""A process to be killed: its run fails too often, and whoever hears of that takes his time.

`python -m tests.knowledge.run_mourner KIND URL FILE`, KIND local or procrastinate.
"""

import asyncio
import sys
from pathlib import Path

from core.runs import Done, Run
from knowledge.database import Database
from tests.knowledge.runs import make_runs
from tests.knowledge.tools import WallClock


async def work(kind: str, url: str, file: Path) -> None:
    def say(line: str) -> None:
        file.write_text(line)

    async def fail(_: Run) -> Done:
        raise RuntimeError("the engine is on fire")

    async def mourn(run: Run) -> None:
        say(run.key)
        await asyncio.Event().wait()

    async with Database(url) as database:
        runs = make_runs(kind, database, WallClock())
        runs.register("fail", fail, tries=2, on_dead=mourn)
        await runs.start()
        await runs.submit("fail", "k", {"n": 1})
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
