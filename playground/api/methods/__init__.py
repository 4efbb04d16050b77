"""Methods of the Bot API, one file per family; importing this package registers them all."""

from playground.api.methods import (
    bot_profile,
    callback_answers,
    chats,
    file_methods,
    message_edits,
    messages,
    polls,
    topics,
    update_methods,
)

__all__ = [
    "bot_profile",
    "callback_answers",
    "chats",
    "file_methods",
    "message_edits",
    "messages",
    "polls",
    "topics",
    "update_methods",
]
