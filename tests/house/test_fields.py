"""A field has one docstring: a second one belongs to another field, or to none."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = ("core", "integrations", "knowledge", "agent", "bot", "web", "tests", "bench")


def _files() -> Iterator[Path]:
    yield from ROOT.glob("*.py")
    for package in OURS:
        yield from (ROOT / package).rglob("*.py")


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def test_no_docstring_follows_another() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{second.lineno}"
        for path in _files()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(body := getattr(node, "body", None), list)
        for first, second in pairwise(body)
        if _is_docstring(first) and _is_docstring(second)
    ]
    assert not wrong
