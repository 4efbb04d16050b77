"""The call ledger: every call, started at most once, and its outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import ColumnElement, Row, Select, and_, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from core.actions.approvals import Approval
from core.actions.calls import Budget, Call, CallRecord, CallState, StartOutcome
from core.actions.catalog import JsonObject, Result, Risk
from core.actions.policy import ActorKind
from core.clock import Clock
from core.monitoring.snapshot import OwnAct
from knowledge.codec import decode_record, encode_record
from knowledge.database import Database
from knowledge.locks import lock_number
from knowledge.records.approval_records import insert_approval
from knowledge.tables import call_needs, calls, undo_data
from knowledge.vault import Vault

SEALED_PARAM = "$sealed"
"""Parameter that holds all secret ones of a call, encrypted."""
UNFINISHED_CALL_STATES = (CallState.APPROVED, CallState.STARTED)
OPEN_CALL_STATES = (CallState.ASKED, *UNFINISHED_CALL_STATES)


class LedgerRecords:
    """core.actions.calls.CallLedger over the database."""

    def __init__(self, database: Database, vault: Vault, clock: Clock) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._acts: tuple[datetime, list[OwnAct]] | None = None
        """Calls started since a moment, cached until the next start: each poll of each watcher asks for them."""
        self._starts = 0

    async def get(self, key: str) -> CallRecord | None:
        """The record, or None."""
        found = await self._all(select(calls).where(calls.c.key == key))
        return found[0] if found else None

    async def of_incident(self, incident_id: int) -> list[CallRecord]:
        """All calls of an incident, oldest first."""
        return await self._all(select(calls).where(calls.c.incident_id == incident_id))

    async def unfinished(self) -> list[CallRecord]:
        """Calls that are approved or started, oldest first."""
        return await self._all(select(calls).where(calls.c.state.in_(UNFINISHED_CALL_STATES)))

    async def dependants(self, key: str) -> list[CallRecord]:
        """Calls that need this one, oldest first."""
        return await self._all(select(calls).join(call_needs).where(call_needs.c.needed == key))

    async def insert(self, records: Sequence[CallRecord], approvals: Sequence[Approval] = ()) -> bool:
        """Write new calls and the approvals they wait for, all or nothing; False: one of the keys is known."""
        try:
            async with self._database.write() as connection:
                for record in records:
                    await _insert_call(connection, replace(record, call=self._sealed(record.call)))
                for approval in approvals:
                    await insert_approval(connection, approval)
        except IntegrityError:
            known = [record for record in records if await self.get(record.call.key) is not None]
            if known:
                return False
            raise
        return True

    async def start(self, key: str, at: datetime, budget: Budget | None) -> StartOutcome:
        """Move approved → started, only once, and only within the budget (counted in the same transaction)."""
        async with self._database.write() as connection:
            if budget is not None:
                await self._one_at_a_time(connection, budget)
                if await _spent(connection, budget) >= budget.limit:
                    return await _why_not(connection, key) or StartOutcome.OVER_BUDGET
            moved = await connection.execute(
                update(calls)
                .where(calls.c.key == key, calls.c.state == CallState.APPROVED)
                .values(state=CallState.STARTED, started_at=at)
            )
            if moved.rowcount == 0:
                return await _why_not(connection, key) or StartOutcome.ALREADY
        self._acts, self._starts = None, self._starts + 1
        return StartOutcome.STARTED

    async def put_back(self, key: str) -> None:
        """Move started → approved, adding one to `tries`: for a retry after a failure that is certain."""
        async with self._database.write() as connection:
            await connection.execute(
                update(calls)
                .where(calls.c.key == key, calls.c.state == CallState.STARTED)
                .values(state=CallState.APPROVED, tries=calls.c.tries + 1)
            )

    async def finish(
        self, key: str, state: CallState, result: Result | None, at: datetime, *, only_from: CallState | None = None
    ) -> bool:
        """Record the end of a call; False: it had ended already (the first end stays), or is not in `only_from`."""
        if not state.is_final:
            raise ValueError(f"{state!r} is no end of a call; use one of the final states")
        before = OPEN_CALL_STATES if only_from is None else (only_from,)
        async with self._database.write() as connection:
            moved = await connection.execute(
                update(calls)
                .where(calls.c.key == key, calls.c.state.in_(before))
                .values(state=state, result=encode_record(result) if result else None, finished_at=at)
            )
            return moved.rowcount == 1

    async def save_snapshot(self, key: str, snapshot: JsonObject) -> None:
        """Store undo data, encrypted at rest; the first snapshot of a call stays."""
        secret = self._vault.seal(snapshot)
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(undo_data).values(call_key=key, secret=secret, at=self._clock.now()))
        except IntegrityError:
            return  # taken before a crash: what the world was like before the first try

    async def snapshot(self, key: str) -> JsonObject | None:
        """The undo data of a call, or None."""
        async with self._database.read() as connection:
            query = select(undo_data.c.secret).where(undo_data.c.call_key == key)
            secret = (await connection.execute(query)).scalar_one_or_none()
        return None if secret is None else self._vault.open(secret, what=f"the undo data of the call {key!r}")

    async def acts_since(self, at: datetime) -> list[OwnAct]:
        """Calls really started since then, oldest first."""
        known, starts = self._acts, self._starts
        if known is None or at < known[0]:
            known = (at, await self._started_since(at))
            # not where other processes start calls too, nor what was read while one was started
            self._acts = known if self._database.is_sqlite and starts == self._starts else None
        return [act for act in known[1] if act.at >= at]

    async def _started_since(self, at: datetime) -> list[OwnAct]:
        query = select(calls.c.started_at, calls.c.target, calls.c.action, calls.c.by).where(
            calls.c.started_at >= at, calls.c.target.is_not(None)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(calls.c.started_at, calls.c.id))).all()
        return [OwnAct(at=row.started_at, ref=row.target, action=row.action, by=row.by) for row in rows]

    async def machine_made(self, budget: Budget) -> int:
        """Number of tries already counted against a budget."""
        async with self._database.read() as connection:
            return await _spent(connection, budget)

    async def _all(self, query: Select[tuple[object, ...]]) -> list[CallRecord]:
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(calls.c.id))).all()
        return [self._opened(_record(row)) for row in rows]

    def _sealed(self, call: Call) -> Call:
        """The call as stored: its secret parameters encrypted together."""
        secrets = {name: call.params[name] for name in call.secret_params if name in call.params}
        if not secrets:
            return call
        shown = {name: value for name, value in call.params.items() if name not in secrets}
        return replace(call, params={**shown, SEALED_PARAM: self._vault.seal(secrets).decode()})

    def _opened(self, record: CallRecord) -> CallRecord:
        sealed = record.call.params.get(SEALED_PARAM) if record.call.secret_params else None
        if not isinstance(sealed, str):
            return record
        shown = {name: value for name, value in record.call.params.items() if name != SEALED_PARAM}
        opened = self._vault.open(sealed.encode(), what=f"the call {record.call.key!r}")
        return replace(record, call=replace(record.call, params={**shown, **opened}))

    async def _one_at_a_time(self, connection: AsyncConnection, budget: Budget) -> None:
        """Lock the budget until the commit on PostgreSQL; SQLite has one writer anyway."""
        if not self._database.is_sqlite:
            number = lock_number(f"budget {budget.stack}/{budget.service}")
            await connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})


async def _insert_call(connection: AsyncConnection, record: CallRecord) -> None:
    call = record.call
    written = await connection.execute(
        insert(calls)
        .values(
            key=call.key,
            body=encode_record(call),
            risk=record.risk,
            by_machine=call.actor.kind is not ActorKind.PERSON,
            by=call.actor.id,
            action=call.action,
            incident_id=call.incident_id,
            attempt=call.attempt,
            state=record.state,
            target=record.target,
            stack=record.stack,
            service=record.service,
            approval_id=record.approval_id,
            tries=record.tries,
            result=encode_record(record.result) if record.result else None,
            approved_by=record.approved_by,
            created_at=record.created_at,
            started_at=record.started_at,
            finished_at=record.finished_at,
        )
        .returning(calls.c.id)
    )
    call_id = written.scalar_one()
    if call.needs:
        rows = [{"call_id": call_id, "needed": needed} for needed in dict.fromkeys(call.needs)]
        await connection.execute(insert(call_needs), rows)


async def _spent(connection: AsyncConnection, budget: Budget) -> int:
    """Count started calls against a budget: changes that a person approved do not count, disruptions always do."""
    alone = calls.c.approved_by.is_(None) | (calls.c.risk == Risk.DISRUPTIVE)
    conditions: list[ColumnElement[bool]] = [
        calls.c.by_machine.is_(True),
        alone,
        calls.c.risk.in_(budget.risks),
        calls.c.started_at >= budget.since,
        calls.c.stack == budget.stack if budget.stack is not None else calls.c.stack.is_(None),
    ]
    if budget.service is not None:
        conditions.append(calls.c.service == budget.service)
    query = select(func.coalesce(func.sum(calls.c.tries + 1), 0)).where(and_(*conditions))
    return int((await connection.execute(query)).scalar_one())


async def _why_not(connection: AsyncConnection, key: str) -> StartOutcome | None:
    """Outcome for a call that cannot start; None: it can."""
    query = select(calls.c.state).where(calls.c.key == key)
    state = (await connection.execute(query)).scalar_one_or_none()
    if state in (None, CallState.ASKED, CallState.DENIED, CallState.EXPIRED, CallState.WITHDRAWN, CallState.SKIPPED):
        return StartOutcome.NOT_APPROVED
    return None if state == CallState.APPROVED else StartOutcome.ALREADY


def _record(row: Row[tuple[object, ...]]) -> CallRecord:
    what = f"the call {row.key!r}"
    return CallRecord(
        call=decode_record(Call, row.body, what=what),
        risk=Risk(row.risk),
        state=CallState(row.state),
        target=row.target,
        stack=row.stack,
        service=row.service,
        approval_id=row.approval_id,
        tries=row.tries,
        result=decode_record(Result, row.result, what=what) if row.result else None,
        approved_by=row.approved_by,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
