"""Changes single values in the text of a file and leaves every other character alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.text import text as said
from integrations.compose_file.file_errors import name_for_people
from integrations.compose_file.yaml_tree import ComposeDocument, YamlNode, is_merge_key, own_entry

_LINE_END = re.compile(r"[^\r\n]*")
_COMMENT_LINE = re.compile(r"(\r\n|\r|\n)([ \t]*)#[^\r\n]*")


@dataclass(frozen=True)
class YamlSource:
    """A scalar as it is written in the file, quotes included; or an alias."""

    text: str


ValueTree = YamlSource | Sequence["ValueTree"] | Mapping[str, "ValueTree"]
"""Tree to write; the keys of a mapping are sources too."""


def yaml_scalar(value: str, *, style: str = "") -> YamlSource:
    """Return a string as a YAML scalar, in the given quotes where it fits, quoted where it must be."""
    if style == "'" and "\n" not in value and value.isprintable():
        return YamlSource("'" + value.replace("'", "''") + "'")
    if style != '"' and _PLAIN.fullmatch(value) and not _SPECIAL.fullmatch(value):
        return YamlSource(value)
    return YamlSource('"' + "".join(_escaped(character) for character in value) + '"')


_PLAIN = re.compile(r"[A-Za-z0-9_./$](?:[A-Za-z0-9_./@=+${}-]|:(?=[^\s:])|,(?=\S)|(?<=\S) (?=[A-Za-z0-9_./-]))*")
"""Needs no quotes anywhere; `{`, `}` and `,` only outside flow collections."""
_SPECIAL = re.compile(
    r"(?i)~|null|true|false|yes|no|on|off|y|n|[-+]?[0-9_.,:]+(?:e[-+]?[0-9]+)?|0[xob][0-9a-f_]+|[-+]?\.(?:inf|nan)"
    r"|[0-9]{4}-[0-9].*"
)
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}


def _escaped(character: str) -> str:
    known = _ESCAPES.get(character)
    if known is not None:
        return known
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def flow_style_line(tree: ValueTree) -> str:
    """Return the tree on one line."""
    if isinstance(tree, YamlSource):
        is_bare = tree.text[:1] not in ('"', "'", "[", "{")
        return quoted_scalar(tree.text) if is_bare and re.search(r"[,\[\]{}]", tree.text) else tree.text
    if isinstance(tree, Mapping):
        return "{" + ", ".join(f"{key}: {flow_style_line(value)}" for key, value in tree.items()) + "}"
    return "[" + ", ".join(flow_style_line(item) for item in tree) + "]"


def quoted_scalar(text: str) -> str:
    """Return text with flow punctuation as a quoted scalar."""
    return yaml_scalar(text, style='"').text


def block_lines(tree: ValueTree, indent: int, step: int) -> list[str]:
    """Return the lines of a mapping or list, indented."""
    blanks = " " * indent
    lines: list[str] = []
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            if isinstance(value, YamlSource) or not value:
                shown = value.text if isinstance(value, YamlSource) else flow_style_line(value)
                lines.append(f"{blanks}{key}: {shown}".rstrip())
            else:
                lines += [f"{blanks}{key}:", *block_lines(value, indent + step, step)]
    elif not isinstance(tree, YamlSource):
        for item in tree:
            if isinstance(item, YamlSource):
                lines.append(f"{blanks}- {item.text}")
            elif isinstance(item, Mapping) and item:
                first, *rest = block_lines(item, indent + 2, step)
                lines += [f"{blanks}- {first.lstrip()}", *rest]
            else:
                lines.append(f"{blanks}- {flow_style_line(item)}")
    return lines


def tree_of_node(document: ComposeDocument, node: YamlNode, *, by_name: bool = True) -> ValueTree:
    """Return a node of the file as a tree of the same meaning; `by_name`: an anchored node becomes its alias."""
    if by_name and (node.kind == "alias" or node.anchor):
        return YamlSource(f"*{node.value if node.kind == 'alias' else node.anchor}")
    if node.kind == "sequence":
        return [tree_of_node(document, item) for item in node.items]
    if node.kind == "mapping":
        return {document.source(key): tree_of_node(document, value) for key, value in node.entries}
    source = document.source(node)
    tag = f"{node.tag} " if node.tag.startswith("!") else ""
    is_long = node.style in ("|", ">") or "\n" in source or "\r" in source
    return YamlSource(tag + (yaml_scalar(node.value, style='"').text if is_long else source))


def editable_tree(document: ComposeDocument, node: YamlNode) -> dict[str, ValueTree]:
    """Return a mapping, or the target of an alias, as a tree whose entries can change without affecting others."""
    if node.kind == "alias" or node.anchor:
        return {"<<": tree_of_node(document, node)}
    return {document.source(key): tree_of_node(document, value) for key, value in node.entries}


def replace_value(document: ComposeDocument, key: YamlNode, value: YamlNode, tree: ValueTree, *, in_flow: bool) -> str:
    """Return the text with the value of `key` replaced; a comment on its line stays."""
    text = document.text
    is_block = value.style in ("|", ">") or (
        value.kind in ("mapping", "sequence") and (not value.is_flow or value.start > _line_end(text, key.end))
    )
    is_line = in_flow or isinstance(tree, YamlSource) or not tree
    if is_line and not is_block:
        new = tree.text if isinstance(tree, YamlSource) and not in_flow else flow_style_line(tree)
        at = value.content if value.anchor else value.start
        gap = "" if at < value.end else " "
        return f"{text[:at]}{gap}{new}{text[value.end :]}"
    colon = text.index(":", key.end) + 1
    if is_block:
        remark = text[colon : _line_end(text, colon)].strip()
        stop = value.start + len(text[value.start : value.end].rstrip())
    else:
        stop = _line_end(text, value.end)
        remark = text[value.end : stop].strip()
    remark = f"  {remark}" if remark.startswith("#") else ""
    if is_line:
        return f"{text[:colon]} {flow_style_line(tree)}{remark}{text[stop:]}"
    lines = block_lines(tree, key.column + document.step, document.step)
    return f"{text[:colon]}{remark}{document.line_break.join(['', *lines])}{text[stop:]}"


def add_entry(document: ComposeDocument, mapping: YamlNode, key: str, tree: ValueTree) -> str:
    """Return the text with an entry added at the end of a mapping that has entries or is an empty `{}`."""
    text = document.text
    if mapping.is_flow:
        entry = f"{key}: {flow_style_line(tree)}"
        if not mapping.entries:
            return f"{text[: mapping.content]}{{{entry}}}{text[mapping.end :]}"
        last = mapping.entries[-1][1]
        return f"{text[: last.end]}, {entry}{text[last.end :]}"
    column = mapping.entries[0][0].column
    lines = block_lines({key: tree}, column, document.step)
    last_key, last = mapping.entries[-1]
    if last.end == len(text) and _last_leaf(last).style in ("|", ">"):
        at = _line_start(text, last_key.start)  # one more line break at the file's end would become part of the scalar
        return text[:at] + "".join(line + document.line_break for line in lines) + text[at:]
    return _after(document, last.end, column, lines)


def _last_leaf(node: YamlNode) -> YamlNode:
    while node.entries or node.items:
        node = node.entries[-1][1] if node.entries else node.items[-1]
    return node


def append_item(document: ComposeDocument, sequence: YamlNode, tree: ValueTree) -> str:
    """Return the text with an item added at the end of a list."""
    text = document.text
    if sequence.is_flow:
        if not sequence.items:
            return f"{text[: sequence.content]}[{flow_style_line(tree)}]{text[sequence.end :]}"
        last = sequence.items[-1]
        return f"{text[: last.end]}, {flow_style_line(tree)}{text[last.end :]}"
    column = dash_column(document, sequence)
    return _after(document, sequence.items[-1].end, column, block_lines([tree], column, document.step))


def dash_column(document: ComposeDocument, sequence: YamlNode) -> int:
    """Return the column of the dashes of a block list."""
    dash = document.text.rindex("-", 0, max(sequence.items[0].start, sequence.content + 1))
    return dash - _line_start(document.text, dash)


def remove_entry(document: ComposeDocument, collection: YamlNode, position: int) -> str:
    """Return the text without one entry or item of a mapping or list; in block style its whole lines go."""
    text = document.text
    spans = [(key.start, value.end) for key, value in collection.entries] or [
        (item.start, item.end) for item in collection.items
    ]
    start, end = spans[position]
    if not collection.is_flow:
        stop = _line_end(text, end)
        stop += 2 if text[stop : stop + 2] == "\r\n" else min(1, len(text) - stop)
        return text[: _line_start(text, start)] + text[stop:]
    if position + 1 < len(spans):
        end = spans[position + 1][0]
    elif position > 0:
        start = spans[position - 1][1]
    return text[:start] + text[end:]


def _after(document: ComposeDocument, end: int, column: int, lines: list[str]) -> str:
    """Return the text with lines added after the line of offset `end` and the comments that belong to it."""
    text = document.text
    if text[end - 1 : end] in ("\n", "\r"):  # behind a block scalar that keeps its last line breaks
        return text[:end] + "".join(line + document.line_break for line in lines) + text[end:]
    at = _line_end(text, end)
    while (comment := _COMMENT_LINE.match(text, at)) is not None and len(comment.group(2)) >= column:
        at = comment.end()
    body = document.line_break.join(["", *lines])
    return text[:at] + body + text[at:]


def _line_end(text: str, at: int) -> int:
    found = _LINE_END.match(text, at)
    return found.end() if found else at


def _line_start(text: str, at: int) -> int:
    return max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1


def set_value_at(
    document: ComposeDocument, path: Sequence[str], tree: ValueTree, *, start: YamlNode | None = None
) -> str:
    """Return the text with the value at the end of `path` set, from the root or the given mapping on.

    Mappings that are merged in or aliased on the way stay as they are: an inherited value is written out or merged
    where it is changed. Raises ComposeFileError when something on the way is not a mapping.
    """
    node = start if start is not None else document.root
    in_flow = node.is_flow
    for position, name in enumerate(path):
        rest = path[position + 1 :]
        entry = own_entry(node, name)
        if entry is None:
            inherited = _inherited(node, name) if rest else None
            return add_entry(document, node, _key(name), _grown(document, inherited, rest, tree))
        key, value = entry
        if not rest:
            return replace_value(document, key, value, tree, in_flow=in_flow)
        if value.kind == "alias" and value.real.kind == "mapping":
            return replace_value(document, key, value, _grown(document, value, rest, tree), in_flow=in_flow)
        if value.is_null or (value.kind == "mapping" and not value.entries):
            return replace_value(document, key, value, _grown(document, None, rest, tree), in_flow=in_flow)
        if value.kind != "mapping":
            raise document.error(
                f"{name!r} must be a mapping; correct it by hand",
                value,
                said("compose_error.part_no_mapping", name=name_for_people(name)),
            )
        node, in_flow = value, in_flow or value.is_flow
    raise ValueError("a path has at least one name")


def _key(name: str) -> str:
    return yaml_scalar(name).text


def _grown(document: ComposeDocument, node: YamlNode | None, rest: Sequence[str], tree: ValueTree) -> ValueTree:
    """Return the tree of `node` with the value set at the end of the path."""
    if not rest:
        return tree
    found: dict[str, ValueTree] = {} if node is None or node.is_null else editable_tree(document, node)
    inner = None if node is None else _inner(node.real, rest[0])
    name = _key(rest[0])
    written = next((key for key in found if key.strip("\"'") == rest[0]), name)
    found[written] = _grown(document, inner, rest[1:], tree)
    return found


def _inner(node: YamlNode, name: str) -> YamlNode | None:
    if node.kind != "mapping":
        return None
    entry = own_entry(node, name)
    return entry[1] if entry is not None else _inherited(node, name)


def _inherited(mapping: YamlNode, name: str) -> YamlNode | None:
    """Return the value that a mapping inherits for a key through its merges."""
    for key, value in mapping.real.entries:
        if is_merge_key(key):
            for source in value.real.items if value.real.kind == "sequence" else (value,):
                found = _inner(source.real, name)
                if found is not None:
                    return found
    return None
