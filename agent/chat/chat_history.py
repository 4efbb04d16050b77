"""Keeps the last few minutes of each conversation, per chat and person, in memory only."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core.language_model import ChatMessage, assistant, user

MOST_TURNS = 4
MOST_CHATS = 200
MOST_CHARS = 800
REMEMBERED_FOR = timedelta(minutes=30)


@dataclass(frozen=True, kw_only=True)
class ChatTurn:
    """One question and its answer."""

    at: datetime
    asked: str
    answered: str
    subject: str = ""
    """The stack or `stack/service` it was about."""


@dataclass(kw_only=True)
class ChatHistory:
    """The last turns of every conversation, kept apart by person."""

    _kept: OrderedDict[str, deque[ChatTurn]] = field(default_factory=OrderedDict)

    def add(self, key: str, turn: ChatTurn) -> None:
        """Add a turn, dropping the oldest turn and the chat that has been silent longest when full."""
        turns = self._kept.setdefault(key, deque(maxlen=MOST_TURNS))
        turns.append(turn)
        self._kept.move_to_end(key)
        while len(self._kept) > MOST_CHATS:
            self._kept.popitem(last=False)

    def recent(self, key: str, now: datetime) -> list[ChatTurn]:
        """Return the turns that are not too old, oldest first."""
        return [turn for turn in self._kept.get(key, ()) if now - turn.at <= REMEMBERED_FOR]

    def subject(self, key: str, now: datetime) -> str:
        """Return the subject mentioned last, or ''."""
        return next((turn.subject for turn in reversed(self.recent(key, now)) if turn.subject), "")

    def messages(self, key: str, now: datetime) -> list[ChatMessage]:
        """Return the conversation as messages for the model."""
        told: list[ChatMessage] = []
        for turn in self.recent(key, now):
            told += [user(turn.asked[:MOST_CHARS]), assistant(turn.answered[:MOST_CHARS] or "…")]
        return told
