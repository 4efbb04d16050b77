"""The house has rooms: no circles of imports, few files in each, each name once, docstrings that tell effects."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("core", "integrations", "knowledge", "agent", "bot", "playground", "web")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FILES += [ROOT / "infraguardian.py", ROOT / "cli.py"]
FILES_AT_ONE_LEVEL = 17
STANDARD_NAMES = {"__init__.py", "integration.py", "client.py", "models.py", "actions.py"} | {
    "detectors.py",
    "webhook.py",
    "notifier.py",
    "health.py",
}
"""The same in every integration: its name says whose it is."""
QUESTION_WORDS = {"What", "Who", "Whose", "How", "Whether", "Why", "When", "Where", "Which"}


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _trees() -> dict[str, ast.Module]:
    return {_name(path): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def _is_for_types_only(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _imported(body: list[ast.stmt], known: set[str]) -> Iterator[str]:
    """Modules that are imported when the importing one is: at its top level, TYPE_CHECKING aside."""
    for node in body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield f"{node.module}.{alias.name}" if f"{node.module}.{alias.name}" in known else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.If | ast.Try) and not _is_for_types_only(node):
            yield from _imported(node.body, known)


def _circles(graph: dict[str, set[str]]) -> list[str]:
    """Each circle once, as `a → b → a`."""
    found, done = [], set[str]()

    def walk(module: str, way: tuple[str, ...]) -> None:
        if module in way:
            found.append(" → ".join((*way[way.index(module) :], module)))
            return
        if module not in done:
            for other in sorted(graph[module]):
                walk(other, (*way, module))
            done.add(module)

    for module in sorted(graph):
        walk(module, ())
    return found


def test_no_module_imports_itself_by_others() -> None:
    trees = _trees()
    known = set(trees)
    graph = {
        name: {one for one in _imported(tree.body, known) if one in known and one != name}
        for name, tree in trees.items()
    }
    assert _circles(graph) == []


def test_a_circle_is_found() -> None:
    assert _circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == ["a → b → c → a"]


def test_no_package_is_crowded() -> None:
    crowds: dict[str, int] = defaultdict(int)
    for path in FILES:
        if path.name != "__init__.py" and path.parent != ROOT:
            crowds[str(path.parent.relative_to(ROOT))] += 1
    assert {name: count for name, count in crowds.items() if count > FILES_AT_ONE_LEVEL} == {}


def test_each_file_name_stands_once() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in FILES:
        if path.name not in STANDARD_NAMES:
            places[path.name].append(str(path.relative_to(ROOT)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_each_class_name_stands_once() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for module, tree in _trees().items():
        if "migrations" not in module:
            for node in tree.body:
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(module)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def _docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list) or isinstance(node, ast.If | ast.For | ast.While | ast.With | ast.Try):
            continue
        for before, one in zip([None, *body], body, strict=False):
            is_of_something = before is None or isinstance(before, ast.Assign | ast.AnnAssign)
            if is_of_something and isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant):
                yield one.lineno, str(one.value.value)


@pytest.mark.parametrize("package", PACKAGES)
def test_docstrings_begin_with_an_effect_or_a_noun(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} {text.split(chr(10))[0][:80]}"
        for path in FILES
        if path.is_relative_to(ROOT / package)
        for line, text in _docstrings(ast.parse(path.read_text(encoding="utf-8")))
        if text.split()[:1] and text.split()[0].strip(",:;") in QUESTION_WORDS
    ]
    assert wrong == []
