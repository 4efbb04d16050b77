"""State behind the Bot API: accounts, chats, messages, files; in memory, and written to the store."""

import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from playground.api.bot_api_wire import Json
from playground.chats.change_feed import ChangePublisher
from playground.chats.chat_records import (
    ChatRecord,
    FileRecord,
    MessageRecord,
    MessageVersion,
    TapRecord,
    UserRecord,
    chat_from_store,
    message_from_store,
)
from playground.chats.playground_clock import PlaygroundClock
from playground.chats.playground_store import PlaygroundStore


class PlaygroundState:
    """Every fact of the playground; a change is durable after `commit`, which precedes every answer."""

    def __init__(self, bot: UserRecord, state_path: Path | None) -> None:
        self.store = PlaygroundStore(state_path)
        self.clock = PlaygroundClock()
        self.changes = ChangePublisher()
        self.bot = bot
        self.users = {int(key): UserRecord(**stored) for key, stored in self.store.all("user").items()}
        self.chats = {int(key): chat_from_store(stored) for key, stored in self.store.all("chat").items()}
        self.taps = {key: TapRecord(**stored) for key, stored in self.store.all("tap").items()}
        self.files = {key: FileRecord(**stored) for key, stored in self.store.all("file").items()}
        self.messages: dict[int, dict[int, MessageRecord]] = {}
        for stored in self.store.all("message").values():
            record = message_from_store(stored)
            self.messages.setdefault(record.chat_id, {})[record.message_id] = record
        for chat_id, messages in self.messages.items():
            self.messages[chat_id] = dict(sorted(messages.items()))
        kept_bot = self.users.get(bot.id)
        if kept_bot is not None:
            self.bot = kept_bot
        else:
            self.save_user(bot)
        self.commit()

    def commit(self) -> None:
        self.store.commit()

    def save_user(self, user: UserRecord) -> None:
        self.users[user.id] = user
        self.store.put("user", user.id, asdict(user))
        self.changes.publish({"type": "people"})

    def save_chat(self, chat: ChatRecord) -> None:
        self.chats[chat.id] = chat
        self.store.put("chat", chat.id, chat.stored())
        self.changes.publish({"type": "chats"})

    def save_tap(self, tap: TapRecord) -> None:
        self.taps[tap.id] = tap
        self.store.put("tap", tap.id, asdict(tap))
        self.changes.publish({"type": "tap", "id": tap.id, "user_id": tap.user_id, "answer": tap.answer})

    def save_message(self, record: MessageRecord) -> None:
        self.messages.setdefault(record.chat_id, {})[record.message_id] = record
        self.store.put("message", f"{record.chat_id}/{record.message_id}", record.stored())
        self.changes.publish({"type": "message", "chat_id": record.chat_id, "message_id": record.message_id})

    def note_version(self, record: MessageRecord) -> None:
        """Add the message's present state to its versions."""
        record.versions.append(
            MessageVersion(text=record.text, entities=record.entities, buttons=record.keyboard, at=time.monotonic())
        )

    def message(self, chat_id: int, message_id: int) -> MessageRecord | None:
        record = self.messages.get(chat_id, {}).get(message_id)
        return None if record is None or record.deleted else record

    def next_message_id(self, chat: ChatRecord) -> int:
        """Return the next message id; in a supergroup ids start at 2, since 1 is its creation and the General topic."""
        return self.store.count_up(chat.id_space, 2 if chat.type == "supergroup" else 1)

    def chat_wire(self, chat: ChatRecord) -> Json:
        """Return the Chat object."""
        if chat.is_private:
            user = self.users[chat.id]
            wire: Json = {"id": chat.id, "type": "private", "first_name": user.first_name}
            if user.username:
                wire["username"] = user.username
            return wire
        wire = {"id": chat.id, "type": chat.type, "title": chat.title}
        if chat.is_forum:
            wire["is_forum"] = True
        return wire

    def private_chat(self, user: UserRecord) -> ChatRecord:
        """Return the person's chat with the bot; create it if there is none."""
        chat = self.chats.get(user.id)
        if chat is None:
            chat = ChatRecord(id=user.id, type="private", members=[user.id])
            self.save_chat(chat)
        return chat

    def complete_entities(self, entities: Iterable[Json]) -> list[Json]:
        """Return the entities with mentioned people filled in; a stranger's mention is dropped, as on the server."""
        completed: list[Json] = []
        for entity in entities:
            if entity["type"] == "text_mention":
                user = self.users.get(entity["user"]["id"])
                if user is None:
                    continue
                entity = {**entity, "user": user.wire()}
            completed.append(entity)
        return completed

    def close(self) -> None:
        self.store.close()
