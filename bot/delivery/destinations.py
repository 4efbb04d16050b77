"""Telegram's chats and threads as destinations: `telegram:<chat id>` or `telegram:<chat id>:<thread id>`."""

from __future__ import annotations

from core.notifications import Destination, destination_of

SCHEME = "telegram"


def chat_destination(chat_id: int, thread_id: int | None = None) -> Destination:
    """The destination of a chat, or of a thread in it."""
    return destination_of(SCHEME, chat_id, thread_id)


def chat_and_thread(destination: Destination) -> tuple[int, int | None]:
    """The chat id and thread id of a destination."""
    _, chat, *thread = destination.split(":")
    return int(chat), int(thread[0]) if thread else None
