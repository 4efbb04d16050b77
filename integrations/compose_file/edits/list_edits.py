"""Changes one item of a service's list: environment in list style, volumes."""

from __future__ import annotations

from integrations.compose_file.edits.proved_change import (
    YamlPath,
    is_own,
    prove,
    read_again,
    service_node,
    view,
    view_of,
)
from integrations.compose_file.text_splice import ValueTree, append, block, copied, flow, put
from integrations.compose_file.yaml_tree import ComposeDocument, YamlNode, reach


def with_item(
    document: ComposeDocument, service: str, name: str, item: ValueTree, *, at: int | None
) -> ComposeDocument:
    """Return the file with one item of a service's list replaced, or added at the end (`at` None).

    A list that the service inherits is written out in the service.
    """
    path: YamlPath = ("services", service, name)
    old = reach(service_node(document, service), name)
    if old is None or old.kind != "sequence":
        after = read_again(put(document, path, [item]))
        prove(document, after, {path: [view_of(item)]})
        return after
    wanted = [view(one) for one in old.items]
    wanted[at if at is not None else len(wanted) :] = [view_of(item), *([] if at is None else wanted[at + 1 :])]
    seen = (old.tag, wanted) if old.tag.startswith("!") else wanted
    if not old.items or not is_own(document, service, name):
        trees = [copied(document, one) for one in old.items]
        trees[at if at is not None else len(trees) :] = [item, *([] if at is None else trees[at + 1 :])]
        after = read_again(put(document, path, trees))
    elif at is None:
        after = read_again(append(document, old, item))
    else:
        after = read_again(_replaced(document, old, old.items[at], item))
    prove(document, after, {path: seen})
    return after


def _replaced(document: ComposeDocument, sequence: YamlNode, old: YamlNode, item: ValueTree) -> str:
    new = flow(item) if sequence.is_flow else block([item], 0, document.step)[0].removeprefix("- ")
    start = old.content if old.anchor and old.kind != "alias" else old.start
    return document.text[:start] + new + document.text[old.end :]
