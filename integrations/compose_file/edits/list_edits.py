"""Changes one item of a service's list: environment in list style, volumes."""

from __future__ import annotations

from integrations.compose_file.edits.proved_change import (
    YamlPath,
    is_own_setting,
    node_meaning,
    reread_file,
    service_node,
    tree_meaning,
    verify_only_changes,
)
from integrations.compose_file.text_splice import (
    ValueTree,
    append_item,
    block_lines,
    flow_style_line,
    set_value_at,
    tree_of_node,
)
from integrations.compose_file.yaml_tree import ComposeDocument, YamlNode, value_at_path


def set_list_item(
    document: ComposeDocument, service: str, name: str, item: ValueTree, *, at: int | None
) -> ComposeDocument:
    """Return the file with one item of a service's list replaced, or added at the end (`at` None).

    A list that the service inherits is written out in the service.
    """
    path: YamlPath = ("services", service, name)
    old = value_at_path(service_node(document, service), name)
    if old is None or old.kind != "sequence":
        after = reread_file(set_value_at(document, path, [item]))
        verify_only_changes(document, after, {path: [tree_meaning(item)]})
        return after
    wanted = [node_meaning(one) for one in old.items]
    wanted[at if at is not None else len(wanted) :] = [tree_meaning(item), *([] if at is None else wanted[at + 1 :])]
    seen = (old.tag, wanted) if old.tag.startswith("!") else wanted
    if not old.items or not is_own_setting(document, service, name):
        trees = [tree_of_node(document, one) for one in old.items]
        trees[at if at is not None else len(trees) :] = [item, *([] if at is None else trees[at + 1 :])]
        after = reread_file(set_value_at(document, path, trees))
    elif at is None:
        after = reread_file(append_item(document, old, item))
    else:
        after = reread_file(_replaced(document, old, old.items[at], item))
    verify_only_changes(document, after, {path: seen})
    return after


def _replaced(document: ComposeDocument, sequence: YamlNode, old: YamlNode, item: ValueTree) -> str:
    new = flow_style_line(item) if sequence.is_flow else block_lines([item], 0, document.step)[0].removeprefix("- ")
    start = old.content if old.anchor and old.kind != "alias" else old.start
    return document.text[:start] + new + document.text[old.end :]
