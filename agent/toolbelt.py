"""The few tools a model is handed: READ actions of the catalogue, and a way to propose a command."""

from __future__ import annotations

import json
from collections.abc import Sequence

from core.actions import Action, Catalog, JsonObject, Result, Risk
from core.model import ToolSpec

MAX_TOOLS = 12
MAX_RESULT_CHARS = 6000
PROPOSE = "propose_command"
PROPOSABLE = ("restart", "up", "stop")
FIRST = (
    "docker.list",
    "docker.inspect",
    "docker.logs",
    "docker.stats",
    "docker.top",
    "docker.disk_usage",
    "history.stats",
    "history.incidents",
    "history.similar",
)
"""Handed out in this order; others follow while there is room."""


def read_tools(catalog: Catalog) -> list[ToolSpec]:
    """At most 11 READ actions that are available, and `propose_command`."""
    actions = [one for one in catalog if one.risk is Risk.READ and one.unavailable() is None]
    actions.sort(key=lambda one: (FIRST.index(one.name) if one.name in FIRST else len(FIRST), one.name))
    return [*(tool_of(one) for one in actions[: MAX_TOOLS - 1]), _propose()]


def tool_of(action: Action) -> ToolSpec:
    """An action as the model is told of it: its name without dots, its first paragraph, its parameters."""
    schema = action.params.model_json_schema()
    properties: JsonObject = {}
    for name, found in schema.get("properties", {}).items():
        properties[name] = {"type": _base_type(found), "description": _told(name, found, schema)}
    required = list(schema.get("required", []))
    parameters: JsonObject = {"type": "object", "properties": properties, "required": required}
    return ToolSpec(name=action.tool_name, description=action.doc.partition("\n\n")[0], parameters=parameters)


def fenced(result: Result, says: str) -> str:
    """A result as the model reads it: what it says, its data, marked as data and bounded."""
    data = json.dumps(result.data, ensure_ascii=False, default=str)
    if len(data) > MAX_RESULT_CHARS:
        data = data[:MAX_RESULT_CHARS] + " [cut]"
    return f"outcome: {result.outcome}\n{says}\n<data>\n{data}\n</data>"


def _propose() -> ToolSpec:
    described = "one of: " + ", ".join(PROPOSABLE)
    return ToolSpec(
        name=PROPOSE,
        description="Propose a change to the person, who decides with a button. Nothing is changed by calling it.",
        parameters={
            "type": "object",
            "properties": {
                "command": {"type": "string", "description": described},
                "target": {"type": "string", "description": "stack or stack/service, for example shop/api"},
            },
            "required": ["command", "target"],
        },
    )


def _base_type(found: JsonObject) -> str:
    kind = found.get("type")
    if isinstance(kind, str):
        return kind
    options = found.get("anyOf")
    for option in options if isinstance(options, list) else []:
        if isinstance(option, dict) and isinstance(option.get("type"), str) and option["type"] != "null":
            return str(option["type"])
    return "string"


def _told(name: str, found: JsonObject, schema: JsonObject) -> str:
    """GPT-OSS sees descriptions only: what may be left out, defaults and allowed values go there."""
    parts: list[str] = [str(found.get("description") or name.replace("_", " "))]
    if "enum" in found and isinstance(found["enum"], list):
        parts.append("one of: " + ", ".join(str(value) for value in found["enum"]))
    required = schema.get("required")
    if not (isinstance(required, list) and name in required):
        parts.append(f"may be left out (default: {json.dumps(found.get('default'))})")
    return "; ".join(parts)


def is_proposal(name: str) -> bool:
    """Whether the model called for a proposal."""
    return name == PROPOSE


def names(tools: Sequence[ToolSpec]) -> set[str]:
    """What the model may call."""
    return {one.name for one in tools}
