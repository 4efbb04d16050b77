"""Raw reply of the model, and the check that it is what was asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from core.errors import ModelFailure, closest
from core.language_model import ModelRequest, ToolCall, ToolSpec
from integrations.ollama.model_errors import UnusableReply


@dataclass(frozen=True, kw_only=True)
class RawToolCall:
    """Tool call as the server sent it."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ModelReply:
    """Complete reply, unchecked."""

    content: str = ""
    thinking: str = ""
    calls: tuple[RawToolCall, ...] = ()
    done_reason: str = "stop"
    prompt_tokens: int = 0
    output_tokens: int = 0

    @property
    def is_cut(self) -> bool:
        """True if it ran into the token limit."""
        return self.done_reason == "length"


@dataclass(frozen=True, kw_only=True)
class CheckedReply:
    """Content of a reply that passed the check."""

    parsed: BaseModel | None = None
    tool_call: ToolCall | None = None


def check_reply(reply: ModelReply, request: ModelRequest) -> CheckedReply:
    """Check the reply against the request and return its content; raises Unusable with a note for the model."""
    if reply.calls and request.tools:
        return CheckedReply(tool_call=_checked_call(reply.calls[0], request.tools))
    if request.must_call:
        raise UnusableReply(
            ModelFailure.MALFORMED,
            "it answered in prose where a tool call was asked for",
            note=f"Call exactly one of these tools now: {_names(request.tools)}.",
            said=reply.content,
            shrink=reply.is_cut,
        )
    if not reply.content.strip():
        raise _empty(reply)
    if request.answer is not None:
        return CheckedReply(parsed=_checked_object(reply, request.answer, request))
    return CheckedReply()


def clean_tool_name(name: str) -> str:
    """Return the tool's name without harmony markup that sometimes sticks to it (`x<|channel|>commentary`)."""
    return name.partition("<|")[0].strip().removeprefix("functions.")


def _checked_call(call: RawToolCall, tools: Sequence[ToolSpec]) -> ToolCall:
    name = clean_tool_name(call.name)
    spec = next((tool for tool in tools if tool.name == name), None)
    if spec is None:
        near = closest(name, [tool.name for tool in tools])
        hint = f" Did you mean {near}?" if near else ""
        raise UnusableReply(
            ModelFailure.MALFORMED,
            f"it called {name!r}, which is not on the list",
            note=f"There is no tool {name!r}.{hint} Use only: {_names(tools)}.",
        )
    return ToolCall(id=call.id, name=name, arguments=_restore_strings(call.arguments, spec))


def _restore_strings(arguments: Mapping[str, Any], spec: ToolSpec) -> dict[str, Any]:
    """Restore strings that LangChain parsed because they look like JSON, for parameters of type string."""
    properties = spec.parameters.get("properties")
    known = properties if isinstance(properties, dict) else {}
    told: dict[str, Any] = {}
    for name, value in arguments.items():
        schema = known.get(name)
        is_text = isinstance(schema, dict) and schema.get("type") == "string"
        told[name] = json.dumps(value, ensure_ascii=False) if is_text and isinstance(value, dict | list) else value
    return told


def _checked_object(reply: ModelReply, wanted: type[BaseModel], request: ModelRequest) -> BaseModel:
    try:
        parsed = wanted.model_validate_json(_unfenced(reply.content))
    except ValidationError as error:
        raise _not_as_asked(reply, _problems(error)) from error
    problem = request.check(parsed) if request.check else None
    if problem:
        raise _not_as_asked(reply, problem)
    return parsed


def _not_as_asked(reply: ModelReply, problem: str) -> UnusableReply:
    return UnusableReply(
        ModelFailure.MALFORMED,
        f"its answer does not fit: {problem}",
        note=f"That answer does not fit: {problem}. Answer again with the corrected JSON object only.",
        said=reply.content,
        shrink=reply.is_cut,
    )


def _problems(error: ValidationError) -> str:
    lines = [
        f"{'.'.join(str(part) for part in item['loc']) or 'the whole'}: {item['msg']}" for item in error.errors()[:4]
    ]
    return "; ".join(lines)


def _unfenced(content: str) -> str:
    lines = content.strip().splitlines()
    if len(lines) > 2 and lines[0].startswith("```") and lines[-1].startswith("```"):
        return "\n".join(lines[1:-1])
    return content


def _empty(reply: ModelReply) -> UnusableReply:
    if reply.is_cut:
        return UnusableReply(
            ModelFailure.TOO_LONG,
            "thinking used up the whole answer",
            note="Think briefly and answer now.",
            shrink=True,
        )
    return UnusableReply(ModelFailure.EMPTY, "it ended without a word", note="You said nothing. Answer now, briefly.")


def _names(tools: Sequence[ToolSpec]) -> str:
    return ", ".join(tool.name for tool in tools)
