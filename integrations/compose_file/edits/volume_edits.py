"""Mounts a volume or a folder into a service."""

from __future__ import annotations

import re
from typing import Literal

from core.text import text as said
from integrations.compose_file.edits.list_edits import set_list_item
from integrations.compose_file.edits.proved_change import (
    node_meaning,
    reread_file,
    service_node,
    tree_meaning,
    verify_only_changes,
)
from integrations.compose_file.file_errors import ComposeFileError, name_for_people, quoted_name
from integrations.compose_file.interpolation import find_variables
from integrations.compose_file.text_splice import YamlSource, set_value_at, yaml_scalar
from integrations.compose_file.yaml_tree import (
    ComposeDocument,
    YamlNode,
    mapping_fields,
    parse_compose_file,
    value_at_path,
)

MountMode = Literal["rw", "ro"]
_VOLUME_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_FOLDER = re.compile(r"(?:/|\./|\.\./|~/|\.$|~$)[^:\0\r\n]*")
_TARGET = re.compile(r"/[^:\0\r\n]*")


def set_volume(text: str, service: str, source: str, target: str, mode: MountMode = "rw") -> str:
    """Return the file with `source` mounted at `target` of a service, replacing any mount there.

    `source` is the name of a volume, declared at the end of the file if it is not declared yet, or a folder
    (`/x`, `./x`, `~/x`). A mount in long form keeps its form and its other options.
    """
    is_named = _VOLUME_NAME.fullmatch(source) is not None
    if not (is_named or _FOLDER.fullmatch(source)):
        raise ComposeFileError(
            "a volume's source is a name or a folder that begins with /, ./, ../ or ~",
            message=said("compose_error.bad_source"),
        )
    if not _TARGET.fullmatch(target):
        raise ComposeFileError(
            "a volume's target is a path in the container that begins with /", message=said("compose_error.bad_target")
        )
    if mode not in ("rw", "ro"):
        raise ComposeFileError("the mode of a volume is rw or ro", message=said("compose_error.bad_mode"))
    document = parse_compose_file(text)
    mounts = value_at_path(service_node(document, service), "volumes")
    at = _position(mounts, target)
    if mounts is not None and at is not None and mounts.items[at].real.kind == "mapping":
        document = _long(document, service, mounts, at, source=source, is_named=is_named, mode=mode)
    else:
        style = mounts.items[at].real.style if mounts is not None and at is not None else ""
        written = f"{source}:{target}" + (":ro" if mode == "ro" else "")
        document = set_list_item(document, service, "volumes", yaml_scalar(written, style=style), at=at)
    return _with_declared_volume(document, source).text if is_named else document.text


def _position(mounts: YamlNode | None, target: str) -> int | None:
    """Return the position of the mount at the target in the list; None when there is none."""
    for position, item in enumerate(mounts.items if mounts is not None else ()):
        found = value_at_path(item, "target") if item.real.kind == "mapping" else None
        mounted = found.value if found is not None else _short_target(item.real.value)
        if mounted.rstrip("/") == target.rstrip("/"):
            return position
    return None


def _short_target(written: str) -> str:
    signs = list(written)
    for variable in find_variables(written):
        signs[variable.start : variable.end] = "v" * (variable.end - variable.start)
    parts, position = [], 0
    for part in "".join(signs).split(":"):
        parts.append(written[position : position + len(part)])
        position += len(part) + 1
    return parts[1] if len(parts) > 1 else parts[0]


def _long(
    document: ComposeDocument, service: str, mounts: YamlNode, at: int, *, source: str, is_named: bool, mode: MountMode
) -> ComposeDocument:
    item = mounts.items[at].real
    kind = value_at_path(item, "type")
    wanted_kind = "volume" if is_named else "bind"
    if kind is None or kind.value != wanted_kind:
        raise document.error(
            f"what {quoted_name(service)} mounts there is no {wanted_kind}; change its long form by hand",
            mounts.items[at],
            said("compose_error.long_form", service=name_for_people(service)),
        )
    seen = node_meaning(item)
    settings = [("source", yaml_scalar(source)), ("read_only", YamlSource("true" if mode == "ro" else "false"))]
    new = document
    for name, tree in settings:
        if name == "read_only" and value_at_path(item, name) is None and mode == "rw":
            continue
        current = value_at_path(service_node(new, service), "volumes")
        new = reread_file(
            set_value_at(new, (name,), tree, start=current.items[at].real if current is not None else None)
        )
        seen = {**seen, name: tree_meaning(tree)}
    wanted = [node_meaning(one) for one in mounts.items]
    wanted[at] = seen
    verify_only_changes(document, new, {("services", service, "volumes"): wanted})
    return new


def _with_declared_volume(document: ComposeDocument, name: str) -> ComposeDocument:
    """Return the file with the volume declared under its `volumes:`."""
    volumes = value_at_path(document.root, "volumes")
    if volumes is not None and name in mapping_fields(volumes):
        return document
    after = reread_file(set_value_at(document, ("volumes", name), YamlSource("")))
    verify_only_changes(document, after, {("volumes", name): tree_meaning(YamlSource(""))})
    return after
