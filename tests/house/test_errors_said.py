"""Every refusal that a person can meet speaks people's language: raised with `says`, and rendered whole in both."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from core.text import LANGUAGES, Text
from knowledge.config.text_files import load_texts

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("integrations/dokploy", "integrations/compose_file")
SAID = {
    "ActionFailed",
    "AnswerLost",
    "AnswerUnreadable",
    "BreakerOpen",
    "CallFailed",
    "ComposeFileError",
    "DeployUnderWay",
    "KeyLimited",
    "KeyRejected",
    "RequestQueueFull",
    "NotFound",
    "NotSent",
    "ProcedureMissing",
    "Refused",
    "RightMissing",
    "SystemUnavailable",
    "TimeLimitExceeded",
}
SAY_SO_THEMSELVES = {"UnknownTarget", "UnknownAction"}
"""Their sentence is made from the name they are given."""
POSITIONS = {"ConnectionFailed": 1, "Unfit": 1, "error": 2, "_error": 2, "answer_unreadable": 0}
"""Makers of errors that take their sentence by position; `unreadable` makes it itself."""
ALLOWED = {"SettingsError"}
"""Raised before there is a chat; the terminal shows it."""


def _name(called: ast.expr) -> str:
    return str(getattr(called, "id", None) or getattr(called, "attr", ""))


def _calls(path: Path) -> Iterator[tuple[int, str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node.lineno, _name(node.func), node


def _raised(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield node.lineno, _name(node.exc.func)


def _files() -> list[Path]:
    return [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def test_every_error_that_a_person_can_meet_brings_its_sentence() -> None:
    silent = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in _files()
        for line, name, call in _calls(path)
        if name in SAID and not any(given.arg == "message" for given in call.keywords)
    ]
    assert not silent


def test_no_other_error_is_raised_than_those_that_are_looked_at() -> None:
    makers = {
        "_not_set_up",
        "_not_there",
        "_unavailable",
        "_late",
        "_explained",
        "unknown_service_error",
        "answer_lost",
    }
    known = (
        SAID | SAY_SO_THEMSELVES | ALLOWED | set(POSITIONS) | makers | {"ValueError", "TypeError", "ClientPayloadError"}
    )
    strange = {
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in _files()
        for line, name in _raised(path)
        if name not in known
    }
    assert not strange


def _keys() -> list[str]:
    stems = ("dokploy_error.", "compose_error.", "error.")
    return sorted(key for key in load_texts().keys("en") if key.startswith(stems))


@pytest.mark.parametrize("key", _keys())
def test_each_sentence_is_whole_in_both_languages(key: str) -> None:
    texts = load_texts()
    gaps = {name for _, name, _, _ in Formatter().parse(texts.pattern(key, "en")) if name}
    shown = {language: texts.render(Text(key, {gap: f"<{gap}>" for gap in gaps}), language) for language in LANGUAGES}
    for language, sentence in shown.items():
        assert all(f"<{gap}>" in sentence for gap in gaps), (language, sentence)
        assert "–" not in sentence
        assert len(sentence) <= 420, (language, len(sentence))
        assert not re.search(r"dokploy\.(compose|application|platform|domain)\.", sentence)
    own_words = re.sub(r"<.*?>", "", shown["en"])
    assert shown["en"] != shown["es"] or len(own_words) < 12


def test_every_sentence_is_used() -> None:
    """Those that are chosen by a name (causes, kinds, topics) are looked for by that name."""
    written = "\n".join(path.read_text(encoding="utf-8") for path in _files())
    unused = [
        key
        for key in _keys()
        if not key.startswith(
            ("error.", "dokploy_error.kind.", "dokploy_error.topic.", "dokploy_error.queue_", "dokploy_error.gone")
        )
        and f'"{key}"' not in written
        and f'"{key.rpartition(".")[2]}"' not in written
    ]
    assert not unused
