"""The clean-up: what is long over goes, whole; what is open or still needed stays, whatever its age."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import event, insert

from core.actions.approvals import ApprovalState
from core.actions.calls import CallState
from core.actions.catalog import Risk
from core.deployments.deploys import DeployPhase
from core.incidents.incident import IncidentState
from core.notifications import QueuedMessage
from core.runs import Done, Run, RunState
from core.settings import Settings
from knowledge.cleanup import ROWS_PER_TRANSACTION
from knowledge.stores import Knowledge
from knowledge.tables import audit, runs
from tests.knowledge.test_database import count_up
from tests.knowledge.test_deploy_records import a_deploy
from tests.knowledge.tools import ADA, NOON, SetClock, a_call, a_record, an_approval, an_incident


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", database_url=SecretStr(database_url))


async def count(knowledge: Knowledge) -> dict[str, int]:
    rows = (await knowledge.stats()).rows
    return {name: n for name, n in rows.items() if n and name not in ("settings", "measured", "series")}


@dataclass
class Story:
    """An incident with all that belongs to it: two calls, an approval, undo data, a card, an audit line, a deploy."""

    knowledge: Knowledge
    clock: SetClock

    async def write(self, *, is_open: bool) -> int:
        known, now = self.knowledge, self.clock.now()
        state = IncidentState.ESCALATED if is_open else IncidentState.RESOLVED
        incident = await known.incidents.open(an_incident(now, state=state, closed_at=None if is_open else now))
        number = incident.id
        stem, question = f"inc-{number}:p", f"a{number}"
        first = a_record(a_call(f"{stem}:one", incident_id=number), CallState.ASKED, approval_id=question, at=now)
        second = a_record(a_call(f"{stem}:two", incident_id=number, needs=(f"{stem}:one",)), CallState.OK, at=now)
        asked = an_approval(question, (f"{stem}:one",), incident_id=number, expires_at=now + timedelta(minutes=30))
        assert await known.ledger.insert([first, second], [asked])
        await known.approvals.decide(question, ApprovalState.APPROVED, by="tg:1", at=now)
        await known.ledger.finish(f"{stem}:one", CallState.OK, None, now)
        await known.ledger.save_snapshot(f"{stem}:one", {"memory_mb": 512})
        card = QueuedMessage(destination="telegram:1", payload={"text": "card"}, key=f"card:{number}:telegram:1")
        (row,) = await known.outbox.add(card)
        await known.outbox.sent(row, version=1, message_id=str(500 + number))
        await known.audit.add(ADA, "approve", question, incident_id=number)
        await known.deploys.put(
            a_deploy(f"{stem}:two", ordered_at=now, phase=DeployPhase.GOOD, over_at=now, incident_id=number)
        )
        async with known.database.write() as connection:
            run = {"kind": "incident", "payload": {}, "priority": 10, "state": RunState.DONE}
            await connection.execute(insert(runs).values(key=incident.key, **run, created_at=now, updated_at=now))
        return number


WHOLE = {
    "incidents": 1,
    "calls": 2,
    "call_needs": 1,
    "undo_data": 1,
    "approvals": 1,
    "outbox": 1,
    "audit": 1,
    "deploys": 1,
    "runs": 1,
}


async def test_a_closed_incident_goes_whole_and_an_open_one_stays_whole(settings: Settings, clock: SetClock) -> None:
    async with Knowledge(settings, clock) as knowledge:
        story = Story(knowledge, clock)
        await story.write(is_open=False)
        assert await count(knowledge) == WHOLE
        still_open = await story.write(is_open=True)
        clock.advance(days=399)
        await knowledge.cleanup.run()
        both = {name: 2 * n for name, n in WHOLE.items()}
        assert await count(knowledge) == both | {"undo_data": 1, "runs": 1}, "secrets and runs go after 30 days"
        clock.advance(days=2)
        await knowledge.cleanup.run()
        assert await count(knowledge) == WHOLE
        (kept,) = await knowledge.incidents.recent()
        assert kept.id == still_open
        assert len(await knowledge.ledger.of_incident(still_open)) == 2
        assert await knowledge.ledger.snapshot(f"inc-{still_open}:p:one") == {"memory_mb": 512}
        assert await knowledge.runs.get(f"inc-{still_open}") is not None


async def test_what_a_person_began_stays_until_it_is_over(settings: Settings, clock: SetClock) -> None:
    """No incident holds these calls: what they need, what they asked and what would take them back stays with them."""
    async with Knowledge(settings, clock) as knowledge:
        done = a_record(a_call("tg:1:done", incident_id=None), CallState.OK)
        waiting = a_record(
            a_call("tg:1:next", incident_id=None, needs=("tg:1:done",)), CallState.ASKED, approval_id="p"
        )
        over = a_record(a_call("tg:2", incident_id=None), CallState.OK)
        taken_back = a_record(a_call("tg:3", incident_id=None), CallState.OK)
        undo = a_record(a_call("tg:3:undo", incident_id=None, undo_of="tg:3"), CallState.STARTED, risk=Risk.CHANGE)
        asked = an_approval("p", ("tg:1:next",), incident_id=None)
        assert await knowledge.ledger.insert([done, waiting, over, taken_back, undo], [asked])
        for key in ("tg:1:done", "tg:2", "tg:3"):
            await knowledge.ledger.save_snapshot(key, {"was": key})
        await knowledge.deploys.put(a_deploy("tg:1:done", phase=DeployPhase.RUNNING))
        clock.advance(days=31)
        await knowledge.cleanup.run()
        assert [await knowledge.ledger.snapshot(key) is None for key in ("tg:1:done", "tg:2", "tg:3")] == [
            False,
            True,
            False,
        ]
        clock.advance(days=400)
        await knowledge.cleanup.run()
        assert await knowledge.ledger.get("tg:1:done") is not None
        assert await knowledge.ledger.get("tg:1:next") is not None
        assert await knowledge.ledger.get("tg:2") is None
        assert [one.id for one in await knowledge.approvals.pending()] == ["p"]
        assert len(await knowledge.deploys.unfinished()) == 1
        await knowledge.ledger.finish("tg:3:undo", CallState.OK, None, clock.now())
        await knowledge.approvals.decide("p", ApprovalState.DENIED, by="tg:1", at=clock.now())
        await knowledge.deploys.put(a_deploy("tg:1:done", phase=DeployPhase.GOOD))
        await knowledge.cleanup.run()
        await knowledge.cleanup.run()
        assert await count(knowledge) == {}


async def test_dead_runs_wait_a_year_for_a_person(settings: Settings, clock: SetClock) -> None:
    async with Knowledge(settings, clock) as knowledge:
        async with knowledge.database.write() as connection:
            for state in RunState:
                common = {"kind": "x", "payload": {}, "priority": 0, "created_at": NOON, "updated_at": NOON}
                await connection.execute(insert(runs).values(key=str(state), state=state, **common))
        clock.advance(days=31)
        await knowledge.cleanup.run()
        left = {one.key for one in await knowledge.runs.list()}
        assert left == {"queued", "running", "waiting", "dead"}
        clock.advance(days=400)
        await knowledge.cleanup.run()
        assert {one.key for one in await knowledge.runs.list()} == left - {"dead"}


async def test_a_great_heap_goes_in_small_transactions(settings: Settings, clock: SetClock) -> None:
    async with Knowledge(settings, clock) as knowledge:
        line = {"at": NOON, "actor_id": "tg:1", "actor_name": "Ada", "what": "ack", "subject": "1", "details": {}}
        async with knowledge.database.write() as connection:
            await connection.execute(insert(audit), [line] * (3 * ROWS_PER_TRANSACTION + 1))
        sizes: list[int] = []

        def deleted(_: Any, cursor: Any, statement: str, *__: Any) -> None:
            if statement.startswith("DELETE FROM audit"):
                sizes.append(cursor.rowcount)

        event.listen(knowledge.database._writer.sync_engine, "after_cursor_execute", deleted)
        clock.advance(days=401)
        assert (await knowledge.cleanup.run())["audit"] == 3 * ROWS_PER_TRANSACTION + 1
        assert sizes == [ROWS_PER_TRANSACTION, ROWS_PER_TRANSACTION, ROWS_PER_TRANSACTION, 1]


async def test_it_is_due_once_a_day_however_often_the_program_starts(settings: Settings, clock: SetClock) -> None:
    for hours, is_due in [(0, True), (1, False), (22, False), (2, True), (0, False)]:
        clock.advance(hours=hours)
        async with Knowledge(settings, clock) as knowledge:
            assert await knowledge.cleanup.run_if_due() is is_due


async def test_a_thread_that_a_death_left_is_dropped(settings: Settings, clock: SetClock) -> None:
    """Kept are those of open incidents, and of runs that are not over."""
    async with Knowledge(settings, clock) as knowledge:
        saver = await knowledge.checkpoints.saver()
        for state in (IncidentState.RESOLVED, IncidentState.ESCALATED, IncidentState.RECOVERED):
            incident = await knowledge.incidents.open(an_incident(state=state, closed_at=NOON))
            await count_up(saver, incident.key)
        await count_up(saver, "inc-99")

        async def never(run: Run) -> Done:
            return Done()

        knowledge.runs.register("incident", never)
        await knowledge.runs.submit("incident", "inc-3", {})
        gone = await knowledge.cleanup.run()
        assert gone["threads"] == 2
        assert sorted(await knowledge.checkpoints.threads()) == ["inc-2", "inc-3"]
