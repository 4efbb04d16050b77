"""Approvals: the first decision wins, and the calls it is about move in the same transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.actions.approvals import Approval, ApprovalState
from core.actions.calls import CallState
from knowledge.codec import decode_record, encode_record
from knowledge.database import Database
from knowledge.tables import approvals, calls

CALL_STATE_AFTER_DECISION = {
    ApprovalState.APPROVED: CallState.APPROVED,
    ApprovalState.DENIED: CallState.DENIED,
    ApprovalState.EXPIRED: CallState.EXPIRED,
    ApprovalState.WITHDRAWN: CallState.WITHDRAWN,
}
"""State of the waiting calls after a decision."""


class ApprovalRecords:
    """core.actions.calls.Approvals over the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, approval_id: str) -> Approval | None:
        """The approval, or None."""
        async with self._database.read() as connection:
            return await _get(connection, approval_id)

    async def pending(self) -> list[Approval]:
        """Pending approvals, oldest first."""
        query = select(approvals).where(approvals.c.state == ApprovalState.PENDING)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(approvals.c.asked_at, approvals.c.id))).all()
        return [_approval(row) for row in rows]

    async def of_incident(self, incident_id: int) -> list[Approval]:
        """Approvals of an incident, decided ones too, oldest first."""
        query = select(approvals).where(approvals.c.incident_id == incident_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(approvals.c.asked_at, approvals.c.id))).all()
        return [_approval(row) for row in rows]

    async def decide(
        self, approval_id: str, state: ApprovalState, *, by: str, at: datetime, why: str = ""
    ) -> Approval | None:
        """Move pending → state in one conditional update, its calls with it; None: it was decided before.

        APPROVED when more confirmations are needed only adds one and returns it still pending; where a second person
        is needed, a second confirmation of the same person adds nothing. An overdue approval becomes EXPIRED instead.
        """
        if state is ApprovalState.PENDING:
            raise ValueError("a decision cannot be 'pending'; use approved, denied, expired or withdrawn")
        async with self._database.write() as connection:
            query = select(approvals).where(approvals.c.id == approval_id).with_for_update()
            row = (await connection.execute(query)).one_or_none()
            if row is None or row.state != ApprovalState.PENDING:
                return None
            asked = _approval(row)
            if at >= asked.expires_at and state is not ApprovalState.WITHDRAWN:
                return await _close(connection, asked, ApprovalState.EXPIRED, by="", at=at, why="")
            if state is ApprovalState.APPROVED:
                asked = _confirmed(asked, by)
                if not _has_enough(asked):
                    await connection.execute(
                        update(approvals)
                        .where(approvals.c.id == asked.id, approvals.c.state == ApprovalState.PENDING)
                        .values(confirmed_by=list(asked.confirmed_by))
                    )
                    return asked
            return await _close(connection, asked, state, by=by, at=at, why=why)

    async def expire(self, now: datetime) -> list[Approval]:
        """Expire all overdue approvals; returns them."""
        query = select(approvals.c.id).where(approvals.c.state == ApprovalState.PENDING, approvals.c.expires_at <= now)
        async with self._database.read() as connection:
            overdue = (await connection.execute(query.order_by(approvals.c.asked_at))).scalars().all()
        ended = [await self.decide(one, ApprovalState.EXPIRED, by="", at=now) for one in overdue]
        return [one for one in ended if one is not None]


async def insert_approval(connection: AsyncConnection, approval: Approval) -> None:
    """Write a new approval, within the transaction that writes its calls."""
    await connection.execute(
        insert(approvals).values(
            id=approval.id,
            body=encode_record(approval),
            state=approval.state,
            incident_id=approval.incident_id,
            asked_at=approval.asked_at,
            expires_at=approval.expires_at,
            confirmed_by=list(approval.confirmed_by),
            decided_by=approval.decided_by,
            decided_at=approval.decided_at,
            why=approval.why,
        )
    )


def _confirmed(asked: Approval, by: str) -> Approval:
    if asked.needs_second_person and by in asked.confirmed_by:
        return asked
    return replace(asked, confirmed_by=(*asked.confirmed_by, by))


def _has_enough(asked: Approval) -> bool:
    least = max(asked.confirmations_needed, 2) if asked.needs_second_person else asked.confirmations_needed
    return len(asked.confirmed_by) >= least


async def _close(
    connection: AsyncConnection, asked: Approval, state: ApprovalState, *, by: str, at: datetime, why: str
) -> Approval | None:
    moved = await connection.execute(
        update(approvals)
        .where(approvals.c.id == asked.id, approvals.c.state == ApprovalState.PENDING)
        .values(state=state, confirmed_by=list(asked.confirmed_by), decided_by=by or None, decided_at=at, why=why)
    )
    if moved.rowcount != 1:
        return None
    change: dict[str, object] = {"state": CALL_STATE_AFTER_DECISION[state]}
    change |= {"approved_by": by} if state is ApprovalState.APPROVED else {"finished_at": at}
    await connection.execute(
        update(calls).where(calls.c.approval_id == asked.id, calls.c.state == CallState.ASKED).values(**change)
    )
    return replace(asked, state=state, decided_by=by or None, decided_at=at, why=why)


async def _get(connection: AsyncConnection, approval_id: str) -> Approval | None:
    row = (await connection.execute(select(approvals).where(approvals.c.id == approval_id))).one_or_none()
    return None if row is None else _approval(row)


def _approval(row: Row[tuple[object, ...]]) -> Approval:
    asked = decode_record(Approval, row.body, what=f"the approval {row.id!r}")
    return replace(
        asked,
        state=ApprovalState(row.state),
        confirmed_by=tuple(row.confirmed_by),
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        why=row.why,
    )
