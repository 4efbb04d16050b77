"""Things a chat shows for seconds only: chat actions ("typing") and streamed drafts."""

import time
from collections import deque
from dataclasses import dataclass, field

from playground.api.bot_api_wire import Json
from playground.chats.change_feed import ChangePublisher

ACTION_SHOWN_S = 5.0  # a chat action is shown for five seconds or until the next message
DRAFT_SHOWN_S = 30.0  # a draft is a preview of thirty seconds
LOG_LIMIT = 1000


@dataclass(frozen=True, kw_only=True)
class ChatAction:
    chat_id: int
    thread_id: int
    action: str
    at: float


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A message being written, as the person sees it grow."""

    chat_id: int
    draft_id: int
    text: str
    entities: list[Json]
    at: float


@dataclass
class ChatActivity:
    """The latest actions and drafts; they do not survive a restart, as on the real server."""

    changes: ChangePublisher
    actions: deque[ChatAction] = field(default_factory=lambda: deque(maxlen=LOG_LIMIT))
    drafts: deque[Draft] = field(default_factory=lambda: deque(maxlen=LOG_LIMIT))
    _current: dict[int, Draft] = field(default_factory=dict)

    def act(self, chat_id: int, thread_id: int, action: str) -> None:
        self.actions.append(ChatAction(chat_id=chat_id, thread_id=thread_id, action=action, at=time.monotonic()))
        self.changes.publish({"type": "action", "chat_id": chat_id, "action": action, "shown_s": ACTION_SHOWN_S})

    def show(self, chat_id: int, draft_id: int, text: str, entities: list[Json]) -> None:
        draft = Draft(chat_id=chat_id, draft_id=draft_id, text=text, entities=entities, at=time.monotonic())
        self.drafts.append(draft)
        self._current[chat_id] = draft
        self.changes.publish({"type": "draft", "chat_id": chat_id, "text": text, "entities": entities,
                              "draft_id": draft_id, "shown_s": DRAFT_SHOWN_S})  # fmt: skip

    def current(self, chat_id: int) -> Draft | None:
        """Return the draft that the chat shows now."""
        draft = self._current.get(chat_id)
        return draft if draft is not None and time.monotonic() - draft.at < DRAFT_SHOWN_S else None

    def message_came(self, chat_id: int) -> None:
        """Replace the draft and the action by the bot's message."""
        self._current.pop(chat_id, None)
