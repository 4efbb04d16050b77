"""What a person asks in plain words, and the parts an answer is made of; a face shows them, the agent makes them."""

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
    """Names the conversation: chat and thread."""
    incident_id: int | None = None
    """The incident whose card it replies to."""


@dataclass(frozen=True, kw_only=True)
class AnswerMessage:
    """A whole statement."""

    says: Text


@dataclass(frozen=True, kw_only=True)
class AnswerChunk:
    """The model's visible words so far; they take the place of what was shown before."""

    text: str


@dataclass(frozen=True, kw_only=True)
class AnswerProgress:
    """What is being looked at right now, in one line; shown until the next part comes."""

    says: Text


@dataclass(frozen=True, kw_only=True)
class RunCommand:
    """The question means a chat command that only looks: run it as if it had been typed, `logs granada api 50`."""

    name: str
    arguments: str = ""


@dataclass(frozen=True, kw_only=True)
class ProposeCommand:
    """The wish means a command that changes something: show it with a button; only the tap runs it."""

    name: str
    arguments: str
    says: Text
    """What would be done."""


@dataclass(frozen=True, kw_only=True)
class ModelUsage:
    """Closes an answer that a model worded: the face says so, with what it cost."""

    tokens: int
    seconds: float
    is_cut: bool = False


AnswerPart = AnswerMessage | AnswerChunk | AnswerProgress | RunCommand | ProposeCommand | ModelUsage


class Dialogue(Protocol):
    """Answers questions in both languages; common ones by rules, the rest by the model with READ actions."""

    def answer(self, question: ChatQuestion) -> AsyncIterator[AnswerPart]:
        """The answer's parts as they come. Never raises for a model that is down: it says so. Close it to cancel."""
        ...
