"""Retention of the tables: one condition per table, read by the clean-up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from sqlalchemy import Column, ColumnElement, String, and_, cast, exists, literal, or_

from core.actions.approvals import ApprovalState
from core.actions.calls import CallState
from core.runs import RunState
from core.settings import RetentionSettings
from knowledge.records.message_records import FINAL_MESSAGE_STATES
from knowledge.tables import (
    approvals,
    audit,
    call_needs,
    calls,
    deploys,
    enrolments,
    inbox,
    incidents,
    outbox,
    runs,
    silences,
    start_times,
    undo_data,
)

FINAL_CALL_STATES = tuple(state for state in CallState if state.is_final)
RowCondition = ColumnElement[bool]


@dataclass(frozen=True, kw_only=True)
class Cutoffs:
    """Moments before which rows are old enough to be deleted."""

    history: datetime
    undo: datetime
    runs: datetime
    messages: datetime

    @classmethod
    def at(cls, now: datetime, settings: RetentionSettings) -> Self:
        """Compute the cutoffs from the settings."""
        return cls(
            history=now - timedelta(days=settings.history_days),
            undo=now - timedelta(days=settings.undo_days),
            runs=now - timedelta(days=settings.runs_days),
            messages=now - timedelta(days=settings.messages_days),
        )


@dataclass(frozen=True, kw_only=True)
class Retention:
    """Retention of one table."""

    why: str
    due: Callable[[Cutoffs], RowCondition] | None = None
    """Condition of the rows to delete; None: the clean-up skips this table, and `why` says what bounds it."""


def _exists_for(incident_id: Column[Any]) -> RowCondition:
    return exists().where(incidents.c.id == incident_id)


def _is_open_for(incident_id: Column[Any]) -> RowCondition:
    return exists().where(incidents.c.id == incident_id, incidents.c.is_open.is_(True))


def _incidents(before: Cutoffs) -> RowCondition:
    unfinished = exists().where(calls.c.incident_id == incidents.c.id, calls.c.state.not_in(FINAL_CALL_STATES))
    return and_(incidents.c.is_open.is_(False), incidents.c.closed_at < before.history, ~unfinished)


def _calls(before: Cutoffs) -> RowCondition:
    dependant = calls.alias("dependant")
    is_needed = exists().where(
        call_needs.c.needed == calls.c.key,
        call_needs.c.call_id == dependant.c.id,
        dependant.c.state.not_in(FINAL_CALL_STATES),
    )
    is_old = and_(calls.c.state.in_(FINAL_CALL_STATES), calls.c.created_at < before.history)
    return and_(is_old, ~_exists_for(calls.c.incident_id), ~is_needed)


def _undo_data(before: Cutoffs) -> RowCondition:
    taken_back = undo_data.c.call_key.concat(":undo")
    may_be_used = exists().where(
        or_(calls.c.key == undo_data.c.call_key, calls.c.key == taken_back),
        or_(calls.c.state.not_in(FINAL_CALL_STATES), _is_open_for(calls.c.incident_id)),
    )
    is_followed = exists().where(deploys.c.key == undo_data.c.call_key, deploys.c.is_over.is_(False))
    return and_(undo_data.c.at < before.undo, ~may_be_used, ~is_followed)


def _approvals(before: Cutoffs) -> RowCondition:
    has_calls = exists().where(calls.c.approval_id == approvals.c.id)
    is_old = and_(approvals.c.state != ApprovalState.PENDING, approvals.c.asked_at < before.history)
    return and_(is_old, ~_exists_for(approvals.c.incident_id), ~has_calls)


def _runs(before: Cutoffs) -> RowCondition:
    key = literal("inc-").concat(cast(incidents.c.id, String))
    is_of_open = exists().where(key == runs.c.key, incidents.c.is_open.is_(True))
    is_old = or_(
        and_(runs.c.state.in_((RunState.DONE, RunState.CANCELLED)), runs.c.updated_at < before.runs),
        and_(runs.c.state == RunState.DEAD, runs.c.updated_at < before.history),
    )
    return and_(is_old, ~is_of_open)


def _outbox(before: Cutoffs) -> RowCondition:
    is_card = exists().where(outbox.c.coalesce.like(literal("card:").concat(cast(incidents.c.id, String)).concat(":%")))
    return and_(outbox.c.state.in_(FINAL_MESSAGE_STATES), outbox.c.ended_at < before.messages, ~is_card)


def _audit(before: Cutoffs) -> RowCondition:
    return and_(audit.c.at < before.history, ~_is_open_for(audit.c.incident_id))


def _deploys(before: Cutoffs) -> RowCondition:
    is_old = and_(deploys.c.is_over.is_(True), deploys.c.ordered_at < before.history)
    return and_(is_old, ~_is_open_for(deploys.c.incident_id))


RETENTION: Mapping[str, Retention] = {
    "incidents": Retention(
        why="history_days after the end: people compare with last year; an open one stays, with all that is its own",
        due=_incidents,
    ),
    "calls": Retention(
        why="with their incident; without one, history_days, unless a call that is not over needs them", due=_calls
    ),
    "call_needs": Retention(why="with their call: the database deletes them together"),
    "undo_data": Retention(
        why="undo_days: they hold secrets, and after so long nobody takes back more than was changed since; "
        "never while the incident is open or the undo under way",
        due=_undo_data,
    ),
    "approvals": Retention(why="with their calls and their incident; a pending one never", due=_approvals),
    "silences": Retention(
        why="history_days after their end: who wanted quiet, beside what went on",
        due=lambda before: silences.c.until < before.history,
    ),
    "runs": Retention(
        why="runs_days after the end: a known key is no new wish; dead ones history_days, for a person to revive",
        due=_runs,
    ),
    "settings": Retention(why="kept: one row for each setting that a person has changed"),
    "people": Retention(why="kept: until a person removes them"),
    "enrolments": Retention(
        why="history_days after they expired: who let whom in",
        due=lambda before: enrolments.c.expires_at < before.history,
    ),
    "inbox": Retention(
        why="messages_days after it was handled: the chat server's numbers begin anew after a week of silence",
        due=lambda before: inbox.c.done_at < before.messages,
    ),
    "outbox": Retention(why="messages_days after it was sent; a card's messages as long as its incident", due=_outbox),
    "audit": Retention(why="history_days: who decided what; of an open incident never", due=_audit),
    "start_times": Retention(
        why="the last 20 of a service, and of services that are gone history_days",
        due=lambda before: start_times.c.at < before.history,
    ),
    "lessons": Retention(why="kept: the memory, one row for each incident that was repaired"),
    "measured": Retention(why="as long as there are measurements: forgotten where those are written"),
    "series": Retention(why="an hour, a day and 30 days by grain: forgotten where they are written"),
    "deploys": Retention(why="history_days after the order; one without a verdict never", due=_deploys),
    "versions": Retention(why="versions_kept of a stack, and the last one that held: trimmed where they are added"),
}
"""Retention by table, in the order of the clean-up: a table that others refer to goes before them."""
