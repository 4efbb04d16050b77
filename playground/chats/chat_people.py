"""People who use the bot: they write, edit, tap, react, vote, block; the page and the tests both use them."""

import copy
import time
from dataclasses import dataclass
from typing import Any

from playground.api.backend import BotApiBackend, chat_member
from playground.api.bot_api_wire import Json, Upload
from playground.api.message_text import TEXT_LIMIT, typed_text
from playground.api.methods.file_methods import document_fields, photo_fields
from playground.chats.chat_records import ANONYMOUS_ADMIN_ID, ChatRecord, MessageRecord, TapRecord, UserRecord
from playground.chats.posting import ReplyTarget, post_message, text_fields
from playground.chats.shown_chats import NotShown, ShownChat, ShownMessage

_ANONYMOUS = UserRecord(id=ANONYMOUS_ADMIN_ID, first_name="Group", username="GroupAnonymousBot", is_bot=True)


@dataclass(frozen=True, kw_only=True)
class TapAnswer:
    """The bot's answer to a tap: a toast, an alert to close, or a link."""

    text: str
    show_alert: bool
    url: str = ""


class CallbackTap:
    """A tap on an inline button."""

    def __init__(self, backend: BotApiBackend, tap: TapRecord) -> None:
        self._backend = backend
        self._tap = tap

    @property
    def id(self) -> str:
        return self._tap.id

    @property
    def update_id(self) -> int:
        return self._tap.update_id

    @property
    def is_answered(self) -> bool:
        return self._tap.answer is not None

    async def answer(self, timeout_s: float = 10) -> TapAnswer:
        """Return the bot's answerCallbackQuery; wait for it at most `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while self._tap.answer is None:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                chat = ShownChat(self._backend, self._tap.chat_id)
                raise NotShown(f"the tap on {self._tap.data!r} got no answer in {timeout_s} s\n{chat.transcript()}")
            await self._backend.world.changes.wait(remaining)
        return TapAnswer(**self._tap.answer)


class PlaygroundPerson:
    """One person; by the time an act returns, it is durable and queued for the bot."""

    def __init__(self, backend: BotApiBackend, user_id: int) -> None:
        self._backend = backend
        self.id = user_id

    @property
    def record(self) -> UserRecord:
        return self._backend.world.users[self.id]

    @property
    def chat(self) -> ShownChat:
        """The person's private chat with the bot."""
        return ShownChat(self._backend, self._backend.world.private_chat(self.record).id)

    def _place(self, chat: ShownChat | int | None) -> ChatRecord:
        chat_id = self.chat.id if chat is None else chat if isinstance(chat, int) else chat.id
        record = self._backend.world.chats.get(chat_id)
        if record is None:
            raise ValueError(f"there is no chat {chat_id}; make it with server.group()")
        if self.id not in record.members:
            raise ValueError(f"{self.record.first_name} is not in chat {chat_id}; add them with group.add()")
        if record.is_private and self.record.has_blocked:
            raise ValueError(f"{self.record.first_name} has blocked the bot; unblock() first")
        return record

    def _message(self, chat: ChatRecord, message: ShownMessage | int) -> MessageRecord:
        message_id = message if isinstance(message, int) else message.id
        record = self._backend.world.message(chat.id, message_id)
        if record is None:
            raise NotShown(f"there is no message {message_id} in chat {chat.id}")
        return record

    async def say(
        self,
        text: str,
        *,
        chat: ShownChat | int | None = None,
        reply_to: ShownMessage | int | None = None,
        thread_id: int | None = None,
        forwarded: bool = False,
        as_anonymous_admin: bool = False,
    ) -> int:
        """Write a message and return its id.

        Text longer than 4096 characters is split, as clients do; the id is the last part's.
        """
        place = self._place(chat)
        message_id = 0
        for start in range(0, max(len(text), 1), TEXT_LIMIT):
            fields = text_fields(self._backend.world, typed_text(text[start : start + TEXT_LIMIT]))
            if not fields:
                raise ValueError("a message cannot be empty")
            if forwarded:
                fields["forward_origin"] = self._origin()
            message_id = self._send(place, fields, reply_to, thread_id, as_anonymous_admin)
        return message_id

    async def send_document(
        self, name: str, content: bytes, *, chat: ShownChat | int | None = None, **about: Any
    ) -> int:
        """Send a file; `about` takes caption, mime_type, reply_to, thread_id."""
        upload = Upload(filename=name, content_type=about.get("mime_type", "application/octet-stream"), content=content)
        place = self._place(chat)
        fields = document_fields(self._backend.world, upload) | self._caption(about)
        return self._send(place, fields, about.get("reply_to"), about.get("thread_id"))

    async def send_photo(self, content: bytes, *, chat: ShownChat | int | None = None, **about: Any) -> int:
        """Send a PNG or JPEG; `about` takes caption, reply_to, thread_id."""
        upload = Upload(filename="photo", content_type="image/jpeg", content=content)
        place = self._place(chat)
        fields = photo_fields(self._backend.world, upload) | self._caption(about)
        return self._send(place, fields, about.get("reply_to"), about.get("thread_id"))

    def _caption(self, about: dict[str, Any]) -> Json:
        return text_fields(self._backend.world, typed_text(str(about.get("caption", ""))), caption=True)

    def _origin(self) -> Json:
        stranger = {"id": 777_000_001, "is_bot": False, "first_name": "Mallory"}
        return {"type": "user", "sender_user": stranger, "date": int(self._backend.world.clock.now()) - 60}

    def _send(
        self,
        place: ChatRecord,
        fields: Json,
        reply_to: ShownMessage | int | None = None,
        thread_id: int | None = None,
        as_anonymous_admin: bool = False,
    ) -> int:
        world = self._backend.world
        sender = self.record
        if as_anonymous_admin:
            if place.is_private:
                raise ValueError("there are no anonymous administrators in a private chat")
            sender, fields = _ANONYMOUS, fields | {"sender_chat": world.chat_wire(place)}
        reply = ReplyTarget(message=self._message(place, reply_to)) if reply_to is not None else None
        if thread_id is None and reply is not None:
            thread_id = int(reply.message.body.get("message_thread_id", 0))
        if thread_id and str(thread_id) not in place.topics:
            raise ValueError(f"there is no topic {thread_id} in chat {place.id}; it has {sorted(place.topics)}")
        if place.is_private and not self.record.has_started:
            self.record.has_started = True
            world.save_user(self.record)
        record = post_message(world, place, sender, fields, thread_id=thread_id or 0, reply=reply)
        if bot_receives(self._backend, place, record):
            self._backend.updates.add("message", record.body)
        world.commit()
        return record.message_id

    async def edit(self, message_id: int, text: str, chat: ShownChat | int | None = None) -> None:
        """Change the text of an own message."""
        place = self._place(chat)
        record = self._message(place, message_id)
        if record.from_bot or record.body["from"]["id"] != self.id:
            raise ValueError(f"message {message_id} is not {self.record.first_name}'s own")
        kept = {key: value for key, value in record.body.items() if key not in {"text", "entities"}}
        edit_date = int(self._backend.world.clock.now())
        record.body = kept | text_fields(self._backend.world, typed_text(text)) | {"edit_date": edit_date}
        self._backend.world.note_version(record)
        self._backend.world.save_message(record)
        if bot_receives(self._backend, place, record):
            self._backend.updates.add("edited_message", record.body)
        self._backend.world.commit()

    async def tap(
        self, message: ShownMessage | int, label_or_data: str, chat: ShownChat | int | None = None
    ) -> CallbackTap:
        """Tap the inline button that the message shows now under this label (a part is enough) or data."""
        place = self._place(chat if chat is not None or isinstance(message, int) else message.chat_id)
        record = self._message(place, message)
        button = ShownChat(self._backend, place.id).message(record.message_id).button(label_or_data)
        if not button.data:
            raise NotShown(f"button {button.label!r} sends nothing to the bot: it opens {button.url or 'a copy'!r}")
        return self._tapped(place, record, button.data)

    async def replay(
        self,
        message: ShownMessage | int,
        data: str,
        chat: ShownChat | int | None = None,
        *,
        inaccessible: bool = False,
    ) -> CallbackTap:
        """Send callback data that the message need not show: an old, a foreign or a forged button."""
        place = self._place(chat if chat is not None or isinstance(message, int) else message.chat_id)
        return self._tapped(place, self._message(place, message), data, inaccessible=inaccessible)

    def _tapped(
        self, place: ChatRecord, record: MessageRecord, data: str, *, inaccessible: bool = False
    ) -> CallbackTap:
        world = self._backend.world
        number = world.store.count_up("callback query", 1)
        tap = TapRecord(
            id=str(4_000_000_000_000_000 + number * 7919),
            user_id=self.id,
            chat_id=place.id,
            message_id=record.message_id,
            data=data,
            tapped_at=world.clock.now(),
        )
        body = copy.deepcopy(record.body)
        if inaccessible:
            body = {"chat": body["chat"], "message_id": record.message_id, "date": 0}
        tap.update_id = self._backend.updates.add(
            "callback_query",
            {"id": tap.id, "from": self.record.wire(), "message": body, "data": data,
             "chat_instance": str(-(abs(place.id) * 31 + 17))},
        )  # fmt: skip
        world.save_tap(tap)
        world.commit()
        return CallbackTap(self._backend, tap)

    async def react(self, message: ShownMessage | int, emoji: str, chat: ShownChat | int | None = None) -> None:
        """Put a reaction on a message; "" takes it back."""
        place = self._place(chat)
        record = self._message(place, message)
        old = record.reactions.pop(str(self.id), "")
        if emoji:
            record.reactions[str(self.id)] = emoji
        self._backend.world.save_message(record)
        if place.is_private or place.bot_status == "administrator":
            self._backend.updates.add("message_reaction", {
                "chat": self._backend.world.chat_wire(place), "message_id": record.message_id,
                "user": self.record.wire(), "date": int(self._backend.world.clock.now()),
                "old_reaction": [{"type": "emoji", "emoji": old}] if old else [],
                "new_reaction": [{"type": "emoji", "emoji": emoji}] if emoji else [],
            })  # fmt: skip
        self._backend.world.commit()

    async def vote(self, message: ShownMessage | int, options: list[int], chat: ShownChat | int | None = None) -> None:
        """Vote in a poll by the numbers of its options; an empty list takes the vote back."""
        place = self._place(chat)
        record = self._message(place, message)
        poll = copy.deepcopy(record.body["poll"])
        votes: dict[str, list[int]] = self._backend.world.store.get("votes", poll["id"], {})
        votes.pop(str(self.id), None)
        if options:
            votes[str(self.id)] = options
        self._backend.world.store.put("votes", poll["id"], votes)
        for index, option in enumerate(poll["options"]):
            option["voter_count"] = sum(index in vote for vote in votes.values())
        poll["total_voter_count"] = len(votes)
        record.body = record.body | {"poll": poll}
        self._backend.world.save_message(record)
        self._backend.updates.add("poll", poll)
        if not poll["is_anonymous"]:
            self._backend.updates.add("poll_answer", {
                "poll_id": poll["id"], "user": self.record.wire(), "option_ids": options,
                "option_persistent_ids": [str(option) for option in options],
            })  # fmt: skip
        self._backend.world.commit()

    async def block(self) -> None:
        """Block the bot; it may no longer write to this person."""
        await self._set_blocked(True)

    async def unblock(self) -> None:
        await self._set_blocked(False)

    async def _set_blocked(self, has_blocked: bool) -> None:
        record = self.record
        if record.has_blocked == has_blocked:
            return
        record.has_blocked = has_blocked
        self._backend.world.save_user(record)
        place = self._backend.world.private_chat(record)
        old, new = ("member", "kicked") if has_blocked else ("kicked", "member")
        announce_bot_status(self._backend, place, record, old, new)

    async def set_language(self, language_code: str) -> None:
        """Switch the language of the person's client; it takes effect with the next message."""
        self.record.language_code = language_code
        self._backend.world.save_user(self.record)
        self._backend.world.commit()


def announce_bot_status(backend: BotApiBackend, place: ChatRecord, by: UserRecord, old: str, new: str) -> None:
    """Queue the `my_chat_member` update for a change of the bot's own membership."""
    member = chat_member(backend.world, place, backend.bot)
    states = [with_member_status(member, status) for status in (old, new)]
    backend.updates.add("my_chat_member", {
        "chat": backend.world.chat_wire(place), "from": by.wire(), "date": int(backend.world.clock.now()),
        "old_chat_member": states[0], "new_chat_member": states[1],
    })  # fmt: skip
    backend.world.commit()


def with_member_status(member: Json, status: str) -> Json:
    """Return the ChatMember object of the same user with another status."""
    if member["status"] == status:
        return member
    changed: Json = {"user": member["user"], "status": status}
    if status == "kicked":
        changed["until_date"] = 0
    if status == "administrator":
        changed |= {"can_be_edited": False, "is_anonymous": False}
    return changed


def bot_receives(backend: BotApiBackend, place: ChatRecord, record: MessageRecord) -> bool:
    """Return whether the bot gets this message: privacy mode is on, as BotFather leaves it."""
    if place.is_private:
        return True
    if place.bot_status not in {"member", "administrator"}:
        return False
    if place.bot_status == "administrator":
        return True
    replied = record.body.get("reply_to_message", {}).get("from", {})
    if replied.get("id") == backend.bot.id:
        return True
    name = f"@{backend.bot.username}".lower()
    for entity in record.entities:
        marked = record.text.encode("utf-16-le")[entity["offset"] * 2 : (entity["offset"] + entity["length"]) * 2]
        word = marked.decode("utf-16-le").lower()
        if entity["type"] == "bot_command" and entity["offset"] == 0 and ("@" not in word or word.endswith(name)):
            return True
        if entity["type"] == "mention" and word == name:
            return True
    return False
