"""One incident in one chat, from the event to its solved card: database reads and writes, renders, calls to Telegram.

A container of the simulated host dies of its memory limit; the chat asks, one tap approves, the repair holds over its
window. Counted is the whole program as it runs, by the statements that SQLAlchemy hands to SQLite, less what it does
all the time without any incident (samples, and what is due by the clock), measured right before.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Connection, Engine, event

from bench.common import Report
from core.settings import Settings
from infraguardian import Guardian
from playground.chats.chat_people import PlaygroundPerson
from playground.chats.shown_chats import ShownMessage
from playground.opening import ADMIN

READ_LIMIT, WRITE_LIMIT, RENDER_LIMIT = 80, 45, 10
IDLE_S = 12.0
"""Duration of the measurement without an incident, before the simulated host plays one."""
SETTLED_S = 6.0
"""After the start, for what is loaded then."""
GIVE_UP_S = 120.0
LAST_S = 1.0
"""After the last message, for what is still being written."""
CHANGES = ("INSERT", "UPDATE", "DELETE")
UNCOUNTED_CALLS = ("getupdates", "getme", "setmycommands", "deletewebhook", "setmydescription", "setmyshortdescription")
"""Calls to Telegram that show nothing to anybody."""


@dataclass(frozen=True, kw_only=True)
class IncidentCost:
    """Cost of one incident."""

    reads: float
    writes: float
    """Transactions that changed something."""
    renders: float
    calls: float
    seconds: float


def main() -> int:
    """Measure; 1 when a limit is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.bench_incident_cost", description=__doc__)
    parser.add_argument("--poll", type=float, default=2.0, help="seconds between two looks at a repair (default 2)")
    options = parser.parse_args()
    report = Report("One incident, event → solved")
    cost = asyncio.run(measure_cost(options.poll))
    report.say(f"one chat, SQLite, {cost.seconds:.0f} s, a look at the repair every {options.poll:g} s")
    report.add("database reads", cost.reads, "", limit=READ_LIMIT)
    report.add("database writes (transactions)", cost.writes, "", limit=WRITE_LIMIT)
    report.add("renders", cost.renders, "", limit=RENDER_LIMIT)
    report.add("calls to Telegram", cost.calls, "")
    return report.finish()


async def measure_cost(poll_s: float) -> IncidentCost:
    """Play the incident and count; `poll_s`: see `verification.poll_s`."""
    with count_queries() as seen:
        async with _guarded(poll_s) as guardian:
            ada = await _known_admin(guardian)
            before, began = _counted(guardian, seen), time.monotonic()
            await asyncio.sleep(IDLE_S)
            quiet, quiet_s = _counted(guardian, seen), time.monotonic() - began
            await _incident(ada)
            after, took_s = _counted(guardian, seen), time.monotonic() - began - quiet_s
    share = took_s / quiet_s
    own = {name: after[name] - quiet[name] - share * (quiet[name] - before[name]) for name in after}
    return IncidentCost(
        reads=own["reads"], writes=own["writes"], renders=own["renders"], calls=own["calls"], seconds=took_s
    )


@contextmanager
def count_queries() -> Iterator[Counter[str]]:
    """Count the queries of every engine of this process: `reads` by statement, `writes` by transaction."""
    seen: Counter[str] = Counter(reads=0, writes=0)
    changed: set[int] = set()

    def executed(connection: Connection, _: Any, statement: str, *__: Any) -> None:
        word = statement.split(None, 1)[0].upper()
        seen["reads"] += word == "SELECT"
        if word in CHANGES:
            changed.add(id(connection))

    def committed(connection: Connection) -> None:
        if id(connection) in changed:
            changed.discard(id(connection))
            seen["writes"] += 1

    event.listen(Engine, "before_cursor_execute", executed)
    event.listen(Engine, "commit", committed)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", executed)
        event.remove(Engine, "commit", committed)


@asynccontextmanager
async def _guarded(poll_s: float) -> AsyncIterator[Guardian]:
    with TemporaryDirectory(prefix="infraguardian-bench-") as home:
        settings = Settings.model_validate(
            {
                "data_dir": Path(home),
                "simulated": True,
                "ollama": None,
                "playground": {"port": 0},
                "web": {"port": 0},
                "verification": {"poll_s": poll_s},
                "demo": {"incident_after_s": SETTLED_S + IDLE_S + 4.0},
            }
        )
        async with Guardian(settings, is_demo=True) as guardian:
            yield guardian


async def _known_admin(guardian: Guardian) -> PlaygroundPerson:
    """Return the admin after a first message, so that the writes of a first contact are not counted."""
    assert guardian.playground is not None
    ada = guardian.playground.person(ADMIN, guardian.settings.playground.person)
    await ada.say("/whoami")
    await ada.chat.wait_for(lambda message: "admin" in message.text, timeout_s=GIVE_UP_S)
    await asyncio.sleep(SETTLED_S)
    return ada


async def _incident(ada: PlaygroundPerson) -> None:
    """Play the incident from its first card to its resolution."""
    card = await ada.chat.wait_for(_asks, timeout_s=GIVE_UP_S)
    await (await ada.tap(card, "Approve")).answer()
    await ada.chat.wait_for(lambda message: message.text.endswith(": resolved."), timeout_s=GIVE_UP_S)
    await asyncio.sleep(LAST_S)


def _asks(message: ShownMessage) -> bool:
    return any("Approve" in label for label in message.labels)


def _counted(guardian: Guardian, seen: Counter[str]) -> Counter[str]:
    assert guardian.playground is not None
    told = [call for call in guardian.playground.calls if call.method.lower() not in UNCOUNTED_CALLS]
    return Counter(seen) + Counter(renders=guardian.face.writer.rendered, calls=len(told))


if __name__ == "__main__":
    sys.exit(main())
