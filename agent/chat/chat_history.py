"""What was said in the last minutes, per chat and person: few, short, in memory only."""

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
    """One question and what came of it."""

    at: datetime
    asked: str
    answered: str
    subject: str = ""
    """`stack/service` or stack it was about."""


@dataclass(kw_only=True)
class ChatHistory:
    """The last turns of every conversation; a person hears nothing of another one's."""

    _kept: OrderedDict[str, deque[ChatTurn]] = field(default_factory=OrderedDict)

    def add(self, key: str, turn: ChatTurn) -> None:
        """Remember a turn; the oldest turn, and the chat that was silent longest, give way."""
        turns = self._kept.setdefault(key, deque(maxlen=MOST_TURNS))
        turns.append(turn)
        self._kept.move_to_end(key)
        while len(self._kept) > MOST_CHATS:
            self._kept.popitem(last=False)

    def recent(self, key: str, now: datetime) -> list[ChatTurn]:
        """Oldest first; what is old is forgotten."""
        return [turn for turn in self._kept.get(key, ()) if now - turn.at <= REMEMBERED_FOR]

    def subject(self, key: str, now: datetime) -> str:
        """What was spoken of last; '' when nothing was."""
        return next((turn.subject for turn in reversed(self.recent(key, now)) if turn.subject), "")

    def messages(self, key: str, now: datetime) -> list[ChatMessage]:
        """As the model is told of it."""
        told: list[ChatMessage] = []
        for turn in self.recent(key, now):
            told += [user(turn.asked[:MOST_CHARS]), assistant(turn.answered[:MOST_CHARS] or "…")]
        return told
