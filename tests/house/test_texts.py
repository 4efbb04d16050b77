"""No sentence shown to people lacks its Spanish, its key, or one of its values."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from string import Formatter

from knowledge.config.text_files import load_texts

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("core", "integrations", "knowledge", "agent", "bot", "web")
KEY = re.compile(r"^[a-z_]+(\.[a-z0-9_]+)+$")


def _gaps(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


def test_every_sentence_exists_in_both_languages() -> None:
    texts = load_texts()
    assert texts.keys("en") == texts.keys("es")


def test_both_languages_take_the_same_values() -> None:
    texts = load_texts()
    wrong = {
        key: (texts.pattern(key, "en"), texts.pattern(key, "es"))
        for key in texts.keys("en")
        if _gaps(texts.pattern(key, "en")) != _gaps(texts.pattern(key, "es"))
    }
    assert not wrong


SAME_IN_BOTH = re.compile(r"settings\.(language|chat)_set\.(en|es)|command\.autonomy\.usage")
"""A choice of language is confirmed in that language; the words to type are the same in every language."""


def test_spanish_is_not_left_in_english() -> None:
    texts = load_texts()
    long_equal = [
        key
        for key in texts.keys("en")
        if texts.pattern(key, "en") == texts.pattern(key, "es")
        and len(re.sub(r"\{.*?\}", "", texts.pattern(key, "en"))) > 12
        and not SAME_IN_BOTH.fullmatch(key)
    ]
    assert not long_equal


def test_every_key_named_in_code_exists() -> None:
    texts = load_texts()
    missing = [
        f"{path.relative_to(ROOT)}: {name}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in _named(node)
        if not texts.has(name)
    ]
    assert not missing


def _named(node: ast.AST) -> list[str]:
    """Keys that a call `text("…")` or `Text("…")` names outright."""
    if not isinstance(node, ast.Call) or getattr(node.func, "id", "") not in ("text", "Text") or not node.args:
        return []
    options = ast.walk(node.args[0]) if isinstance(node.args[0], ast.IfExp) else [node.args[0]]
    found = [one.value for one in options if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    return [name for name in found if KEY.match(name) and name != "data.bilingual"]
