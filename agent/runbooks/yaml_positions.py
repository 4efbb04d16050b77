"""Reads YAML with line numbers, so that all mistakes of a file can be reported with their places."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import yaml
from pydantic import JsonValue

from core.errors import closest


class _YamlMark(Protocol):
    line: int


SIZE_LIMIT = 100_000
DEPTH_LIMIT = 30


@dataclass(frozen=True, kw_only=True, order=True)
class Mistake:
    """A mistake in a file, with its correction."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass
class Mistakes:
    """All mistakes in one file."""

    path: str
    found: list[Mistake] = field(default_factory=list)

    def add(self, line: int, message: str) -> None:
        """Add a mistake."""
        self.found.append(Mistake(path=self.path, line=line, message=message))


@dataclass(frozen=True)
class YamlSpot:
    """A value in a file with its place."""

    node: yaml.Node
    mistakes: Mistakes

    @property
    def line(self) -> int:
        """Return the line, counted from 1."""
        return int(self.node.start_mark.line) + 1

    def wrong(self, message: str) -> None:
        """Report a mistake at this place."""
        self.mistakes.add(self.line, message)

    @property
    def is_mapping(self) -> bool:
        """Return whether it is `name: value` pairs."""
        return isinstance(self.node, yaml.MappingNode)

    @property
    def is_sequence(self) -> bool:
        """Return whether it is a list."""
        return isinstance(self.node, yaml.SequenceNode)

    def keys(
        self, what: str, *, required: Collection[str] = (), optional: Collection[str] | None = ()
    ) -> dict[str, YamlSpot]:
        """Return its pairs; reports missing, unknown and doubled keys. `optional=None` allows any key."""
        if not isinstance(self.node, yaml.MappingNode):
            self.wrong(f"{what} must be 'name: value' pairs")
            return {}
        known = {*required, *(optional or ())}
        found: dict[str, YamlSpot] = {}
        for key_node, value_node in self.node.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
            place = YamlSpot(key_node, self.mistakes)
            if key in found:
                place.wrong(f"{key!r} appears twice in {what}; keep one of them")
            elif optional is not None and key not in known:
                nearest = closest(key, known)
                hint = f"did you mean {nearest!r}?" if nearest else f"it takes {', '.join(sorted(known))}"
                place.wrong(f"{what} has no key {key!r}; {hint}")
            else:
                found[key] = YamlSpot(value_node, self.mistakes)
        for name in required:
            if name not in found:
                self.wrong(f"{what} lacks {name!r}")
        return found

    def items(self, what: str) -> list[YamlSpot]:
        """Return its items."""
        if not isinstance(self.node, yaml.SequenceNode):
            self.wrong(f"{what} must be a list: write [ … ] or one '- ' per line")
            return []
        return [YamlSpot(node, self.mistakes) for node in self.node.value]

    def text(self, what: str) -> str:
        """Return its text, or report a mistake and return ''."""
        if isinstance(self.node, yaml.ScalarNode) and self.node.tag != "tag:yaml.org,2002:null":
            words = str(self.node.value).strip()
            if words:
                return words
        self.wrong(f"{what} must be a text that is not empty")
        return ""

    def number(self, what: str, *, least: float, most: float, default: float) -> float:
        """Return its number within bounds, or report a mistake and return `default`."""
        value = self.plain()
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            self.wrong(f"{what} must be a number from {least:g} to {most:g}, not {self._shown()}")
            return default
        return value

    def truth(self, what: str) -> bool:
        """Return its boolean, or report a mistake and return False."""
        value = self.plain()
        if not isinstance(value, bool):
            self.wrong(f"{what} must be true or false, not {self._shown()}")
            return False
        return value

    def choice(self, what: str, known: Collection[str]) -> str | None:
        """Return one of the known words, or report a mistake with the nearest word and return None."""
        word = str(self.node.value) if isinstance(self.node, yaml.ScalarNode) else ""
        if word in known:
            return word
        nearest = closest(word, known)
        hint = f"did you mean {nearest!r}?" if nearest else f"it is one of {', '.join(sorted(known))}"
        self.wrong(f"{what} cannot be {self._shown()}; {hint}")
        return None

    def plain(self) -> JsonValue:
        """Return its value as JSON; what JSON lacks (dates, tags) becomes the text as written."""
        return _plain(self.node)

    def _shown(self) -> str:
        return repr(self.node.value) if isinstance(self.node, yaml.ScalarNode) else "pairs or a list"


def read_yaml_file(path: Path, shown_path: str) -> tuple[YamlSpot | None, str, Mistakes]:
    """Return the root of a YAML file, its text, and the mistakes so far; None as root when it is unreadable."""
    mistakes = Mistakes(shown_path)
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        mistakes.add(1, f"the file cannot be read: {error}")
        return None, "", mistakes
    if len(content) > SIZE_LIMIT:
        mistakes.add(1, f"the file is longer than {SIZE_LIMIT} characters; split it")
        return None, content, mistakes
    node = _compose(content, mistakes)
    if node is None:
        if not mistakes.found:
            mistakes.add(1, "the file is empty; write a runbook or remove it")
        return None, content, mistakes
    return YamlSpot(node, mistakes), content, mistakes


def _compose(content: str, mistakes: Mistakes) -> yaml.Node | None:
    try:
        depth = 0
        for event in yaml.parse(content, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                mistakes.add(_line(event.start_mark), "references (*name) are not read here; write the value out")
                return None
            if depth > DEPTH_LIMIT:
                mistakes.add(_line(event.start_mark), "nested too deeply")
                return None
        node: yaml.Node | None = yaml.compose(content, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(part for part in (error.context, error.problem) if part)
        mistakes.add(_line(mark), f"this is not YAML: {problem}; check indentation, quotes and brackets")
        return None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mistakes.add(1, f"this is not YAML: {error}")
        return None
    return node


def _line(mark: _YamlMark | None) -> int:
    return int(mark.line) + 1 if mark else 1


def _plain(node: yaml.Node) -> JsonValue:
    if isinstance(node, yaml.MappingNode):
        return {str(getattr(key, "value", "?")): _plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    loader = yaml.SafeLoader("")
    kind = node.tag.rpartition(":")[2]
    if kind not in ("int", "float", "bool", "null"):
        return str(node.value)
    try:
        value: JsonValue = loader.construct_object(node, deep=True)
    except ValueError:
        return str(node.value)
    return value
