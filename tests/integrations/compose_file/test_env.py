"""The environment field: names are told, values never; `docker compose` reads what is written."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from integrations.compose_file.env_field import changed_keys, env_variable_names, set_env_value, unset_variables
from tests.testbed.state import Bed

ENV = (
    "# database\nDB_HOST=db   # where\nexport DB_PASSWORD='s3 cret'\n\n"
    'EMPTY=\nPEM="-----BEGIN\nKEY=inside\n-----END"\nBARE\nDB_HOST=db2\n'
)


def test_names_are_read() -> None:
    assert env_variable_names(ENV) == ["DB_HOST", "DB_PASSWORD", "EMPTY", "PEM", "BARE"]


def test_changes_are_told_by_name() -> None:
    after = ENV.replace("db2", "db3").replace("EMPTY=\n", "NEW=1\n")
    found = changed_keys(ENV, after)
    assert (found.added, found.removed, found.changed) == (("NEW",), ("EMPTY",), ("DB_HOST",))
    assert changed_keys(ENV, ENV).is_empty


def test_a_value_is_set_where_it_stands() -> None:
    assert set_env_value(ENV, "DB_PASSWORD", "new") == ENV.replace("'s3 cret'", "new")
    assert set_env_value(ENV, "DB_HOST", "x") == ENV.replace("db2", "x")
    assert set_env_value(ENV, "EMPTY", "x") == ENV.replace("EMPTY=", "EMPTY=x")
    assert set_env_value(ENV, "MORE", "x") == f"{ENV}MORE=x\n"
    assert set_env_value("A=1", "B", "2") == "A=1\nB=2"
    assert set_env_value("A=1\r\n", "B", "2") == "A=1\r\nB=2\r\n"


HARD = [
    "plain",
    "",
    "two words",
    "a#b",
    "a #b",
    "it's",
    'say "x"',
    "${X}",
    "$Y z",
    "a\\nb",
    "x\ny",
    "'q'",
    "é ñ 🛒",
    "a\\",
    "=",
    "  pad  ",
]


def test_docker_compose_reads_back_the_written_value(bed: Bed, tmp_path: Path) -> None:
    env = "# first\n"
    for number, value in enumerate(HARD):
        env = set_env_value(env, f"V{number}", value)
    (tmp_path / ".env").write_text(env)
    (tmp_path / "compose.yml").write_text("services: {a: {image: b}}\n")
    command = ["docker", "--config", bed.compose_config, "compose", "--project-directory", str(tmp_path)]
    clean = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DOCKER_HOST": bed.docker_host}
    text = "services:\n  a:\n    image: b\n    environment:\n"
    text += "".join(f"      V{number}: ${{V{number}}}\n" for number in range(len(HARD)))
    done = subprocess.run(
        [*command, "-f", "-", "config", "--format", "json"],
        input=text.encode(),
        capture_output=True,
        env=clean,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)["services"]["a"]["environment"]
    assert [found[f"V{number}"].replace("$$", "$") for number in range(len(HARD))] == HARD


@pytest.mark.parametrize(
    ("value", "missing"),
    [
        ("$GONE", ["GONE"]),
        ("${GONE}", ["GONE"]),
        ("${GONE:-x}", []),
        ("${GONE-x}", []),
        ("${GONE:+x}", []),
        ("${GONE:?say}", ["GONE"]),
        ("${EMPTY}", []),
        ("${EMPTY:?say}", ["EMPTY"]),
        ("${EMPTY:-${ALSO}}", ["ALSO"]),
        ("${DB_HOST:-${ALSO}}", []),
        ("$$GONE", []),
        ("$${GONE}", []),
        ("$$$GONE", ["GONE"]),
        ("${APP_NAME}-${A}-${B}", ["A", "B"]),
    ],
)
def test_the_variables_a_file_needs_are_listed(value: str, missing: list[str]) -> None:
    text = f"services:\n  a:\n    image: x # ${{COMMENT}}\n    command: '{value}'\n    labels: {{'${{KEY}}': a}}\n"
    assert unset_variables(text, ENV) == missing
