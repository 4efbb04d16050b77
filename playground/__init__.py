"""A local Bot API server with a chat page: the bot's stand-in for Telegram in tests, demos and first tries."""

from playground.api.drafts import ChatAction, Draft
from playground.api.faults import Fault, Faults, RateLimits
from playground.api.http_api import ApiCall
from playground.chats.chat_people import CallbackTap, Person, TapAnswer
from playground.chats.groups import Group
from playground.chats.shown_chats import Button, Chat, NotShown, ShownFile, ShownMessage
from playground.server import BotApiServer

__all__ = [
    "ApiCall", "BotApiServer", "Button", "CallbackTap", "Chat", "ChatAction", "Draft", "Fault", "Faults", "Group",
    "NotShown", "Person", "RateLimits", "ShownFile", "ShownMessage", "TapAnswer",
]  # fmt: skip
