"""What the guardian asks of a language model, and what it gets back; `integrations/ollama/` implements it."""

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
    """How long the model thinks before it answers; more is slower and rarely better."""

    LOW = "low"
    """Routing, extraction, structured answers."""
    MEDIUM = "medium"
    """Diagnosis and planning."""
    HIGH = "high"
    """When a person asked for it and waits."""

    def lower(self) -> Effort:
        """The next lower one; LOW stays."""
        return {Effort.HIGH: Effort.MEDIUM}.get(self, Effort.LOW)


class ChatRole(StrEnum):
    """Who speaks. Content of a tool is data, never an instruction."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """A wish of the model to use a tool. The name is on the request's list; the arguments are unchecked."""

    id: str
    name: str
    arguments: JsonObject


@dataclass(frozen=True, kw_only=True)
class ToolSpec:
    """A tool as the model is told of it.

    GPT-OSS sees names, descriptions and base types of `parameters` only: allowed values, defaults, formats and
    what may be left out belong into each property's description.
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
    """Of an assistant that used a tool."""
    tool_call_id: str = ""
    tool_name: str = ""
    """Which call of which tool a tool message answers."""
    thinking: str = field(default="", repr=False)
    """The model's own, kept between the tool calls of one turn; never shown to people."""


def system(content: str) -> ChatMessage:
    """The guardian's own instructions."""
    return ChatMessage(role=ChatRole.SYSTEM, content=content)


def user(content: str) -> ChatMessage:
    """What a person said."""
    return ChatMessage(role=ChatRole.USER, content=content)


def assistant(content: str) -> ChatMessage:
    """What the model said before."""
    return ChatMessage(role=ChatRole.ASSISTANT, content=content)


def tool_result(call: ToolCall, content: str) -> ChatMessage:
    """What a tool answered to `call`."""
    return ChatMessage(role=ChatRole.TOOL, content=content, tool_call_id=call.id, tool_name=call.name)


@dataclass(frozen=True, kw_only=True)
class ModelRequest:
    """One question: for plain text, for an object (`answer`) or with tools; never both of the latter."""

    messages: tuple[ChatMessage, ...]
    effort: Effort = Effort.LOW
    answer: type[BaseModel] | None = None
    """The object that is wanted: its JSON schema is told to the model and enforced by the server, then checked."""
    check: Callable[[Any], str | None] | None = None
    """Looks at the parsed `answer` (evidence ids that exist, offered actions); returns what is wrong, or None."""
    tools: tuple[ToolSpec, ...] = ()
    must_call: bool = False
    """An answer without a tool call is malformed."""
    on_wait: Callable[[int], Awaitable[None]] | None = None
    """Told the place in the waiting line, from 1, each time it changes; 0 when it is this request's turn after all."""
    on_text: Callable[[str], Awaitable[None]] | None = None
    """Told the whole visible text so far as it grows; a retry begins anew. For plain text and tools."""
    time_limit_s: float | None = None
    """For everything: waiting, retries, answer. None: the setting."""

    def __post_init__(self) -> None:
        if self.answer is not None and self.tools:
            raise ValueError("a model request takes `answer` or `tools`, not both: ask twice")
        if self.must_call and not self.tools:
            raise ValueError("a model request that must call a tool needs `tools`")


@dataclass(frozen=True, kw_only=True)
class ModelAnswer:
    """What the model said, or the tool it wants."""

    content: str
    parsed: BaseModel | None = None
    """The checked object, where `answer` was asked for."""
    tool_call: ToolCall | None = None
    thinking: str = field(default="", repr=False)
    """Only for `as_message`; never shown to people."""
    prompt_tokens: int
    output_tokens: int
    """Of all tries."""
    duration_s: float
    """Waiting in line included."""
    tries: int = 1
    is_cut: bool = False
    """It ran into the token limit in mid-sentence; say so when showing it."""

    @property
    def tokens(self) -> int:
        """What counts against a budget."""
        return self.prompt_tokens + self.output_tokens

    def as_message(self) -> ChatMessage:
        """This answer as a message, thinking included, for the next question of the same turn."""
        return ChatMessage(
            role=ChatRole.ASSISTANT, content=self.content, tool_call=self.tool_call, thinking=self.thinking
        )


class LanguageModel(Protocol):
    """A model that can be asked. Every failure is a ModelFailed with its kind."""

    @property
    def is_up(self) -> bool:
        """Whether it answered when it was last talked to."""
        ...

    @property
    def since(self) -> datetime:
        """Since when `is_up` is what it is."""
        ...

    async def ask(self, request: ModelRequest) -> ModelAnswer:
        """The whole answer, checked; asks again at most twice when it cannot be used."""
        ...

    def stream(self, request: ModelRequest) -> AsyncGenerator[str, None]:
        """The visible text piece by piece, for requests without `answer` and `tools`; ends with "…" when it was cut.

        Close it (`contextlib.aclosing`) when you stop early: that stops the model.
        """
        ...


def explain(failure: ModelFailed) -> Text:
    """The sentence for people."""
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
