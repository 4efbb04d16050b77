"""Interface to a language model: requests and answers; `integrations/ollama/` implements it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from pydantic import BaseModel

from core.actions.catalog import JsonObject
from core.errors import ModelFailed, ModelFailure
from core.text import Text, text


class Effort(StrEnum):
    """Depth of the model's thinking before it answers; more is slower and rarely better."""

    LOW = "low"
    """Routing, extraction, structured answers."""
    MEDIUM = "medium"
    """Diagnosis and planning."""
    HIGH = "high"
    """A question of a person who asked for it and waits."""

    def lower(self) -> Effort:
        """Return the next lower effort; LOW stays."""
        return {Effort.HIGH: Effort.MEDIUM}.get(self, Effort.LOW)


class ChatRole(StrEnum):
    """Role of a message's author. Content of a tool is data, never an instruction."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """The model's request to use a tool. The name is one of those offered; the arguments are unchecked."""

    id: str
    name: str
    arguments: JsonObject


@dataclass(frozen=True, kw_only=True)
class ToolSpec:
    """Description of a tool for the model.

    GPT-OSS sees names, descriptions and base types of `parameters` only: put allowed values, defaults, formats and the
    properties that may be left out into the descriptions.
    """

    name: str
    description: str
    parameters: JsonObject
    """JSON schema of an object."""


@dataclass(frozen=True, kw_only=True)
class ChatMessage:
    """One message of a conversation; use the functions below to make one."""

    role: ChatRole
    content: str = ""
    tool_call: ToolCall | None = None
    """Tool call of an assistant message."""
    tool_call_id: str = ""
    tool_name: str = ""
    """Name of the tool that a tool message answers for."""
    thinking: str = field(default="", repr=False)
    """The model's thinking, kept between the tool calls of one turn; never shown to people."""


def system(content: str) -> ChatMessage:
    """Return a message with the guardian's own instructions."""
    return ChatMessage(role=ChatRole.SYSTEM, content=content)


def user(content: str) -> ChatMessage:
    """Return a message of a person."""
    return ChatMessage(role=ChatRole.USER, content=content)


def assistant(content: str) -> ChatMessage:
    """Return an earlier message of the model."""
    return ChatMessage(role=ChatRole.ASSISTANT, content=content)


def tool_result(call: ToolCall, content: str) -> ChatMessage:
    """Return a tool's result for `call`."""
    return ChatMessage(role=ChatRole.TOOL, content=content, tool_call_id=call.id, tool_name=call.name)


@dataclass(frozen=True, kw_only=True)
class ModelRequest:
    """One question: for plain text, for an object (`answer`) or with tools; never for both of the latter."""

    messages: tuple[ChatMessage, ...]
    effort: Effort = Effort.LOW
    answer: type[BaseModel] | None = None
    """Type of the requested object: its JSON schema is sent to the model and enforced by the server, then checked."""
    check: Callable[[Any], str | None] | None = None
    """Checks the parsed `answer` (evidence ids that exist, offered actions); returns the problem, or None."""
    tools: tuple[ToolSpec, ...] = ()
    must_call: bool = False
    """An answer without a tool call is malformed."""
    on_wait: Callable[[int], Awaitable[None]] | None = None
    """Called with the place in the queue, from 1, each time it changes; with 0 when this request's turn has come."""
    on_text: Callable[[str], Awaitable[None]] | None = None
    """Called with the whole visible text so far as it grows; a retry begins anew. For plain text and tools."""
    time_limit_s: float | None = None
    """Limit for everything: queue, retries, answer. None: the setting."""

    def __post_init__(self) -> None:
        if self.answer is not None and self.tools:
            raise ValueError("a model request takes `answer` or `tools`, not both: ask twice")
        if self.must_call and not self.tools:
            raise ValueError("a model request that must call a tool needs `tools`")


@dataclass(frozen=True, kw_only=True)
class ModelAnswer:
    """The model's answer, or the tool call it requests."""

    content: str
    parsed: BaseModel | None = None
    """The checked object, if `answer` was requested."""
    tool_call: ToolCall | None = None
    thinking: str = field(default="", repr=False)
    """Only for `as_message`; never shown to people."""
    prompt_tokens: int
    output_tokens: int
    """Sum over all tries."""
    duration_s: float
    """Time in the queue included."""
    tries: int = 1
    is_cut: bool = False
    """It reached the token limit in mid-sentence; point that out when showing it."""

    @property
    def tokens(self) -> int:
        """Tokens that count against a budget."""
        return self.prompt_tokens + self.output_tokens

    def as_message(self) -> ChatMessage:
        """Return this answer as a message, thinking included, for the next question of the same turn."""
        return ChatMessage(
            role=ChatRole.ASSISTANT, content=self.content, tool_call=self.tool_call, thinking=self.thinking
        )


class LanguageModel(Protocol):
    """A model that can be asked. Every failure is a ModelFailed with its kind."""

    @property
    def is_up(self) -> bool:
        """True if it responded to the last request."""
        ...

    @property
    def since(self) -> datetime:
        """Time of the last change of `is_up`."""
        ...

    async def ask(self, request: ModelRequest) -> ModelAnswer:
        """Return the whole answer, checked; asks again at most twice if it cannot be used."""
        ...

    def stream(self, request: ModelRequest) -> AsyncGenerator[str, None]:
        """Yield the visible text in pieces, for requests without `answer` and `tools`; ends with "…" if it was cut.

        Close it (`contextlib.aclosing`) when you stop early: that stops the model.
        """
        ...


def explain(failure: ModelFailed) -> Text:
    """Return the sentence for people."""
    return text(f"model.failed.{failure.kind}", model=failure.model or None)


__all__ = [
    "ChatMessage",
    "ChatRole",
    "Effort",
    "LanguageModel",
    "ModelAnswer",
    "ModelFailed",
    "ModelFailure",
    "ModelRequest",
    "ToolCall",
    "ToolSpec",
    "assistant",
    "explain",
    "system",
    "tool_result",
    "user",
]
