"""The methods of the Bot API, a file for each family; importing this package registers them all."""

from bot.playground.methods import callbacks, chats, edits, files, messages, polls, profile, topics, updating

__all__ = ["callbacks", "chats", "edits", "files", "messages", "polls", "profile", "topics", "updating"]
