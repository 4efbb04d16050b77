"""Lines that migration tools print when they migrate, and those that they print when there is nothing to do."""

import pytest

from integrations.dokploy.actions.stack_params import is_commit_hash
from integrations.dokploy.deploys.migration_logs import find_migration_tool

MIGRATED = {
    "alembic": "INFO  [alembic.runtime.migration] Running upgrade 1975ea83b712 -> ae1027a6acf, Add a column",
    "django": "  Applying auth.0012_alter_user_first_name_max_length... OK",
    "rails": "== 20240301120000 AddPriceToDishes: migrating =================================",
    "prisma": "Applying migration `20240301120000_add_price`",
    "flyway": 'Migrating schema "public" to version "3 - add price"',
    "liquibase": "Running Changeset: db/changelog.xml::3::ada",
    "knex": "Batch 4 run: 2 migrations",
    "sequelize": "== 20240301120000-add-price: migrating =======",
    "typeorm": "Migration AddPrice1709294400000 has been  executed successfully.",
    "goose": "OK    20240301120000_add_price.sql (5.12ms)",
    "laravel": "  2024_03_01_120000_add_price_to_dishes_table ............. 12ms DONE",
    "doctrine": "[notice] finished in 20.1ms, used 16M memory, 1 migrations executed, 2 sql queries",
    "golang-migrate": "3/u add_price (12.3ms)",
    "dbmate": "Applying: 20240301120000_add_price.sql",
    "ecto": "12:00:00.000 [info] == Running 20240301120000 Shop.Repo.Migrations.AddPrice.change/0 forward",
    "entity framework": "Applying migration '20240301120000_AddPrice'.",
    "migration": "applying migration 7 of the schema",
}
NOTHING_DONE = (
    "Running migrations:\n  No migrations to apply.",
    "No pending migrations to apply.",
    'Schema "public" is up to date. No migration necessary.',
    "Successfully applied 0 migrations to schema",
    "Already up to date",
    "goose: no migrations to run. current version: 3",
    "INFO  [alembic.runtime.migration] Will assume transactional DDL.",
    "Nothing to migrate.",
    "GET /migrations 200 12ms",
    "applying migrations... none",
    "",
)


@pytest.mark.parametrize(("tool", "line"), MIGRATED.items())
def test_a_migration_is_recognised(tool: str, line: str) -> None:
    found = find_migration_tool(f"2026-03-14T12:00:00Z starting\n2026-03-14T12:00:01Z {line}\n")
    assert found == tool


@pytest.mark.parametrize("lines", NOTHING_DONE)
def test_nothing_to_migrate_is_no_migration(lines: str) -> None:
    assert find_migration_tool(lines) is None


@pytest.mark.parametrize(
    ("ref", "is_hash"),
    [
        ("0a1b2c3", True),
        ("0123456789abcdef0123456789abcdef01234567", True),
        ("1234567", True),
        ("20260314", False),
        ("20261399", True),
        ("deadbee", True),
        ("v1.2.3", False),
        ("main", False),
        ("abc", False),
        ("release-0a1b2c3", False),
    ],
)
def test_a_commit_is_told_from_a_tag(ref: str, is_hash: bool) -> None:
    assert is_commit_hash(ref) is is_hash
