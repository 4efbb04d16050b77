"""Free-text questions and the parts of their answers: the agent makes the parts, the chat shows them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from core.actions.policy import Actor
from core.text import Language, Text


@dataclass(frozen=True, kw_only=True)
class ChatQuestion:
    """Free text of a person who may look (viewer or more)."""

    text: str
    language: Language
    actor: Actor
    chat: str
    """Key of the conversation: chat and thread."""
    incident_id: int | None = None
    """The incident whose card the person replied to."""


@dataclass(frozen=True, kw_only=True)
class AnswerMessage:
    """A complete statement."""

    message: Text


@dataclass(frozen=True, kw_only=True)
class AnswerChunk:
    """The model's visible words so far; replaces the chunk shown before."""

    text: str


@dataclass(frozen=True, kw_only=True)
class AnswerProgress:
    """One line about the lookup in progress, shown until the next part arrives."""

    message: Text


@dataclass(frozen=True, kw_only=True)
class RunCommand:
    """A read-only chat command, to be run as if it had been typed: `logs granada api 50`."""

    name: str
    arguments: str = ""


@dataclass(frozen=True, kw_only=True)
class ProposeCommand:
    """A command that changes something, shown with a button; only a tap runs it."""

    name: str
    arguments: str
    message: Text
    """The effect of the command."""


@dataclass(frozen=True, kw_only=True)
class ModelUsage:
    """Ends an answer written by a model; the chat names the model and its cost."""

    tokens: int
    seconds: float
    is_cut: bool = False


AnswerPart = AnswerMessage | AnswerChunk | AnswerProgress | RunCommand | ProposeCommand | ModelUsage


class Dialogue(Protocol):
    """Answers questions in both languages; common ones by rules, the rest by the model with READ actions."""

    def answer(self, question: ChatQuestion) -> AsyncIterator[AnswerPart]:
        """Yield the answer's parts as they are made; reports a model that is down, never raises. Close it to cancel."""
        ...
