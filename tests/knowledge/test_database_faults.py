"""What every record must keep when the database fails: all or nothing is written, and the same may be written again."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from core.actions.approvals import ApprovalState
from core.actions.calls import CallState, StartOutcome
from core.actions.catalog import Outcome, Result
from core.errors import SystemUnavailable
from core.notifications import MessageState, QueuedMessage
from core.text import text
from knowledge.records.approval_records import ApprovalRecords
from knowledge.records.call_records import LedgerRecords
from knowledge.records.inbox_records import Inbox, RawUpdate
from knowledge.records.incident_records import IncidentRecords
from knowledge.records.message_records import Outbox
from knowledge.vault import Vault, load_key
from tests.knowledge.failing_database import WRITING, FailingDatabase, Moment
from tests.knowledge.tools import NOON, SetClock, a_call, a_record, an_approval, an_incident

KEY = a_call().key
GOOD = Result(message=text("gateway.settled_ok"))
every_write = pytest.mark.parametrize("moment", WRITING)


@pytest.fixture
def ledger(database: FailingDatabase, clock: SetClock, tmp_path: Path) -> LedgerRecords:
    return LedgerRecords(database, Vault(load_key(None, tmp_path)), clock)


@pytest.fixture
def approvals(database: FailingDatabase) -> ApprovalRecords:
    return ApprovalRecords(database)


@pytest.fixture
def inbox(database: FailingDatabase, clock: SetClock) -> Inbox:
    return Inbox(database, clock)


@pytest.fixture
def outbox(database: FailingDatabase, clock: SetClock) -> Outbox:
    return Outbox(database, clock)


async def breaks(database: FailingDatabase, moment: Moment, work: Callable[[], Awaitable[object]]) -> None:
    """Let the work fail once, at that moment."""
    database.fail(moment, times=1)
    with pytest.raises(SystemUnavailable, match="the database"):
        await work()
    assert not database.is_failing


async def test_a_failing_read_says_which_system_is_away(
    database: FailingDatabase, ledger: LedgerRecords, approvals: ApprovalRecords, inbox: Inbox, outbox: Outbox
) -> None:
    looks: list[Callable[[], Awaitable[object]]] = [
        lambda: ledger.get(KEY),
        ledger.unfinished,
        approvals.pending,
        inbox.pending,
        outbox.ready,
        IncidentRecords(database).open_ones,
    ]
    for look in looks:
        await breaks(database, Moment.READ, look)
        await look()


@every_write
async def test_a_plan_and_its_questions_are_written_together(
    database: FailingDatabase, ledger: LedgerRecords, approvals: ApprovalRecords, moment: Moment
) -> None:
    plan = [a_record(state=CallState.ASKED, approval_id="a1")]
    await breaks(database, moment, lambda: ledger.insert(plan, [an_approval()]))
    is_kept = moment is Moment.ANSWER
    assert (await ledger.get(KEY) is not None) == (await approvals.get("a1") is not None) == is_kept
    assert await ledger.insert(plan, [an_approval()]) != is_kept
    assert await approvals.pending() == [an_approval()]


@every_write
async def test_a_call_is_started_once(database: FailingDatabase, ledger: LedgerRecords, moment: Moment) -> None:
    await ledger.insert([a_record()])
    await breaks(database, moment, lambda: ledger.start(KEY, NOON, None))
    again = StartOutcome.ALREADY if moment is Moment.ANSWER else StartOutcome.STARTED
    assert await ledger.start(KEY, NOON, None) is again


@every_write
async def test_the_end_of_a_call_can_be_written_again(
    database: FailingDatabase, ledger: LedgerRecords, moment: Moment
) -> None:
    await ledger.insert([a_record()])
    await ledger.start(KEY, NOON, None)
    await breaks(database, moment, lambda: ledger.finish(KEY, CallState.OK, GOOD, NOON))
    assert await ledger.finish(KEY, CallState.OK, GOOD, NOON) != (moment is Moment.ANSWER)
    assert not await ledger.finish(KEY, CallState.FAILED, Result(outcome=Outcome.FAILED, message=text("no")), NOON)
    record = await ledger.get(KEY)
    assert record is not None
    assert (record.state, record.result) == (CallState.OK, GOOD)


@every_write
async def test_undo_data_is_never_half_written(
    database: FailingDatabase, ledger: LedgerRecords, moment: Moment
) -> None:
    await breaks(database, moment, lambda: ledger.save_snapshot(KEY, {"limit": 512}))
    assert await ledger.snapshot(KEY) == ({"limit": 512} if moment is Moment.ANSWER else None)
    await ledger.save_snapshot(KEY, {"limit": 512})
    assert await ledger.snapshot(KEY) == {"limit": 512}


@every_write
async def test_a_decision_and_its_calls_move_together(
    database: FailingDatabase, ledger: LedgerRecords, approvals: ApprovalRecords, moment: Moment
) -> None:
    await ledger.insert([a_record(state=CallState.ASKED, approval_id="a1")], [an_approval()])
    await breaks(database, moment, lambda: approvals.decide("a1", ApprovalState.APPROVED, by="tg:1", at=NOON))
    asked, record = await approvals.get("a1"), await ledger.get(KEY)
    assert asked is not None and record is not None
    is_decided = moment is Moment.ANSWER
    assert (asked.state is ApprovalState.APPROVED) == (record.state is CallState.APPROVED) == is_decided
    again = await approvals.decide("a1", ApprovalState.APPROVED, by="tg:1", at=NOON)
    assert (again is None) == is_decided


@every_write
async def test_an_incident_is_saved_whole(database: FailingDatabase, moment: Moment) -> None:
    incidents = IncidentRecords(database)
    await breaks(database, moment, lambda: incidents.open(an_incident()))
    assert len(await incidents.open_ones()) == (1 if moment is Moment.ANSWER else 0)
    incident = await incidents.open(an_incident())
    await breaks(database, moment, lambda: incidents.save(incident))
    await incidents.save(incident)
    assert await incidents.get(incident.id) == incident


@every_write
async def test_an_update_that_was_not_confirmed_is_kept_once(
    database: FailingDatabase, inbox: Inbox, moment: Moment
) -> None:
    order = RawUpdate(bot_id=7, update_id=1, mark="x", payload={"update_id": 1})
    await breaks(database, moment, lambda: inbox.put([order]))
    assert len(await inbox.put([order])) == (0 if moment is Moment.ANSWER else 1)
    (row,) = await inbox.pending()
    await breaks(database, moment, lambda: inbox.done(row.id))
    await inbox.done(row.id)
    assert await inbox.pending() == []


@every_write
async def test_a_message_is_ready_once_it_is_committed(
    database: FailingDatabase, outbox: Outbox, moment: Moment
) -> None:
    message = QueuedMessage(destination="telegram:1", payload={"text": "a"}, key="card:1:telegram:1")
    await breaks(database, moment, lambda: outbox.add(message))
    assert len(await outbox.ready()) == (1 if moment is Moment.ANSWER else 0)
    (row_id,) = await outbox.add(message)
    (ready,) = await outbox.ready()  # the same card: said once, whatever became of the first try
    await breaks(database, moment, lambda: outbox.sent(row_id, version=ready.version, message_id="5"))
    await outbox.sent(row_id, version=ready.version, message_id="5")
    sent = await outbox.get(row_id)
    assert sent is not None
    assert (sent.state, sent.message_id) == (MessageState.SENT, "5")
    assert await outbox.ready() == []
