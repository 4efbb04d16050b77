"""Writes the catalogue as Markdown: what `infraguardian actions` prints and docs/actions.md holds."""

from __future__ import annotations

from collections.abc import Iterator

from core.actions.catalog import Action, Catalog

HEAD = """# Actions

Everything that InfraGuardian can do to, or ask of, a system. Written by `infraguardian actions > docs/actions.md`;
a test keeps it current. Runbooks, the chat and the model all use these names, and every call takes the same door:
the table in [README.md](../README.md#what-it-may-and-may-not-do-to-a-host) says who may run which risk.
"""


def action_docs(catalog: Catalog) -> str:
    """One section for each action, by name."""
    return "\n".join([HEAD, *(_section(catalog.get(name)) for name in catalog.names())])


def _section(action: Action) -> str:
    facts = [f"risk: {action.risk}", f"role: {action.role}", f"time limit: {action.time_limit_s:g} s"]
    if action.undo is not None:
        facts.append("can be undone")
    return f"## {action.name}\n\n{' · '.join(facts)}\n\n{action.doc}\n\n{_parameters(action)}"


def _parameters(action: Action) -> str:
    rows = list(_rows(action))
    if not rows:
        return "No parameters.\n"
    head = "| parameter | needed | default | meaning |\n|---|---|---|---|"
    return "\n".join([head, *rows]) + "\n"


def _rows(action: Action) -> Iterator[str]:
    for name, one in action.params.model_fields.items():
        is_needed = one.is_required()
        default = "" if is_needed or one.default is None else f"`{one.default}`"
        meaning = (one.description or "").replace("|", "\\|").replace("\n", " ")
        yield f"| `{one.alias or name}` | {'yes' if is_needed else 'no'} | {default} | {meaning} |"
