"""What the documents say exists, what exists is in the documents, and their examples work."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

import bot.commands.all_commands  # noqa: F401  (fills the table)
from agent.runbooks.loader import load_runbooks
from bot.commands.command_table import listed_commands
from cli import _parser
from core.actions.action_docs import action_docs
from core.actions.catalog import Catalog, Params, Result, Risk, Role, Toolset, action
from core.actions.policy import Actor, ActorKind, Decision, Facts, decide
from core.clock import SystemClock
from core.settings import Autonomy, PolicySettings, Settings
from core.text import text
from infraguardian import installed_catalog

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PICTURE_LIMIT_BYTES = 200_000
RISKS = (Risk.READ, Risk.SAFE, Risk.DISRUPTIVE, Risk.CHANGE, Risk.DESTRUCTIVE)


def _example(name: str) -> str:
    found = re.search(rf"<!-- example: {name} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found, f"README.md has no example {name!r}"
    return found[1]


def test_every_make_target_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE))
    assert {"run", "demo", "test", "check", "bench"} <= named <= targets


def test_every_command_line_named_is_understood() -> None:
    lines = re.findall(r"infraguardian ((?:--?[a-z]|(?:check|settings|actions|db)\b)[^#`\n]*)", README)
    assert len(lines) >= 5
    for words in lines:
        _parser().parse_args(words.split())


def test_every_chat_command_is_in_the_table() -> None:
    rows = re.findall(r"^\| (`/[^|]*)\|", README, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`/([a-z]+)`", row)}
    assert {one.name for one in listed_commands()} == told


def test_every_link_and_picture_is_there() -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)|src=\"([^\"]+)\"", README)
    missing = [one or two for one, two in targets if not (ROOT / (one or two)).is_file()]
    assert targets and not missing
    assert all(one.stat().st_size < PICTURE_LIMIT_BYTES for one in (ROOT / "docs").glob("*.png"))


def test_the_list_of_actions_is_current() -> None:
    printed = action_docs(installed_catalog(Settings(), SystemClock()))
    assert (ROOT / "docs" / "actions.md").read_text(encoding="utf-8") == printed, (
        "run `infraguardian actions > docs/actions.md`"
    )


def test_the_policy_table_is_what_the_policy_says() -> None:
    rows = {row.split("|")[1].strip(): [cell.strip() for cell in row.split("|")[2:-1]] for row in _table_rows()}
    assert len(rows) == 6
    for title, cells in rows.items():
        said = [re.split(r"[ ,]", cell)[0] + (" twice" if "twice" in cell else "") for cell in cells]
        assert said == [_decision(title, risk) for risk in RISKS], title


def _table_rows() -> list[str]:
    return re.findall(r"^\| (?:a person|a runbook|the model).*\|$", README, re.MULTILINE)


def _decision(title: str, risk: Risk) -> str:
    mode = next((one for one in Autonomy if one in title), Autonomy.GUARDED)
    kind = ActorKind.PERSON if "person" in title else ActorKind.MODEL if "model" in title else ActorKind.RUNBOOK
    actor = Actor(kind=kind, id="x", name="x", role=Role.ADMIN if kind is ActorKind.PERSON else None)
    said = decide(risk, Role.VIEWER, actor, Facts(autonomy=mode), PolicySettings())
    if said.decision is Decision.ASK:
        verb = "confirms" if kind is ActorKind.PERSON else "asks"
        return f"{verb} twice" if said.confirmations == 2 else verb
    return "runs" if said.decision is Decision.ALLOW else "never"


def test_the_example_runbook_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "search_paused.yml").write_text(_example("runbook"), encoding="utf-8")
    loaded = load_runbooks(tmp_path, None, installed_catalog(Settings(), SystemClock()))
    assert loaded.names() == ["search_paused"]


async def test_the_example_action_works(tmp_path: Path) -> None:
    known: dict[str, object] = {
        "Annotated": Annotated, "Field": Field, "Params": Params, "Path": Path, "Result": Result, "Risk": Risk,
        "Toolset": Toolset, "action": action, "text": text,
    }  # fmt: skip
    exec(compile(_example("action"), "README.md", "exec", dont_inherit=True), known)
    toolset = known["NotesToolset"]
    assert isinstance(toolset, type) and issubclass(toolset, Toolset)
    added = Catalog([toolset(tmp_path / "notes")]).get("notes.add")  # type: ignore[call-arg]
    result = await added.run(added.parse({"words": "the disk is nearly full"}))
    assert result.is_ok and added.risk is Risk.SAFE
    assert (tmp_path / "notes").read_text() == "the disk is nearly full\n"


@pytest.mark.parametrize(
    "name", ["README.md", "CHANGELOG.md", "docs/actions.md", "runbooks/README.md", "bench/README.md"]
)
def test_documents_hold_no_machine_path(name: str) -> None:
    words = (ROOT / name).read_text(encoding="utf-8")
    assert not re.findall(r"/work/|/home/\w+/|/root/", words)
