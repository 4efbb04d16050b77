"""A chat as a person sees it: its messages in their present state, and ways to wait for them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from playground.api.backend import BotApiBackend
from playground.api.bot_api_wire import Json
from playground.api.drafts import ChatAction, Draft
from playground.chats.chat_records import ChatRecord, MessageRecord, MessageVersion
from playground.formatting.markup import as_html


class ShownButton(NamedTuple):
    """An inline button; `data` is "" where it opens a link or copies a text."""

    label: str
    data: str
    style: str = ""
    url: str = ""
    copy_text: str = ""


@dataclass(frozen=True, kw_only=True)
class ShownFile:
    name: str
    mime_type: str
    content: bytes


@dataclass(frozen=True, kw_only=True)
class ShownMessage:
    """A message in its present state."""

    id: int
    chat_id: int
    text: str
    entities: list[Json]
    buttons: list[list[ShownButton]]
    from_bot: bool
    sender_id: int
    silent: bool
    reply_to: int | None
    thread_id: int
    date: int
    edit_date: int | None
    versions: list[MessageVersion]
    reactions: dict[str, str]
    body: Json
    _backend: BotApiBackend = field(repr=False)

    @property
    def html(self) -> str:
        """The text with its entities as markup, for comparisons."""
        return as_html(self.text, self.entities)

    @property
    def labels(self) -> list[str]:
        return [button.label for row in self.buttons for button in row]

    @property
    def edits(self) -> list[str]:
        """The earlier texts, oldest first."""
        return [version.text for version in self.versions[:-1]]

    @property
    def sent_at(self) -> float:
        """Monotonic time at which the message was first shown."""
        return self.versions[0].at

    @property
    def delivered_at(self) -> float:
        """Monotonic time at which its present state was first shown."""
        return self.versions[-1].at

    @property
    def photo(self) -> bytes | None:
        photo = self.body.get("photo")
        return self._backend.world.store.file(photo[-1]["file_id"]) if photo else None

    @property
    def document(self) -> ShownFile | None:
        document = self.body.get("document")
        if not document:
            return None
        content = self._backend.world.store.file(document["file_id"]) or b""
        return ShownFile(name=document["file_name"], mime_type=document["mime_type"], content=content)

    def button(self, label_or_data: str) -> ShownButton:
        """Return the button with this data or label; part of a label is enough."""
        buttons = [button for row in self.buttons for button in row]
        wanted = label_or_data.casefold()
        for fits in (
            lambda button: button.data == label_or_data,
            lambda button: button.label.casefold() == wanted,
            lambda button: wanted in button.label.casefold(),
        ):
            for button in buttons:
                if fits(button):
                    return button
        raise NotShown(f"message {self.id} has no button {label_or_data!r}; it has {self.labels}")


class NotShown(AssertionError):
    """The chat did not show in time the thing that a test waited for."""


def shown_message(backend: BotApiBackend, record: MessageRecord) -> ShownMessage:
    """Return the message in its present state."""
    body = record.body
    return ShownMessage(
        id=record.message_id,
        chat_id=record.chat_id,
        text=record.text,
        entities=list(record.entities),
        buttons=[[_button(button) for button in row] for row in record.keyboard],
        from_bot=record.from_bot,
        sender_id=int(body["from"]["id"]),
        silent=record.silent,
        reply_to=body.get("reply_to_message", {}).get("message_id"),
        thread_id=int(body.get("message_thread_id", 0)),
        date=int(body["date"]),
        edit_date=body.get("edit_date"),
        versions=list(record.versions),
        reactions=dict(record.reactions),
        body=body,
        _backend=backend,
    )


def _button(button: Json) -> ShownButton:
    return ShownButton(
        label=str(button["text"]),
        data=str(button.get("callback_data", "")),
        style=str(button.get("style", "")),
        url=str(button.get("url") or button.get("web_app", {}).get("url", "")),
        copy_text=str(button.get("copy_text", {}).get("text", "")),
    )


class ShownChat:
    """One chat; deleted messages are not shown."""

    def __init__(self, backend: BotApiBackend, chat_id: int) -> None:
        self._backend = backend
        self.id = chat_id

    @property
    def record(self) -> ChatRecord:
        return self._backend.world.chats[self.id]

    @property
    def messages(self) -> list[ShownMessage]:
        records = self._backend.world.messages.get(self.id, {})
        return [shown_message(self._backend, record) for record in records.values() if not record.deleted]

    @property
    def bot_messages(self) -> list[ShownMessage]:
        return [message for message in self.messages if message.from_bot]

    @property
    def last_id(self) -> int:
        """The id of the newest message, 0 in an empty chat; use it as `after`."""
        return max(self._backend.world.messages.get(self.id, {}), default=0)

    def message(self, message_id: int) -> ShownMessage:
        """Return one message in its present state."""
        record = self._backend.world.message(self.id, message_id)
        if record is None:
            raise NotShown(f"there is no message {message_id} in chat {self.id}\n{self.transcript()}")
        return shown_message(self._backend, record)

    @property
    def actions(self) -> list[ChatAction]:
        return [action for action in self._backend.ephemera.actions if action.chat_id == self.id]

    @property
    def drafts(self) -> list[Draft]:
        """Every state of every draft, oldest first."""
        return [draft for draft in self._backend.ephemera.drafts if draft.chat_id == self.id]

    async def wait_for(
        self, wanted: str | Callable[[ShownMessage], object], *, after: int = 0, timeout_s: float = 10
    ) -> ShownMessage:
        """Return the first of the bot's messages after id `after` that matches, whether new or edited.

        `wanted` is part of the text or a predicate.
        """
        fits = wanted if callable(wanted) else _contains(wanted)
        deadline = time.monotonic() + timeout_s
        while True:
            for record in list(self._backend.world.messages.get(self.id, {}).values()):
                if record.message_id > after and record.from_bot and not record.deleted:
                    message = shown_message(self._backend, record)
                    if fits(message):
                        return message
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                what = repr(wanted) if isinstance(wanted, str) else "a message that fits"
                raise NotShown(f"waited {timeout_s} s for {what} after message {after}\n{self.transcript()}")
            await self._backend.world.changes.wait(remaining)

    async def next_message(self, *, after: int, timeout_s: float = 10) -> ShownMessage:
        """Return the bot's first message after id `after`."""
        return await self.wait_for(lambda message: True, after=after, timeout_s=timeout_s)

    def transcript(self) -> str:
        """Return the whole chat as text, for the error of a failed test."""
        lines = [f"--- chat {self.id} ---"]
        for message in self.messages:
            who = "bot" if message.from_bot else f"user {message.sender_id}"
            marks = (" (edited)" if message.edit_date else "") + (" (silent)" if message.silent else "")
            reply = f" re #{message.reply_to}" if message.reply_to else ""
            extra = "".join(f" <{kind}>" for kind in ("photo", "document", "poll") if kind in message.body)
            lines.append(f"#{message.id} {who}{reply}{marks}:{extra} {message.text}")
            lines += [f"    [{'] ['.join(button.label for button in row)}]" for row in message.buttons]
        return "\n".join(lines)


def _contains(part: str) -> Callable[[ShownMessage], object]:
    return lambda message: part in message.text
