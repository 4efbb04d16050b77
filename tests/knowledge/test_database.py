"""Opening: migrations, keys, errors that name the next step, and what is not imported."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, TypedDict

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import create_engine, text

from core.actions.calls import Approvals, CallLedger, PolicyFacts
from core.errors import SettingsError, SystemUnavailable
from core.incidents.incident import Incident
from core.incidents.incident_store import IncidentStore, Silences
from core.monitoring.inventory import Inventory
from core.monitoring.usage_series import Series
from core.notifications import QueuedMessage
from core.settings import Settings
from core.text import text as text_
from knowledge import schema
from knowledge.checkpoints import Checkpoints
from knowledge.database import Database, sqlite_url
from knowledge.records.incident_records import IncidentRecords
from knowledge.records.message_records import Outbox
from knowledge.stores import Knowledge
from knowledge.table_types import metadata
from tests.knowledge.tools import NOON, SetClock, an_incident

HEAVY = ("alembic", "chromadb", "langgraph", "procrastinate", "numpy", "psycopg")
OPEN_AND_TELL = f"""
import asyncio, sys
from pathlib import Path
from core.notifications import QueuedMessage
from core.text import text as text_
from core.settings import Settings
from knowledge.records.message_records import Outbox
from knowledge.stores import Knowledge
from tests.knowledge.tools import SetClock

async def main():
    async with Knowledge(Settings(data_dir=Path(sys.argv[1])), SetClock()):
        print([name for name in {HEAVY!r} if name in sys.modules])

asyncio.run(main())
"""


def test_opening_a_current_database_imports_nothing_heavy(tmp_path: Path) -> None:
    said = [
        subprocess.run(
            [sys.executable, "-c", OPEN_AND_TELL, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
        ).stdout.strip()
        for _ in range(2)
    ]
    assert said == ["['alembic']", "[]"]


def test_the_revisions_are_those_of_the_files() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS_DIR))
    scripts = ScriptDirectory.from_config(config)
    assert [script.revision for script in scripts.walk_revisions()][::-1] == list(schema.REVISIONS)
    assert scripts.get_heads() == [schema.NEEDED_REVISION]


async def test_the_migrations_make_the_tables(database: Database) -> None:
    url = database.url.set(drivername="sqlite") if database.is_sqlite else database.url
    engine = create_engine(url)
    with engine.connect() as connection:
        difference = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    assert difference == []


async def test_an_older_database_is_upgraded_and_keeps_its_rows(database_url: str) -> None:
    oldest = schema.REVISIONS[0]
    await asyncio.to_thread(schema.upgrade_database, database_url, oldest)
    assert oldest != schema.NEEDED_REVISION
    older = Database(database_url)  # not entered: nothing is migrated
    await IncidentRecords(older).open(an_incident())
    await older.close()
    async with Database(database_url) as database:
        assert len(await IncidentRecords(database).recent()) == 1
        async with database.read() as connection:
            assert await connection.scalar(text("SELECT version_num FROM alembic_version")) == schema.NEEDED_REVISION


async def test_workers_that_start_together_migrate_once(postgres_url: str) -> None:
    async def open_once() -> None:
        async with Database(postgres_url) as database:
            assert await IncidentRecords(database).open_ones() == []

    await asyncio.gather(*(open_once() for _ in range(4)))


async def test_a_newer_database_is_refused(database_url: str) -> None:
    async with Database(database_url) as database, database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SettingsError, match=r"'9999'.*newer version"):
        async with Database(database_url):
            pytest.fail("opened a newer database")


async def test_an_address_that_cannot_be_reached_says_so() -> None:
    with pytest.raises(SystemUnavailable, match="database_url"):
        async with Database("postgresql+psycopg://nobody@127.0.0.1:1/none"):
            pytest.fail("opened nothing")
    with pytest.raises(SettingsError, match=r"postgresql\+psycopg"):
        Database("mysql://x/y")


async def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "guardian.db").write_bytes(b"this is a letter to my aunt" * 100)
    with pytest.raises(SystemUnavailable, match="not a database"):
        async with Database(sqlite_url(tmp_path / "guardian.db")):
            pytest.fail("opened a letter")


async def test_the_key_file_is_private_and_stays(tmp_path: Path) -> None:
    for _ in range(2):
        async with Knowledge(Settings(data_dir=tmp_path), SetClock()) as knowledge:
            await knowledge.ledger.save_snapshot("k", {"a": 1})
            assert await knowledge.ledger.snapshot("k") == {"a": 1}
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("spoil", ["removed", "replaced", "emptied"])
async def test_a_wrong_key_is_reported_at_once(tmp_path: Path, spoil: str) -> None:
    async with Knowledge(Settings(data_dir=tmp_path), SetClock()):
        pass
    if spoil == "removed":
        (tmp_path / "secret.key").unlink()
    elif spoil == "emptied":
        (tmp_path / "secret.key").write_text("")
    key = SecretStr("a quite different phrase") if spoil == "replaced" else None
    with pytest.raises(SettingsError, match=r"INFRAGUARDIAN_KEY|backup"):
        async with Knowledge(Settings(data_dir=tmp_path, key=key), SetClock()):
            pytest.fail("opened with a wrong key")


async def test_a_short_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="12 characters"):
        async with Knowledge(Settings(data_dir=tmp_path, key=SecretStr("short")), SetClock()):
            pytest.fail("opened with a short key")


async def test_everything_opens_together(database_url: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", database_url=SecretStr(database_url))
    async with Knowledge(settings, SetClock()) as knowledge:
        await knowledge.incidents.open(an_incident())
        await knowledge.runs.start()
        async with knowledge.locks.hold("local/api", wait_s=1):
            stats = await knowledge.stats()
        assert stats.rows["incidents"] == 1
        assert stats.database_bytes > 0
        assert ":***@" in stats.database or stats.database.startswith("sqlite")
        await knowledge.cleanup.run()


class Counted(TypedDict, total=False):
    n: int
    text: str


async def test_the_stores_implement_the_protocols(tmp_path: Path) -> None:
    """Checked by the type checker: each assignment names the protocol that the core calls."""
    async with Knowledge(Settings(data_dir=tmp_path), SetClock()) as knowledge:
        ledger: CallLedger = knowledge.ledger
        approvals: Approvals = knowledge.approvals
        incidents: IncidentStore = knowledge.incidents
        silences: Silences = knowledge.silences
        series: Series = knowledge.series
        facts: PolicyFacts = knowledge.facts(Inventory)
        assert all((ledger, approvals, incidents, silences, series, facts))


async def count_up(saver: Any, thread: str, **state: Any) -> dict[str, Any]:
    from langgraph.graph import END, START, StateGraph

    def count(state: Counted) -> Counted:
        return {"n": state["n"] + 1}

    builder = StateGraph(Counted)
    builder.add_node("count", count)
    builder.add_edge(START, "count")
    builder.add_edge("count", END)
    config: Any = {"configurable": {"thread_id": thread}}
    graph: Any = builder.compile(checkpointer=saver)
    return dict(await graph.ainvoke({"n": 1, **state}, config, durability="sync"))


async def test_checkpoints_outlive_the_process_until_they_are_dropped(database_url: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", database_url=SecretStr(database_url))
    config: Any = {"configurable": {"thread_id": "inc-1"}}
    async with Knowledge(settings, SetClock()) as knowledge:
        assert (await count_up(await knowledge.checkpoints.saver(), "inc-1"))["n"] == 2
    async with Knowledge(settings, SetClock()) as knowledge:
        saver = await knowledge.checkpoints.saver()
        assert await saver.aget_tuple(config) is not None
        assert await knowledge.checkpoints.threads() == ["inc-1"]
        await knowledge.checkpoints.forget("inc-1")
        await knowledge.checkpoints.forget("inc-2")
        assert await saver.aget_tuple(config) is None
        assert await knowledge.checkpoints.threads() == []


def graph_bytes(home: Path) -> int:
    return sum(path.stat().st_size for path in home.glob("graph.db*"))


@pytest.mark.parametrize("is_old", [False, True], ids=["made by this version", "made without the means to shrink"])
async def test_the_file_of_the_graph_shrinks_with_what_is_dropped(tmp_path: Path, is_old: bool) -> None:
    if is_old:
        with closing(sqlite3.connect(tmp_path / "graph.db")) as connection, connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("CREATE TABLE other (n INTEGER)")
    async with Knowledge(Settings(data_dir=tmp_path), SetClock()) as knowledge:
        saver = await knowledge.checkpoints.saver()
        for number in range(20):
            await count_up(saver, f"inc-{number}", text="x" * 100_000)
        full = graph_bytes(tmp_path)
        assert full > 4_000_000
        for number in range(1, 20):
            await knowledge.checkpoints.forget(f"inc-{number}")
        await knowledge.checkpoints.make_shrinkable()
        assert graph_bytes(tmp_path) < full / 10
        await count_up(saver, "inc-20", text="x" * 1_000_000)
        await knowledge.checkpoints.forget("inc-20")
        assert graph_bytes(tmp_path) < full / 10
        assert await knowledge.checkpoints.threads() == ["inc-0"]


async def test_checkpoints_bring_back_plain_types_only(tmp_path: Path) -> None:
    async with Knowledge(Settings(data_dir=tmp_path), SetClock()) as knowledge:
        saver = await knowledge.checkpoints.saver()
        stored = saver.serde.dumps_typed({"incident": an_incident(), "n": 1, "at": NOON})
        back = saver.serde.loads_typed(stored)
    assert (back["n"], back["at"]) == (1, NOON)
    assert not isinstance(back["incident"], Incident)


async def test_workers_that_open_checkpoints_together_get_along(postgres_url: str, tmp_path: Path) -> None:
    async with Database(postgres_url) as database:

        async def open_once() -> None:
            checkpoints = Checkpoints(database, tmp_path)
            assert await checkpoints.threads() == []
            await checkpoints.close()

        await asyncio.gather(*(open_once() for _ in range(3)))


OLD_MESSAGES = """
INSERT INTO outbox (chat_id, thread_id, kind, payload, coalesce, version, of_row, state, message_id, attempts,
    error, made_at)
VALUES (5, NULL, 'send', '{"html": "card", "incident": 5}', 'card:5:5', 1, NULL, 'sent', 500, 0, '', :at),
    (5, NULL, 'edit', '{"html": "newer"}', 'card:5:5', 3, 1, 'pending', NULL, 2, 'later', :at),
    (5, NULL, 'send', '{"html": "page"}', 'page:5:5:escalated:1', 1, 1, 'pending', NULL, 0, '', :at),
    (-100, 7, 'send', '{"html": "answer"}', 'answer:tg:1:2:0', 1, NULL, 'pending', NULL, 0, '', :at)
"""


async def test_messages_of_an_older_database_find_their_destination(database_url: str) -> None:
    """What waited is sent where it was meant to go, as the edit or answer that it was, and no card comes twice."""
    await asyncio.to_thread(schema.upgrade_database, database_url, "0003")
    older = Database(database_url)
    async with older.write() as connection:
        await connection.execute(text(OLD_MESSAGES), {"at": NOON if not older.is_sqlite else "2026-03-01 12:00:00"})
        card = "INSERT INTO cards (id, incident_id, chat_id, outbox_id, message_id) VALUES (1, 5, 5, 1, 500)"
        await connection.execute(text(card))
    await older.close()
    async with Database(database_url) as database:
        outbox = Outbox(database, SetClock())
        edit, page = await outbox.pending_for("telegram:5")
        assert (edit.key, edit.of_message_id, edit.version, edit.attempts) == ("card:5:telegram:5", "500", 3, 2)
        assert (page.key, page.of_message_id) == ("page:5:telegram:5:escalated:1", "500")
        (answer,) = await outbox.pending_for("telegram:-100:7")
        assert (answer.key, answer.payload) == ("answer:tg:1:2:0", {"html": "answer"})
        assert [one.id for one in await outbox.showing("telegram:5", "500")] == [1]
        (new,) = await outbox.add(QueuedMessage(destination="telegram:5", payload={}))
        assert new == 5


async def test_records_of_an_older_database_keep_their_sentences(database_url: str) -> None:
    """Their JSON called a sentence `says`; what is read after the upgrade is what was written."""
    await asyncio.to_thread(schema.upgrade_database, database_url, "0005")
    older = Database(database_url)
    written = await IncidentRecords(older).open(an_incident().note(NOON, text_("incident.note.opened", message="x")))
    async with older.write() as connection:
        body = str(await connection.scalar(text("SELECT body FROM incidents")))
        old = body.replace('"message"', '"says"').replace('"outcome"', '"outcome_says"')
        await connection.execute(text("UPDATE incidents SET body = :body"), {"body": old})
    await older.close()
    assert '"says"' in old
    async with Database(database_url) as database:
        assert await IncidentRecords(database).get(written.id) == written
