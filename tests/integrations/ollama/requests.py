"""Requests that the tests ask."""

from typing import Any, Literal

from pydantic import BaseModel

from core.language_model import ChatMessage, Effort, ModelRequest, ToolSpec, system, user

DISK_USAGE = ToolSpec(
    name="disk_usage",
    description="Says how full a host's disk is. Use it when somebody asks about space.",
    parameters={
        "type": "object",
        "properties": {
            "host": {"type": "string", "description": "The host's name, for example web1. Required."},
            "note": {"type": "string", "description": "Why; optional."},
        },
        "required": ["host"],
    },
)


class Verdict(BaseModel):
    """A structured answer."""

    cause: Literal["memory", "disk"]
    confidence: float


GOOD_VERDICT = '{"cause": "disk", "confidence": 0.9}'


def talk(content: str = "How full is the disk?", **changes: Any) -> ModelRequest:
    """A plain question."""
    messages: tuple[ChatMessage, ...] = (system("You guard servers."), user(content))
    return ModelRequest(messages=messages, **changes)


def with_tools(**changes: Any) -> ModelRequest:
    """A question with one tool."""
    return talk(tools=(DISK_USAGE,), effort=Effort.MEDIUM, **changes)


def for_verdict(**changes: Any) -> ModelRequest:
    """A question for an object."""
    return talk(answer=Verdict, **changes)
