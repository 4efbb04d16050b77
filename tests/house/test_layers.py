"""Imports point down: root → faces → agent → integrations, knowledge → core; and core is pure."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infraguardian import INTEGRATIONS

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("core", "integrations", "knowledge", "agent", "bot", "playground", "web")
LEVEL = {"core": 0, "integrations": 1, "knowledge": 1, "agent": 2, "bot": 3, "playground": 3, "web": 3}
LEVEL |= {"infraguardian": 4, "cli": 5}
PURE = {"pydantic", "structlog", *sys.stdlib_module_names} - {"socket", "sqlite3", "subprocess", "http"}
"""`urllib` counts for its parser only; see `test_core_opens_nothing`. `structlog` writes where the root lets it."""


def _files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_down(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in _files(package)
        for name in _imports(path)
        if name in LEVEL and name != package and LEVEL[name] >= LEVEL[package]
    ]
    assert not wrong


def test_core_is_pure() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in _files("core")
        for name in _imports(path)
        if name not in PURE | {"core"}
    ]
    assert not wrong


def test_core_opens_nothing() -> None:
    openers = {"urlopen", "read_text", "read_bytes", "write_text", "write_bytes"}
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in _files("core")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and (getattr(node.func, "id", None) in {"open", *openers} or getattr(node.func, "attr", None) in openers)
    ]
    assert not wrong


def test_what_every_face_needs_names_no_channel() -> None:
    """A second face takes people, decisions and views as they are; none of them knows how the first one is reached."""
    shared = [
        ROOT / "core" / "decisions.py",
        ROOT / "core" / "people.py",
        *sorted((ROOT / "core" / "views").glob("*.py")),
    ]
    assert len(shared) > 10
    naming = [path.name for path in shared if "telegram" in path.read_text(encoding="utf-8").casefold()]
    assert not naming


def test_agent_sees_no_integration_and_no_table() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in _files("agent")
        for name in _imports(path)
        if name in ("integrations", "knowledge")
    ]
    assert not wrong


def test_nobody_imports_the_root() -> None:
    packages = [path for package in PACKAGES for path in _files(package)]
    assert not [str(path) for path in packages if "infraguardian" in _imports(path)]


def test_every_outside_system_is_listed_in_the_root() -> None:
    found = {path.parent.name for path in ROOT.glob("integrations/*/integration.py")}
    assert found == {install.__module__.split(".")[1] for install in INTEGRATIONS}


def test_the_root_names_a_system_only_to_list_it() -> None:
    modules = {
        node.module or ""
        for node in ast.walk(ast.parse((ROOT / "infraguardian.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
    }
    systems = {name for name in modules if name.startswith("integrations.")}
    assert all(name.count(".") == 1 or name.endswith(".integration") for name in systems), systems


def test_the_root_stays_short() -> None:
    root = (ROOT / "infraguardian.py").read_text(encoding="utf-8")
    assert len(root.splitlines()) <= 400
    long = [
        node.name
        for node in ast.walk(ast.parse(root))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= 30
    ]
    assert not long


def test_there_is_one_way_to_log() -> None:
    """`knowledge/config/logging_setup.py` alone knows the standard library's, into which everything flows."""
    others = [path for name in ("core", "integrations", "knowledge", "agent", "bot", "web") for path in _files(name)]
    wrong = [path for path in [*others, ROOT / "cli.py", ROOT / "infraguardian.py"] if "logging" in set(_imports(path))]
    assert [path.relative_to(ROOT).as_posix() for path in wrong] == ["knowledge/config/logging_setup.py"]
