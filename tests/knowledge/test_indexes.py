"""The queries that grow with the history are answered by an index, on both kinds of database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import event, insert, inspect

from core.incidents.incident import IncidentState
from knowledge import schema
from knowledge.database import Database
from knowledge.records.incident_records import IncidentRecords, _columns
from knowledge.records.lesson_records import LessonRecords, VectorCollection
from knowledge.tables import incidents, lessons
from tests.knowledge.tools import NOON, an_incident

Ask = Callable[[Database], Awaitable[object]]
QUERIES: dict[str, tuple[str, Ask]] = {
    "the incidents of a stack": (
        "ix_incidents_stack",
        lambda database: IncidentRecords(database).recent(10, stack="stack-7"),
    ),
    "the incidents of a service": (
        "ix_incidents_stack",
        lambda database: IncidentRecords(database).recent(10, stack="stack-7", service="api"),
    ),
    "lessons that the built-in index lacks": (
        "ix_lessons_not_in_builtin",
        lambda database: LessonRecords(database).unindexed(VectorCollection.BUILTIN, 10),
    ),
    "lessons that the model's index lacks": (
        "ix_lessons_not_in_model",
        lambda database: LessonRecords(database).unindexed(VectorCollection.MODEL, 10, model="m@1#3"),
    ),
    "lessons that the model has not embedded": (
        "ix_lessons_embedding_model",
        lambda database: LessonRecords(database).unembedded("m@1", 10),
    ),
}


@pytest.mark.parametrize("what", QUERIES)
async def test_no_query_reads_the_whole_history(database: Database, what: str) -> None:
    await a_history(database)
    index, ask = QUERIES[what]
    for plan in await plans_of(database, ask):
        assert index in plan, plan
        is_sorted = "TEMP B-TREE" in plan or "Sort" in plan
        assert not is_sorted or index == "ix_lessons_embedding_model", plan  # that one leaves few to sort


async def a_history(database: Database) -> None:
    """Enough rows for the planner to mind: closed incidents of many stacks, lessons in both indexes."""
    incident = _columns(an_incident(state=IncidentState.RESOLVED, closed_at=NOON))
    lesson = {"at": NOON, "service": "api", "cause": "c", "runbook": "r", "held": True, "body": "x" * 1000}
    known = {"embedding": bytes(2000), "embedding_model": "m@1#3", "in_builtin": True, "in_model": True}
    stacks = [f"stack-{number % 40}" for number in range(2000)]
    async with database.write() as connection:
        await connection.execute(insert(incidents), [{**incident, "stack": stack} for stack in stacks])
        await connection.execute(insert(lessons), [{**lesson, **known, "stack": stack} for stack in stacks])
        if not database.is_sqlite:
            await connection.exec_driver_sql("ANALYZE")


@pytest.mark.parametrize("before", [one for one in schema.REVISIONS if one < "0004"])
async def test_an_older_database_gets_the_indexes(database_url: str, before: str) -> None:
    await asyncio.to_thread(schema.upgrade_database, database_url, before)
    async with Database(database_url) as database, database.read() as connection:
        found = await connection.run_sync(_indexes)
    assert {name for name, _ in QUERIES.values()} <= found


def _indexes(connection: Any) -> set[str]:
    looked = inspect(connection)
    return {str(one["name"]) for table in ("incidents", "lessons") for one in looked.get_indexes(table)}


async def plans_of(database: Database, ask: Ask) -> list[str]:
    """How the database goes about each statement that `ask` makes."""
    heard: list[tuple[str, Any]] = []

    def listen(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if statement.startswith("SELECT"):
            heard.append((statement, parameters))

    engine = database._reader.sync_engine
    event.listen(engine, "before_cursor_execute", listen)
    await ask(database)
    event.remove(engine, "before_cursor_execute", listen)
    assert heard
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    plans = []
    async with database.read() as connection:
        for statement, parameters in heard:
            rows = await connection.exec_driver_sql(f"{explain} {statement}", parameters)
            plans.append("\n".join(str(row[-1]) for row in rows))
    return plans
