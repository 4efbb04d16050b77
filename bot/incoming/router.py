"""Routes updates: taps, commands and free text of known people; everything else is refused or ignored."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

import structlog
from telegram import Chat, ChatMemberUpdated, Message, Update, User
from telegram.constants import ChatMemberStatus, ChatType

from bot.arguments.target_choice import ReplyOption, choices
from bot.bot_deps import BotDeps
from bot.command_context import ChatLocation, CommandContext
from bot.commands.command_table import COMMANDS, Command, nearest_command
from bot.delivery.destinations import chat_destination
from bot.delivery.telegram_client import TelegramClient
from bot.incoming.access import Access, NoOrder, author, presser
from bot.incoming.callbacks import CallbackQueries
from bot.incoming.inbox import SlowAnswer
from bot.notifier import TelegramNotifier
from bot.replies import ReplySender
from core.actions.catalog import Role
from core.people import Person
from core.text import Language, Text, text
from core.views.cards import Card, Tone, said
from knowledge.records.inbox_records import ReceivedUpdate

COMMAND_PATTERN = re.compile(r"/([A-Za-z0-9_]{1,32})(?:@([A-Za-z0-9_]{3,40}))?(?:\s+(.*))?", re.DOTALL)
TEXT_LIMIT = 4096
log = structlog.get_logger(__name__)


class FreeTextAnswers(Protocol):
    """Answers free text."""

    def answer(self, ask: CommandContext) -> SlowAnswer:
        """Return the work that answers `ask.words`, to run beside the others."""
        ...


@dataclass(frozen=True, kw_only=True)
class RouterDeps:
    """Dependencies of the router."""

    face: BotDeps
    client: TelegramClient
    access: Access
    answering: ReplySender
    taps: CallbackQueries
    notifier: TelegramNotifier
    talk: FreeTextAnswers


class Router:
    """Handles one update at a time; slow answers are returned as work."""

    def __init__(self, parts: RouterDeps) -> None:
        self._parts = parts
        self._face = parts.face

    async def handle(self, received: ReceivedUpdate) -> SlowAnswer | None:
        """Handle one raw update."""
        update = Update.de_json(received.update.payload, self._parts.client.bot)
        if update.callback_query is not None:
            return await self._parts.taps.handle(update.callback_query, received)
        if update.my_chat_member is not None:
            await self._membership(update.my_chat_member)
            return None
        if update.message is not None:
            return await self._message(update.message, received)
        return None  # edits, channel posts and kinds of updates that nobody asked for

    async def tell(self, received: ReceivedUpdate, message: Text, *, is_interim: bool = False) -> None:
        """Send a message about a command to the person who sent it; strangers get nothing."""
        ask = await self._ask_of(Update.de_json(received.update.payload, self._parts.client.bot), received)
        if ask is None:
            return
        key = f"{ask.key}:late" if is_interim else ask.key
        tone = Tone.BUSY if is_interim else Tone.BAD
        await self._parts.answering.give(replace(ask, key=key, is_fresh=False), said(message, tone))

    async def _ask_of(self, update: Update, received: ReceivedUpdate) -> CommandContext | None:
        query, message = update.callback_query, update.message
        user = presser(query) if query is not None else author(message) if message is not None else None
        if user is None or isinstance(user, NoOrder):
            return None
        visitor = await self._parts.access.visitor(user)
        if visitor.best_role is None:
            return None
        if query is not None:
            return None if query.message is None else self._parts.taps.ask(query, visitor, received)
        return await self._ask(message, visitor, received) if message is not None else None

    async def _message(self, message: Message, received: ReceivedUpdate) -> SlowAnswer | None:
        if message.migrate_to_chat_id is not None:
            await self._parts.notifier.remember_move(message.chat.id, message.migrate_to_chat_id)
            return None
        words = message.text
        if not words:
            return None
        user = author(message)
        if isinstance(user, NoOrder):
            await self._no_order(message, user, received)
            return None
        visitor = await self._parts.access.visitor(user)
        if visitor.best_role is None:
            await self._stranger(message, user, received)
            return None
        ask = await self._ask(message, visitor, received)
        if words.startswith("/"):
            return await self._command(ask, words)
        if not self._is_for_us(message):
            return None
        return self._parts.talk.answer(ask)

    async def _ask(self, message: Message, visitor: Person, received: ReceivedUpdate) -> CommandContext:
        return CommandContext(
            face=self._face,
            replies=self._parts.taps.replies,
            access=self._parts.access,
            bot_name=self._parts.client.username,
            person=visitor,
            place=chat_location_of(message),
            command="",
            words=(message.text or "")[:TEXT_LIMIT],
            key=received.update.key,
            message_id=message.message_id,
            language=self._face.language_of(visitor),
            zone=self._face.zone_of(visitor),
            now=self._face.clock.now(),
            asked_at=_aware(message.date),
            incident_id=await self._incident_of(message),
            update_id=received.update.update_id,
            is_fresh=received.tries == 0,
        )

    async def _incident_of(self, message: Message) -> int | None:
        """The incident whose card or page the message replies to."""
        replied = message.reply_to_message
        if replied is None or replied.from_user is None or replied.from_user.id != self._parts.client.bot_id:
            return None
        chats = {message.chat.id, self._parts.notifier.moved_from(message.chat.id)}
        for chat_id in chats:
            for shown in await self._face.outbox.showing(chat_destination(chat_id), str(replied.message_id)):
                about = shown.payload.get("incident")
                if isinstance(about, int):
                    return about
        return None

    # -- commands ----------------------------------------------------------------------------------------------------

    async def _command(self, ask: CommandContext, words: str) -> SlowAnswer | None:
        match = COMMAND_PATTERN.fullmatch(words.strip())
        if match is None:
            return await self._parts.answering.give(ask, said(text("chat.no_command"), Tone.UNKNOWN))
        name, addressee, rest = match.group(1).lower(), match.group(2), match.group(3) or ""
        if addressee and addressee.lower() != self._parts.client.username.lower():
            return None
        if name == "cancel":
            return await self._parts.answering.give(ask, self._parts.taps.cancel_all(ask))
        found = COMMANDS.get(name)
        if found is None or not found.is_listed:
            return await self._parts.answering.give(ask, _unknown_command(ask, name, rest))
        return await self.run(ask.for_command(name, rest.strip()), found)

    async def run(self, ask: CommandContext, command: Command) -> SlowAnswer | None:
        """Run one command; an error is explained in the chat."""
        return await self._parts.taps.run(ask, command)

    # -- not authorised ----------------------------------------------------------------------------------------------

    async def _no_order(self, message: Message, why: NoOrder, received: ReceivedUpdate) -> None:
        """Explain to a known person why their command is ignored; nobody else gets a reply."""
        if not (message.text or "").startswith("/") or message.from_user is None:
            return
        if why in (NoOrder.NOBODY, NoOrder.BOT):
            return
        if why is NoOrder.ANONYMOUS:
            visitor = Person(user_id=0, name="", language=await self._chat_language(message.chat))
            if message.chat.id not in self._own_chats():
                return
        else:
            visitor = await self._parts.access.visitor(message.from_user)
            if visitor.best_role is None:
                return
        ask = await self._ask(message, visitor, received)
        await self._parts.answering.give(ask, said(text(f"access.{why}"), Tone.BAD))

    async def _stranger(self, message: Message, user: User, received: ReceivedUpdate) -> None:
        """Ignore a stranger in groups; in private, enrol one with a token, and refuse others at most once an hour."""
        if message.chat.type != ChatType.PRIVATE:
            return
        match = COMMAND_PATTERN.fullmatch((message.text or "").strip())
        if match is not None and match.group(1).lower() == "start" and match.group(3):
            visitor = await self._parts.access.enrol(match.group(3).strip()[:64], user)
            if visitor is not None and visitor.best_role is not None:
                await self._face.audit.add(visitor.actor(None), "enrol", visitor.name)
                ask = await self._ask(message, visitor, received)
                role = text(f"role.{visitor.best_role}")
                await self._parts.answering.give(
                    ask, said(text("access.enrolled", role=role, name=visitor.name), Tone.GOOD)
                )
                return
        if not self._parts.access.may_refuse(user.id, self._face.clock.now().timestamp()):
            return
        visitor = await self._parts.access.visitor(user)
        ask = await self._ask(message, visitor, received)
        await self._parts.answering.give(ask, said(text("access.stranger", id=user.id)))

    def _own_chats(self) -> set[int]:
        settings = self._face.settings
        own = {stack.chat for stack in settings.stacks.values() if stack.chat is not None}
        return {self._parts.notifier.moved_to(chat) for chat in {*own, *settings.telegram.alert_chats}}

    async def _chat_language(self, chat: Chat) -> Language:
        return await self._face.changed.language(chat.id) or self._face.settings.language

    def _is_for_us(self, message: Message) -> bool:
        """Return whether a message is for the bot: in private, in reply to it, or with its name."""
        if message.chat.type == ChatType.PRIVATE:
            return True
        replied = message.reply_to_message
        if replied is not None and replied.from_user is not None:
            return replied.from_user.id == self._parts.client.bot_id
        return f"@{self._parts.client.username}".lower() in (message.text or "").lower()

    async def _membership(self, event: ChatMemberUpdated) -> None:
        """Leave a group unless an admin added the bot or the settings name it."""
        if event.chat.type == ChatType.PRIVATE:
            return
        if event.new_chat_member.status not in (ChatMemberStatus.MEMBER, ChatMemberStatus.ADMINISTRATOR):
            return
        key = f"group:{event.chat.id}"
        visitor = await self._parts.access.visitor(event.from_user)
        if visitor.role is Role.ADMIN:
            await self._face.changed.put(key, True, by=visitor.actor_id)
            return
        if event.chat.id in self._own_chats() or await self._face.changed.get(key):
            return
        log.warning("left a group that nobody here knows", chat=event.chat.id, by=event.from_user.id)
        await self._parts.client.attempt(lambda bot: bot.leave_chat(event.chat.id), "leaving a group")


def chat_location_of(message: Message) -> ChatLocation:
    """Chat and thread of a message."""
    thread = message.message_thread_id if message.is_topic_message else None
    return ChatLocation(chat_id=message.chat.id, thread_id=thread, is_private=message.chat.type == ChatType.PRIVATE)


def _unknown_command(ask: CommandContext, name: str, rest: str) -> Card:
    near = nearest_command(name)
    if near is None or not COMMANDS[near].is_listed:
        return said(text("chat.unknown_command", name=name), Tone.UNKNOWN)
    option = ReplyOption(label=f"/{near} {rest}".strip()[:40], words=rest[:200])
    return choices(ask, text("chat.unknown_command_near", name=name, near=near), [option], command=near)


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
