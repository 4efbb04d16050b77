"""The ledger and the approvals, on both kinds of database."""

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from core.actions.approvals import ApprovalState
from core.actions.calls import Budget, CallState, StartOutcome
from core.actions.catalog import Outcome, Result, Risk
from core.errors import SettingsError
from core.text import text
from knowledge.database import Database
from knowledge.records.approval_records import ApprovalRecords
from knowledge.records.call_records import LedgerRecords
from knowledge.vault import Vault, load_key
from tests.knowledge.tools import ADA, NOON, SetClock, a_call, a_record, an_approval


@pytest.fixture
def ledger(database: Database, clock: SetClock, tmp_path: Path) -> LedgerRecords:
    return LedgerRecords(database, Vault(load_key(None, tmp_path)), clock)


@pytest.fixture
def approvals(database: Database) -> ApprovalRecords:
    return ApprovalRecords(database)


async def test_a_call_reads_back_as_it_was_written(ledger: LedgerRecords) -> None:
    written = a_record(a_call(needs=("x", "y", "x"), retries=2, message=text("s", n=1), origin={"chat": -5, "l": "es"}))
    assert await ledger.insert([written])
    assert await ledger.get(written.call.key) == written
    assert await ledger.get("another") is None
    assert await ledger.of_incident(1) == [written]
    assert await ledger.dependants("x") == [written]
    assert await ledger.dependants("z") == []


async def test_a_plan_is_written_whole_or_not_at_all(ledger: LedgerRecords, approvals: ApprovalRecords) -> None:
    assert await ledger.insert([a_record(a_call("k1"))])
    assert not await ledger.insert([a_record(a_call("k2")), a_record(a_call("k1"))], [an_approval("a9", ("k2",))])
    assert await ledger.get("k2") is None
    assert await approvals.get("a9") is None


async def test_of_twenty_that_submit_the_same_call_one_writes_it(ledger: LedgerRecords) -> None:
    written = await asyncio.gather(*(ledger.insert([a_record(a_call("k1"))]) for _ in range(20)))
    assert sorted(written) == [False] * 19 + [True]


async def test_of_twenty_that_start_a_call_one_starts_it(ledger: LedgerRecords) -> None:
    await ledger.insert([a_record()])
    key = a_call().key
    found = Counter(await asyncio.gather(*(ledger.start(key, NOON, None) for _ in range(20))))
    assert found == {StartOutcome.STARTED: 1, StartOutcome.ALREADY: 19}


async def test_the_budget_holds_when_twenty_calls_start_at_once(ledger: LedgerRecords) -> None:
    await ledger.insert([a_record(a_call(f"k{n}")) for n in range(20)])
    budget = Budget(risks=(Risk.DISRUPTIVE,), stack="shop", service="api", since=NOON - timedelta(hours=1), limit=3)
    found = Counter(await asyncio.gather(*(ledger.start(f"k{n}", NOON, budget) for n in range(20))))
    assert found == {StartOutcome.STARTED: 3, StartOutcome.OVER_BUDGET: 17}
    assert await ledger.machine_made(budget) == 3


async def test_the_budget_counts_only_what_it_is_about(ledger: LedgerRecords) -> None:
    hour_ago = NOON - timedelta(hours=1)
    await ledger.insert(
        [
            a_record(a_call("person", actor=ADA)),
            a_record(a_call("elsewhere"), service="web"),
            a_record(a_call("old")),
            a_record(a_call("harmless"), risk=Risk.SAFE),
            a_record(a_call("counts")),
            a_record(a_call("change"), risk=Risk.CHANGE),
            a_record(a_call("approved change"), risk=Risk.CHANGE, approved_by="tg:1"),
        ]
    )
    for key in ("person", "elsewhere", "harmless", "counts", "change", "approved change"):
        await ledger.start(key, NOON, None)
    await ledger.start("old", hour_ago - timedelta(seconds=1), None)
    short = Budget(risks=(Risk.DISRUPTIVE,), stack="shop", service="api", since=hour_ago, limit=9)
    changes = Budget(risks=(Risk.CHANGE,), stack="shop", service=None, since=hour_ago, limit=9)
    assert await ledger.machine_made(short) == 1
    assert await ledger.machine_made(changes) == 1


async def test_a_call_that_nobody_approved_does_not_start(ledger: LedgerRecords) -> None:
    await ledger.insert([a_record(a_call("k1"), CallState.ASKED)])
    assert await ledger.start("k1", NOON, None) is StartOutcome.NOT_APPROVED
    assert await ledger.start("nobody", NOON, None) is StartOutcome.NOT_APPROVED


async def test_the_first_recorded_result_stays(ledger: LedgerRecords) -> None:
    await ledger.insert([a_record(a_call("k1"))])
    await ledger.start("k1", NOON, None)
    good = Result(message=text("done", n=1), data={"a": [1, None, 2.5]}, query="docker restart")
    bad = Result(outcome=Outcome.FAILED, message=text("no"))
    assert await ledger.finish("k1", CallState.OK, good, NOON)
    assert not await ledger.finish("k1", CallState.FAILED, bad, NOON)
    record = await ledger.get("k1")
    assert record is not None
    assert (record.state, record.result, record.finished_at) == (CallState.OK, good, NOON)
    with pytest.raises(ValueError, match="no end"):
        await ledger.finish("k1", CallState.STARTED, None, NOON)


async def test_a_retry_is_counted_and_starts_again(ledger: LedgerRecords) -> None:
    await ledger.insert([a_record(a_call("k1"))])
    await ledger.start("k1", NOON, None)
    await ledger.put_back("k1")
    assert [record.tries for record in await ledger.unfinished()] == [1]
    assert await ledger.start("k1", NOON, None) is StartOutcome.STARTED
    acts = await ledger.acts_since(NOON)
    assert [(act.ref, act.action, act.by) for act in acts] == [("local/shop-api-1", "docker.restart", "container_oom")]
    assert await ledger.acts_since(NOON + timedelta(seconds=1)) == []


async def test_an_act_is_known_as_soon_as_it_is_started(ledger: LedgerRecords) -> None:
    """A watcher that did not know our own restart would call it an alarm: also one that looks at that very moment."""
    await ledger.insert([a_record(a_call(f"k{number}")) for number in range(20)])
    assert await ledger.acts_since(NOON) == []
    for number in range(20):
        await asyncio.gather(ledger.acts_since(NOON), ledger.start(f"k{number}", NOON, None), ledger.acts_since(NOON))
        assert len(await ledger.acts_since(NOON)) == number + 1
    later = NOON + timedelta(seconds=1)
    assert await ledger.acts_since(later) == []
    assert len(await ledger.acts_since(NOON - timedelta(hours=1))) == 20


async def test_undo_data_is_sealed_and_the_first_stays(ledger: LedgerRecords, database: Database) -> None:
    await ledger.save_snapshot("k1", {"compose": "password: hunter2"})
    await ledger.save_snapshot("k1", {"compose": "after the change"})
    assert await ledger.snapshot("k1") == {"compose": "password: hunter2"}
    assert await ledger.snapshot("k2") is None
    other = LedgerRecords(database, Vault(load_key("another passphrase", Path("unused"))), SetClock())
    with pytest.raises(SettingsError, match="another key"):
        await other.snapshot("k1")


@pytest.mark.parametrize(
    ("decision", "state"),
    [
        (ApprovalState.APPROVED, CallState.APPROVED),
        (ApprovalState.DENIED, CallState.DENIED),
        (ApprovalState.WITHDRAWN, CallState.WITHDRAWN),
    ],
)
async def test_a_decision_moves_its_calls(
    ledger: LedgerRecords, approvals: ApprovalRecords, decision: ApprovalState, state: CallState
) -> None:
    asked = an_approval("a1", ("k1",))
    await ledger.insert([a_record(a_call("k1"), CallState.ASKED, approval_id="a1"), a_record(a_call("k2"))], [asked])
    assert await approvals.pending() == [asked]
    decided = await approvals.decide("a1", decision, by="tg:1", at=NOON, why="because")
    assert decided is not None
    assert (decided.state, decided.decided_by, decided.decided_at, decided.why) == (decision, "tg:1", NOON, "because")
    assert await approvals.get("a1") == decided
    assert await approvals.pending() == []
    record = await ledger.get("k1")
    assert record is not None
    assert record.state is state
    assert record.approved_by == ("tg:1" if decision is ApprovalState.APPROVED else None)
    assert await approvals.decide("a1", ApprovalState.DENIED, by="tg:2", at=NOON) is None
    assert await approvals.decide("nothing", ApprovalState.DENIED, by="tg:2", at=NOON) is None


async def test_of_twenty_who_decide_at_once_one_wins(ledger: LedgerRecords, approvals: ApprovalRecords) -> None:
    await ledger.insert([a_record(a_call("k1"), CallState.ASKED, approval_id="a1")], [an_approval("a1", ("k1",))])
    states = [ApprovalState.APPROVED, ApprovalState.DENIED] * 10
    found = await asyncio.gather(
        *(approvals.decide("a1", state, by=f"tg:{n}", at=NOON) for n, state in enumerate(states))
    )
    winners = [one for one in found if one is not None]
    assert len(winners) == 1
    record = await ledger.get("k1")
    assert record is not None
    assert str(record.state) == str(winners[0].state)


async def test_two_confirmations_by_one_person(ledger: LedgerRecords, approvals: ApprovalRecords) -> None:
    await ledger.insert([a_record(state=CallState.ASKED, approval_id="a1")], [an_approval(confirmations_needed=2)])
    first = await approvals.decide("a1", ApprovalState.APPROVED, by="tg:1", at=NOON)
    assert first is not None
    assert (first.state, first.confirmed_by) == (ApprovalState.PENDING, ("tg:1",))
    second = await approvals.decide("a1", ApprovalState.APPROVED, by="tg:1", at=NOON)
    assert second is not None
    assert (second.state, second.confirmed_by) == (ApprovalState.APPROVED, ("tg:1", "tg:1"))


async def test_a_second_person_is_needed(ledger: LedgerRecords, approvals: ApprovalRecords) -> None:
    asked = an_approval(confirmations_needed=2, needs_second_person=True)
    await ledger.insert([a_record(state=CallState.ASKED, approval_id="a1")], [asked])
    for _ in range(3):
        taps = await approvals.decide("a1", ApprovalState.APPROVED, by="tg:1", at=NOON)
        assert taps is not None
        assert (taps.state, taps.confirmed_by) == (ApprovalState.PENDING, ("tg:1",))
    last = await approvals.decide("a1", ApprovalState.APPROVED, by="tg:2", at=NOON)
    assert last is not None
    assert last.state is ApprovalState.APPROVED


async def test_a_late_tap_expires_the_question(ledger: LedgerRecords, approvals: ApprovalRecords) -> None:
    await ledger.insert([a_record(state=CallState.ASKED, approval_id="a1")], [an_approval()])
    late = NOON + timedelta(minutes=30)
    decided = await approvals.decide("a1", ApprovalState.APPROVED, by="tg:1", at=late)
    assert decided is not None
    assert (decided.state, decided.decided_by) == (ApprovalState.EXPIRED, None)
    record = await ledger.get(a_call().key)
    assert record is not None
    assert record.state is CallState.EXPIRED


async def test_an_undecided_approval_expires(ledger: LedgerRecords, approvals: ApprovalRecords) -> None:
    later = an_approval("a2", ("k2",), expires_at=NOON + timedelta(hours=2))
    await ledger.insert([a_record(a_call("k1"), CallState.ASKED, approval_id="a1")], [an_approval("a1", ("k1",))])
    await ledger.insert([a_record(a_call("k2"), CallState.ASKED, approval_id="a2")], [later])
    assert [one.id for one in await approvals.expire(NOON + timedelta(hours=1))] == ["a1"]
    assert [one.id for one in await approvals.pending()] == ["a2"]
    assert [record.call.key for record in await ledger.unfinished()] == []
