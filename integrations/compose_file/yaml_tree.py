"""Reads a Compose file into nodes that know their place in the text.

libyaml does the scanning: Compose's own parser is a port of it, so both read the same file alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from core.text import Text
from core.text import text as said
from integrations.compose_file.file_errors import ComposeFileError, name_for_people, quoted_name
from integrations.compose_file.yaml_errors import YAML_ERRORS

SIZE_LIMIT_BYTES = 1024 * 1024
"""Dokploy accepts no larger body."""
DEPTH_LIMIT = 40
NODE_LIMIT = 200_000
"""Counted with aliases expanded: more is an alias bomb, not a Compose file."""
_LOADER: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_PROPERTIES = re.compile(r"(?:[&!][^\s,\[\]{}]*\s*)*")
_BREAK = re.compile(r"\r\n|\r|\n")
_MERGE = "<<"
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, kw_only=True, eq=False)
class YamlNode:
    """One value of the file with its place; offsets count characters of the text."""

    kind: Literal["scalar", "mapping", "sequence", "alias"]
    start: int
    """Offset of its tag or anchor, if it has one."""
    content: int
    """Offset of the value itself, after tag and anchor."""
    end: int
    """Offset after its last character; trailing blanks and comments are not part of it."""
    column: int
    value: str = ""
    """Value of a scalar, name of an alias."""
    style: str = ""
    """Style of a scalar: empty for plain, else one of ' " | >."""
    is_flow: bool = False
    tag: str = ""
    anchor: str = ""
    entries: tuple[tuple[YamlNode, YamlNode], ...] = ()
    items: tuple[YamlNode, ...] = ()
    target: YamlNode | None = None
    """Node that an alias refers to."""
    size: int = 1
    """Number of values in it, aliases expanded."""

    @property
    def real(self) -> YamlNode:
        """The node itself, or the target of the alias."""
        return self.target.real if self.target is not None else self

    @property
    def is_null(self) -> bool:
        """True for an empty value, ~, null or reset."""
        is_word = self.kind == "scalar" and self.style == "" and self.value in ("", "~", "null", "Null", "NULL")
        return is_word or self.tag == "!reset"


@dataclass(frozen=True, kw_only=True, eq=False)
class ComposeDocument:
    """A Compose file that has been read."""

    text: str
    root: YamlNode

    @property
    def line_break(self) -> str:
        """Line break of the file."""
        found = _BREAK.search(self.text)
        return found.group() if found else "\n"

    @property
    def step(self) -> int:
        """Number of spaces by which the file indents."""
        services = value_at_path(self.root, "services")
        if services is None or services.is_flow or not services.entries:
            return 2
        return max(1, services.entries[0][0].column - self.root.entries[0][0].column)

    def place(self, offset: int) -> tuple[int, int]:
        """Return line and column, both counted from 1."""
        return _place(self.text, offset)

    def error(self, problem: str, node: YamlNode, message: Text, *, variable: str | None = None) -> ComposeFileError:
        """Return an error that points at a node."""
        line, column = self.place(node.content)
        return ComposeFileError(problem, message=message, line=line, column=column, variable=variable)

    def source(self, node: YamlNode) -> str:
        """Return a node as the file writes it, without tag and anchor."""
        return self.text[node.content : node.end]


def parse_compose_file(text: str) -> ComposeDocument:
    """Read a file; ComposeFileError with line and column when it is no Compose file or cannot be edited safely."""
    if len(text) > SIZE_LIMIT_BYTES or len(text.encode("utf-8", "surrogatepass")) > SIZE_LIMIT_BYTES:
        raise ComposeFileError(
            "it is larger than 1 MB, which Dokploy does not take; make it smaller",
            message=said("compose_error.too_large"),
        )
    try:
        root = _Reader(text).document()
    except yaml.YAMLError as error:
        raise _explained(error, text) from None
    except UnicodeError:
        raise ComposeFileError(
            "it holds characters that are no text; save it as UTF-8", message=said("compose_error.no_text")
        ) from None
    if root is None or root.is_null:
        raise ComposeFileError("it is empty; it needs a `services:` section", message=said("compose_error.empty"))
    document = ComposeDocument(text=text, root=root)
    if root.kind != "mapping":
        raise document.error(
            "it must be a mapping with a `services:` section, not a list or a single value",
            root,
            said("compose_error.no_mapping"),
        )
    return document


class _Reader:
    """Builds the nodes from the parser's events."""

    def __init__(self, text: str) -> None:
        self._text = text
        # a byte order mark is not counted by the parser; an empty line in its place keeps every offset
        scanned = "\n" + text[1:] if text.startswith(_BYTE_ORDER_MARK) else text
        self._events: Iterator[Any] = yaml.parse(scanned, Loader=_LOADER)
        self._anchors: dict[str, YamlNode] = {}

    def document(self) -> YamlNode | None:
        next(self._events)
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            return None
        root = self._node(next(self._events), 0)
        next(self._events)
        more = next(self._events)
        if not isinstance(more, yaml.StreamEndEvent):
            raise self._error(
                "it holds several documents (`---`); keep one", more.start_mark.index, said("compose_error.several")
            )
        return root

    def _node(self, event: Any, depth: int) -> YamlNode:
        if depth > DEPTH_LIMIT:
            raise self._error(
                f"it is nested more than {DEPTH_LIMIT} levels deep; no Compose file is",
                _start(event),
                said("compose_error.too_deep", limit=DEPTH_LIMIT),
            )
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent):
            node = self._mapping(event, depth)
        else:
            node = self._sequence(event, depth)
        if node.size > NODE_LIMIT:
            raise self._error(
                "its aliases unfold to far too many values; it is refused", node.start, said("compose_error.bomb")
            )
        if node.anchor:
            self._anchors[node.anchor] = node
        return node

    def _alias(self, event: Any) -> YamlNode:
        start = _start(event)
        target = self._anchors.get(event.anchor)
        if target is None:
            raise self._error(
                f"the alias *{event.anchor} has no anchor &{event.anchor} before it",
                start,
                said("compose_error.no_anchor", name=name_for_people(str(event.anchor))),
            )
        end = event.end_mark.index
        column = event.start_mark.column
        value = str(event.anchor)
        return YamlNode(
            kind="alias",
            start=start,
            content=start,
            end=end,
            column=column,
            value=value,
            target=target,
            size=target.size,
        )

    def _scalar(self, event: Any) -> YamlNode:
        start, end = _start(event), event.end_mark.index
        style = event.style or ""
        if style in ("|", ">"):
            is_kept = "+" in self._text[start:end].split("\n", 1)[0]
            end = end if is_kept else start + len(self._text[start:end].rstrip())
        return YamlNode(kind="scalar", end=end, value=event.value, style=style, **self._own(event, end))

    def _mapping(self, event: Any, depth: int) -> YamlNode:
        entries: list[tuple[YamlNode, YamlNode]] = []
        seen: set[str] = set()
        found: Any
        while not isinstance(found := next(self._events), yaml.MappingEndEvent):
            key = self._node(found, depth + 1)
            if key.real.kind != "scalar":
                raise self._error(
                    "a key must be a word, not a list or a mapping", key.start, said("compose_error.key_is_no_word")
                )
            name = key.real.value
            if name in seen:
                raise self._error(
                    f"the key {quoted_name(name)} stands twice in the same place; remove one",
                    key.start,
                    said("compose_error.key_twice", name=name_for_people(name)),
                )
            seen.add(name)
            entries.append((key, self._node(next(self._events), depth + 1)))
        end = _end(event, found, [value for _, value in entries])
        size = 1 + sum(value.size for _, value in entries)
        return YamlNode(
            kind="mapping",
            end=end,
            entries=tuple(entries),
            is_flow=bool(event.flow_style),
            size=size,
            **self._own(event, end),
        )

    def _sequence(self, event: Any, depth: int) -> YamlNode:
        items: list[YamlNode] = []
        found: Any
        while not isinstance(found := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(found, depth + 1))
        end = _end(event, found, items)
        size = 1 + sum(item.size for item in items)
        return YamlNode(
            kind="sequence",
            end=end,
            items=tuple(items),
            is_flow=bool(event.flow_style),
            size=size,
            **self._own(event, end),
        )

    def _own(self, event: Any, end: int) -> dict[str, Any]:
        """Return the fields that every kind of node has."""
        start = _start(event)
        content = start
        if event.anchor or event.tag:
            found = _PROPERTIES.match(self._text, start, end)
            content = found.end() if found else start
        return {
            "start": start,
            "content": content,
            "column": event.start_mark.column,
            "tag": event.tag or "",
            "anchor": event.anchor or "",
        }

    def _error(self, problem: str, offset: int, message: Text) -> ComposeFileError:
        line, column = _place(self._text, offset)
        return ComposeFileError(problem, message=message, line=line, column=column)


def _start(event: Any) -> int:
    return int(event.start_mark.index)


def _end(event: Any, closing: Any, values: list[YamlNode]) -> int:
    if event.flow_style:
        return int(closing.end_mark.index)
    return max([_start(event), *(value.end for value in values[-1:])])


def _place(text: str, offset: int) -> tuple[int, int]:
    breaks = list(_BREAK.finditer(text, 0, offset))
    return len(breaks) + 1, offset - (breaks[-1].end() if breaks else 0) + 1


def _explained(error: yaml.YAMLError, text: str) -> ComposeFileError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    words = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "")
    offset = int(mark.index) if mark is not None else int(getattr(error, "position", None) or 0)
    line, column = _place(text, min(offset, len(text)))
    if _has_tab_indent(text, line):
        return ComposeFileError(
            "a tab cannot indent; use blanks", message=said("compose_error.yaml.tab"), line=line, column=column
        )
    name, problem = next(
        ((name, problem) for part, name, problem in YAML_ERRORS if part in words),
        ("other", "it is no valid YAML here; correct it"),
    )
    return ComposeFileError(problem, message=said(f"compose_error.yaml.{name}"), line=line, column=column)


def _has_tab_indent(text: str, line: int) -> bool:
    lines = _BREAK.split(text)[max(0, line - 2) : line]
    return any("\t" in one[: len(one) - len(one.lstrip())] for one in lines)


def is_merge_key(key: YamlNode) -> bool:
    """Return whether the key is YAML's merge key."""
    return key.kind == "scalar" and key.value == _MERGE and key.style == ""


def own_entry(node: YamlNode, name: str) -> tuple[YamlNode, YamlNode] | None:
    """Return the entry that a mapping writes itself, merges left out."""
    return next(((key, value) for key, value in node.entries if key.real.value == name), None)


def mapping_fields(node: YamlNode) -> dict[str, YamlNode]:
    """Return all entries of a mapping, merged ones included; values as written, so possibly aliases."""
    found: dict[str, YamlNode] = {}
    for key, value in node.real.entries:
        if not is_merge_key(key):
            found[key.real.value] = value
    for key, value in node.real.entries:
        if is_merge_key(key):
            for source in value.real.items if value.real.kind == "sequence" else (value,):
                for name, inherited in mapping_fields(source).items():
                    found.setdefault(name, inherited)
    return found


def value_at_path(node: YamlNode | None, *path: str) -> YamlNode | None:
    """Return the value at the end of a path, aliases and merges followed; None when there is none."""
    for name in path:
        if node is None or node.real.kind != "mapping":
            return None
        node = mapping_fields(node).get(name)
    return node.real if node is not None else None
