"""Makes one change to a service and proves that no other setting and no other service changed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from core.text import text as said
from integrations.compose_file.file_errors import ComposeFileError, name_for_people, unknown_service_error
from integrations.compose_file.text_splice import ValueTree, flow_style_line, set_value_at, tree_of_node
from integrations.compose_file.yaml_tree import (
    ComposeDocument,
    YamlNode,
    mapping_fields,
    parse_compose_file,
    value_at_path,
)

YamlPath = tuple[str, ...]
_SPECIAL = re.compile(
    r"(?i)|~|null|true|false|yes|no|on|off|y|n|[-+]?[0-9_.,:]+(?:e[-+]?[0-9]+)?|0[xob][0-9a-f_]+|[-+]?\.(?:inf|nan)"
)
_EXTENDS_LIMIT = 10
_BY_HAND = "this cannot be changed without touching something else; change it by hand"


@lru_cache(maxsize=4)
def service_nodes(document: ComposeDocument) -> Mapping[str, YamlNode]:
    """Return the services by name, with aliases followed."""
    services = value_at_path(document.root, "services")
    if services is None or services.kind != "mapping":
        raise ComposeFileError(
            "it has no `services:` section; is it a Compose file?", message=said("compose_error.no_section")
        )
    found = {name: value.real for name, value in mapping_fields(services).items()}
    for node in found.values():
        if node.kind != "mapping" and not node.is_null:
            raise document.error(
                "a service must be a mapping of its settings; look at the indentation",
                node,
                said("compose_error.service_no_mapping"),
            )
    return found


def service_node(document: ComposeDocument, service: str) -> YamlNode:
    """Return one service; ComposeFileError with the nearest name when there is none."""
    services = service_nodes(document)
    if service not in services:
        raise unknown_service_error(service, services)
    return services[service]


def find_setting(document: ComposeDocument, service: str, *path: str) -> YamlNode | None:
    """Return a setting of a service: its own, merged in, or from a service of this file that it `extends`."""
    services = service_nodes(document)
    for _ in range(_EXTENDS_LIMIT):
        node = services.get(service)
        if node is None:
            return None
        found = value_at_path(node, *path)
        if found is not None:
            return None if found.is_null else found
        extends = value_at_path(node, "extends")
        if extends is None:
            return None
        if value_at_path(extends, "file") is not None:
            return None
        base = extends if extends.kind == "scalar" else value_at_path(extends, "service")
        service = base.value if base is not None else ""
    return None


def is_own_setting(document: ComposeDocument, service: str, *path: str) -> bool:
    """Return whether the service writes the setting itself, not by alias, merge or `extends`."""
    node: YamlNode = document.root
    for name in ("services", service, *path):
        found = next((value for key, value in node.entries if key.real.value == name), None)
        if found is None or found.kind == "alias":
            return False
        node = found
    return True


def change_setting(document: ComposeDocument, service: str, path: YamlPath, tree: ValueTree) -> ComposeDocument:
    """Return the file with one setting of a service set. Services that shared it keep their value, written out."""
    wanted = {("services", service, *path): tree_meaning(tree)}
    new = reread_file(set_value_at(document, ("services", service, *path), tree))
    for other in service_nodes(document):
        before = find_setting(document, other, *path)
        if other == service or node_meaning(before) == node_meaning(find_setting(new, other, *path)):
            continue
        if before is None:
            message = said("compose_error.shared", service=name_for_people(service), other=name_for_people(other))
            raise document.error(f"the service {other!r} takes it from {service!r}; {_BY_HAND}", document.root, message)
        kept = tree_of_node(document, before, by_name=False)
        wanted[("services", other, *path)] = node_meaning(before)
        new = reread_file(set_value_at(new, ("services", other, *path), kept))
    verify_only_changes(document, new, wanted)
    return new


def verify_only_changes(before: ComposeDocument, after: ComposeDocument, wanted: Mapping[YamlPath, Any]) -> None:
    """Raise ComposeFileError unless exactly the wanted views differ; None stands for a removed value."""
    expected = node_meaning(before.root)
    for path, seen in wanted.items():
        expected = _with_value_at(expected, path, seen)
    if expected != node_meaning(after.root):
        raise ComposeFileError(_BY_HAND, message=said("compose_error.by_hand"))


def node_meaning(node: YamlNode | None) -> Any:
    """Return a node's meaning, for comparison: aliases and merges followed; a plain `no` differs from a quoted one."""
    return None if node is None else _view(node.real, {})


def _view(node: YamlNode, known: dict[int, Any]) -> Any:
    if id(node) in known:
        return known[id(node)]
    found: Any
    if node.kind == "mapping":
        found = {name: _view(value.real, known) for name, value in mapping_fields(node).items()}
    elif node.kind == "sequence":
        found = [_view(item.real, known) for item in node.items]
    else:
        found = ("plain", node.value) if node.style == "" and _SPECIAL.fullmatch(node.value) else node.value
    if node.tag.startswith("!"):
        found = (node.tag, found)
    known[id(node)] = found
    return found


def tree_meaning(tree: ValueTree) -> Any:
    """Return the meaning that a tree will have once it is written."""
    return node_meaning(value_at_path(parse_compose_file(f"x: {flow_style_line(tree)}").root, "x"))


def _with_value_at(data: Any, path: Sequence[str], value: Any) -> Any:
    """Return the data with the value set at the end of the path; None removes it, and any section left empty."""
    name, *rest = path
    if isinstance(data, tuple) and data[0].startswith("!"):
        return data[0], _with_value_at(data[1], path, value)
    found = dict(data) if isinstance(data, dict) else {}
    inner = _with_value_at(found.get(name), rest, value) if rest else value
    if inner is None or (value is None and not inner):
        found.pop(name, None)
    else:
        found[name] = inner
    return found


def reread_file(text: str) -> ComposeDocument:
    """Read the file again after an edit."""
    try:
        return parse_compose_file(text)
    except ComposeFileError:
        raise ComposeFileError(_BY_HAND, message=said("compose_error.by_hand")) from None
