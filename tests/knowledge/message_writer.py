"""A process to be killed: receives and answers, and says what it has committed. `python -m … FILE`."""

import asyncio
import sys
from pathlib import Path

from core.notifications import QueuedMessage
from knowledge.database import Database, sqlite_url
from knowledge.records.inbox_records import Inbox, RawUpdate
from knowledge.records.message_records import Outbox
from tests.knowledge.tools import SetClock


async def write(file: Path) -> None:
    async with Database(sqlite_url(file)) as database:
        inbox, outbox = Inbox(database, SetClock()), Outbox(database, SetClock())
        for number in range(1, 100_000):
            await outbox.add(QueuedMessage(destination=f"telegram:{number % 3}", payload={"text": str(number)}))
            await inbox.put([RawUpdate(bot_id=1, update_id=number, mark="m", payload={})])
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1])))
