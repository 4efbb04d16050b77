"""A process to be killed: learns lesson after lesson, and says how many. `python -m … DIRECTORY`."""

import asyncio
import sys
from pathlib import Path

from core.incidents.lessons import Lesson
from knowledge.database import Database, sqlite_url
from knowledge.memory.incident_memory import IncidentMemory
from knowledge.records.lesson_records import LessonRecords
from tests.knowledge.tools import NOON


async def write(directory: Path) -> None:
    async with Database(sqlite_url(directory / "guardian.db")) as database:
        memory = IncidentMemory(LessonRecords(database), directory / "memory")
        await memory.recall("open the index")
        for number in range(1, 100_000):
            text = f"subject{number} failure seen"
            await memory.learn(
                Lesson(incident_id=number, at=NOON, stack="s", service="a", kind="k", cause="c", text=text)
            )
            if number == 1:
                await memory.catch_up()
            sys.stdout.write(f"learnt {number}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1])))
