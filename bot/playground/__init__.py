"""A local Bot API server with a chat page: the bot's stand-in for Telegram in tests, demos and first tries."""

from bot.playground.drafts import ChatAction, Draft
from bot.playground.faults import Fault, Faults, RateLimits
from bot.playground.groups import Group
from bot.playground.http_api import ApiCall
from bot.playground.people import CallbackTap, Person, TapAnswer
from bot.playground.server import BotApiServer
from bot.playground.shown import Button, Chat, NotShown, ShownFile, ShownMessage

__all__ = [
    "ApiCall", "BotApiServer", "Button", "CallbackTap", "Chat", "ChatAction", "Draft", "Fault", "Faults", "Group",
    "NotShown", "Person", "RateLimits", "ShownFile", "ShownMessage", "TapAnswer",
]  # fmt: skip
