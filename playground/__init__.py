"""A local Bot API server with a chat page: the bot's stand-in for Telegram in tests, demos and first tries."""

from playground.api.drafts import ChatAction, Draft
from playground.api.faults import Fault, FaultPlan, RateLimits
from playground.api.http_api import ApiCall
from playground.chats.chat_people import CallbackTap, PlaygroundPerson, TapAnswer
from playground.chats.groups import Group
from playground.chats.shown_chats import NotShown, ShownButton, ShownChat, ShownFile, ShownMessage
from playground.server import BotApiServer

__all__ = [
    "ApiCall",
    "BotApiServer",
    "CallbackTap",
    "ChatAction",
    "Draft",
    "Fault",
    "FaultPlan",
    "Group",
    "NotShown",
    "PlaygroundPerson",
    "RateLimits",
    "ShownButton",
    "ShownChat",
    "ShownFile",
    "ShownMessage",
    "TapAnswer",
]  # fmt: skip
