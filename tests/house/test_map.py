"""The map of the code is true: every function, file and link that it names exists, and no room is missing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAP = ROOT / "docs" / "architecture.md"
GUIDE = ROOT / "CONTRIBUTING.md"
ROOMS = ("core", "integrations", "knowledge", "agent", "bot", "playground", "web")
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name / "README.md" for name in ("bench", "runbooks")),
]
ADDITIONS = (
    *("A command", "An action", "A runbook", "A detector", "An alert kind", "An integration", "A webhook source"),
    *("A channel to people", "A run kind", "A setting"),
)
FILE = re.compile(r"[a-z][\w./<>-]*(?:\.(?:py|yml|md|svg)|/)")
OF_PEOPLE = {"infraguardian.yml"}
"""Theirs to write."""
PLACEHOLDER = re.compile(r"<[a-z ]+>")


def _spans(path: Path) -> list[str]:
    """Everything in backticks outside of code blocks."""
    words = re.sub(r"^ *```.*?^ *```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`([^`\n]+)`", words)


@cache
def _modules() -> tuple[Path, ...]:
    return (*ROOT.glob("*.py"), *(path for room in ROOMS for path in (ROOT / room).rglob("*.py")))


def _named(file: str) -> list[Path]:
    """The modules that a file name means, however much of its path it tells."""
    return [one for one in _modules() if f"/{one.relative_to(ROOT).as_posix()}".endswith(f"/{file}")]


@cache
def _names(module: Path) -> frozenset[str]:
    return frozenset(_names_in(ast.parse(module.read_text(encoding="utf-8")).body, ""))


def _names_in(body: list[ast.stmt], stem: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{stem}{node.name}"
        if isinstance(node, ast.ClassDef):
            yield from _names_in(node.body, f"{stem}{node.name}.")
        for target in (*getattr(node, "targets", ()), getattr(node, "target", None)):
            if isinstance(target, ast.Name):
                yield f"{stem}{target.id}"


@pytest.mark.parametrize("document", [MAP, GUIDE], ids=lambda path: path.name)
def test_every_function_named_exists(document: Path) -> None:
    stations = [span for span in _spans(document) if "::" in span]
    wrong = []
    for station in stations:
        file, _, name = station.partition("::")
        found = _named(file)
        if len(found) != 1 or name not in _names(found[0]):
            wrong.append(f"{station}: {len(found)} files of that name")
    assert stations and not wrong


@pytest.mark.parametrize("document", [MAP, GUIDE, ROOT / "README.md"], ids=lambda path: path.name)
def test_every_file_and_folder_named_exists(document: Path) -> None:
    """`<noun>` stands for anything, in the name of a file that is to be made: then its folder must be there."""
    files = [span for span in _spans(document) if _is_path(span) and span not in OF_PEOPLE]
    missing = [one for one in files if not _is_there(one)]
    assert files and not missing


def _is_path(span: str) -> bool:
    begin = span.partition("/")[0]
    return bool(FILE.fullmatch(span)) or ("/" in span and " " not in span and "::" not in span and _is_ours(begin))


def _is_ours(begin: str) -> bool:
    return begin[:1].isalpha() and (ROOT / begin).is_dir()


def _is_there(file: str) -> bool:
    pattern = PLACEHOLDER.sub("*", file)
    if pattern != file and not file.endswith("/"):
        pattern = pattern.rpartition("/")[0]
    below = (*(f"{room}/" for room in ROOMS), *(f"{room}/*/" for room in ROOMS), *(f"{room}/*/*/" for room in ROOMS))
    return any(next(ROOT.glob(f"{folder}{pattern}"), None) for folder in ("", *below))


@pytest.mark.parametrize("room", sorted({*ROOMS} - {"integrations"}))
def test_every_package_of_a_room_is_on_the_map(room: str) -> None:
    """Integrations are all alike: a new one need not be named."""
    row = next(line for line in MAP.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{room}/`"))
    packages = {path.name for path in (ROOT / room).iterdir() if (path / "__init__.py").is_file()}
    assert packages <= {span.rstrip("/") for span in re.findall(r"`(\w+/)`", row)}


def test_the_guide_tells_how_to_add_everything() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    parts = dict(re.findall(r"^### ([^\n]+)\n(.*?)(?=^##|\Z)", guide, re.DOTALL | re.MULTILINE))
    assert tuple(parts) == ADDITIONS
    fileless = [name for name, words in parts.items() if not re.search(r"^\d\. `[^`]+`", words, re.MULTILINE)]
    assert not fileless, "list the files"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    words = re.sub(r"^ *```.*?^ *```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    links = re.findall(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", words)
    targets = [one or two for one, two in links if "://" not in (one or two)]
    missing = [one for one in targets if not _leads_somewhere(document, one)]
    assert not missing


def _leads_somewhere(document: Path, link: str) -> bool:
    file, _, heading = link.partition("#")
    target = (document.parent / file).resolve() if file else document
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not heading or heading in {_anchor(one) for one in _headings(target)}


def _headings(document: Path) -> list[str]:
    return re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)


def _anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
