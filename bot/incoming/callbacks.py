"""Handles taps on buttons: parsed without trust, authorised, carried out once, always answered."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import structlog
from telegram import Bot, CallbackQuery, MaybeInaccessibleMessage, Message
from telegram.constants import ChatType

from bot.bot_deps import BotDeps
from bot.call_replies import CallReplies
from bot.command_context import ChatLocation, CommandContext, CommandReply
from bot.commands.command_table import COMMANDS, Command
from bot.delivery.destinations import chat_destination
from bot.delivery.telegram_client import TelegramClient
from bot.incoming.access import Access, presser
from bot.incoming.inbox import InboxWorker, SlowAnswer
from bot.rendering import buttons
from bot.replies import ReplySender
from core.actions.catalog import JsonObject, Role
from core.decisions import DecisionResult
from core.error_text import explained
from core.errors import GuardianError
from core.incidents.incident import Incident
from core.people import Person
from core.text import Text, text
from core.views.cards import Card, Tone, said
from core.views.incident_card import why_card
from knowledge.records.inbox_records import ReceivedUpdate

COMMAND_BUTTON_LIFE = timedelta(hours=1)
"""Lifetime of a button that changes something, from the last edit of its message."""
NEW_MESSAGE_AGE = timedelta(minutes=1)
BUTTON_LOOKUP_LIMIT_S = 1.5
"""Time to wait for the command behind a button of a new message: the tap may come before it is stored."""
SILENCE_SPAN = timedelta(hours=1)
TOAST_LIMIT = 190
"""answerCallbackQuery takes 200 characters."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """Result of a tap: the toast for the presser, and the reply in the chat."""

    toast: Text | None = None
    is_alert: bool = False
    reply: CommandReply = None
    replaces: str | None = None
    slow: SlowAnswer | None = None
    about: int | None = None
    """The incident of the reply; None: of none."""


class CallbackQueries:
    """Handles taps on buttons, and runs commands for both messages and taps."""

    def __init__(
        self, *, face: BotDeps, client: TelegramClient, access: Access, answering: ReplySender, replies: CallReplies
    ) -> None:
        self._face = face
        self._client = client
        self._access = access
        self._answering = answering
        self.replies = replies
        self.reception: InboxWorker | None = None
        """Stops slow answers; set once it exists."""
        self._asked: dict[int, int] = {}

    async def handle(self, query: CallbackQuery, received: ReceivedUpdate) -> SlowAnswer | None:
        """Handle one tap; every tap is answered, even after an error."""
        user = presser(query)
        if user is None:
            return None
        visitor = await self._access.visitor(user)
        outcome = _Outcome(toast=text("tap.failed"), is_alert=True)
        ask: CommandContext | None = None
        try:
            if visitor.best_role is None:
                outcome = _Outcome(toast=text("access.not_for_you"), is_alert=True)
            elif query.message is None:
                outcome = _Outcome(toast=text("tap.unknown"), is_alert=True)
            else:
                ask = self.ask(query, visitor, received)
                outcome = await self._act(ask, query, received)
        except GuardianError as error:
            log.warning("a tap was not carried out", error=str(error))
            outcome = _Outcome(toast=explained(error), is_alert=True)
        finally:
            await self._toast(query, outcome, visitor)
        if outcome.slow is not None or ask is None:
            return outcome.slow
        about = replace(ask, incident_id=outcome.about)
        return await self._answering.give(about, outcome.reply, replaces=outcome.replaces)

    async def _toast(self, query: CallbackQuery, outcome: _Outcome, visitor: Person) -> None:
        language = self._face.language_of(visitor)
        words = self._face.texts.render(outcome.toast, language)[:TOAST_LIMIT] if outcome.toast else None

        async def answer(bot: Bot) -> bool:
            return await bot.answer_callback_query(query.id, text=words, show_alert=outcome.is_alert)

        await self._client.attempt(answer, "answering a tap")

    def ask(self, query: CallbackQuery, visitor: Person, received: ReceivedUpdate) -> CommandContext:
        """Build the command context of a tap."""
        message = query.message
        assert message is not None
        thread = message.message_thread_id if isinstance(message, Message) and message.is_topic_message else None
        place = ChatLocation(
            chat_id=message.chat.id, thread_id=thread, is_private=message.chat.type == ChatType.PRIVATE
        )
        return CommandContext(
            face=self._face,
            replies=self.replies,
            access=self._access,
            bot_name=self._client.username,
            person=visitor,
            place=place,
            command="",
            words="",
            key=received.update.key,
            message_id=message.message_id,
            language=self._face.language_of(visitor),
            zone=self._face.zone_of(visitor),
            now=self._face.clock.now(),
            asked_at=received.received_at,
            is_tap=True,
            update_id=received.update.update_id,
            is_fresh=received.tries == 0,
        )

    async def _act(self, ask: CommandContext, query: CallbackQuery, received: ReceivedUpdate) -> _Outcome:
        payload = buttons.parse_callback_data(query.data)
        visitor = ask.person
        if isinstance(payload, buttons.CommandButton):
            return await self._again(ask, payload, query)
        if isinstance(payload, buttons.CancelButton):
            return self._cancel(ask, payload)
        if payload is None:
            return _Outcome(toast=text("tap.unknown"), is_alert=True)
        if _changes(payload) and self._is_stale(ask):
            return _Outcome(toast=text("tap.stale"), is_alert=True)
        match payload:
            case buttons.ApproveButton():
                return _decided(await self._face.decisions.approve(visitor, payload.approval_id, payload.seen))
            case buttons.DenyButton():
                return _decided(await self._face.decisions.deny(visitor, payload.approval_id))
            case buttons.ApproveAllButton():
                return _decided(await self._face.decisions.approve_all(visitor, payload.incident_id, payload.digest))
            case buttons.DenyAllButton():
                return _decided(await self._face.decisions.deny_all(visitor, payload.incident_id))
        return await self._of_incident(ask, payload)

    def _is_stale(self, ask: CommandContext) -> bool:
        return (ask.now - ask.asked_at).total_seconds() > self._face.settings.telegram.stale_order_s

    async def _of_incident(self, ask: CommandContext, payload: buttons.ButtonPayload) -> _Outcome:
        number = getattr(payload, "incident_id", 0)
        incident = await self._face.tracker.get(number)
        if incident is None:
            return _Outcome(toast=text("incidents.unknown", id=number), is_alert=True)
        ask = replace(ask, incident_id=incident.id)
        if not ask.may(Role.VIEWER, incident.stack):
            return _Outcome(toast=text("access.role", needed=text("role.viewer")), is_alert=True)
        match payload:
            case buttons.WhyButton():
                return _Outcome(reply=why_card(await self._face.views.incident(incident, ask.zone)), about=incident.id)
            case buttons.TakeButton():
                return _decided(await self._face.decisions.take(ask.person, incident))
            case buttons.CloseButton():
                return _Outcome(slow=await self.run(ask.for_command("close", str(incident.id)), COMMANDS["close"]))
            case buttons.SilenceButton():
                target, stack = incident.target, incident.stack
                verdict, _ = await self._face.decisions.silence(ask.person, target, stack, SILENCE_SPAN)
                return _decided(verdict)
            case buttons.LogsButton():
                return await self._look(ask, incident, "logs")
            case buttons.MetricsButton():
                return await self._look(ask, incident, "metrics")
        return _Outcome(toast=text("tap.unknown"), is_alert=True)

    async def _look(self, ask: CommandContext, incident: Incident, name: str) -> _Outcome:
        words = f"{incident.host}/{incident.container}" if incident.container else incident.target
        known = self._face.inventory().container(words)
        slow = await self.run(ask.for_command(name, words if known else incident.target), COMMANDS[name])
        return _Outcome(slow=slow)

    async def _again(self, ask: CommandContext, payload: buttons.CommandButton, query: CallbackQuery) -> _Outcome:
        """Run the command of a button: stored with the message that shows it, and valid only there."""
        message = query.message
        assert message is not None
        meaning, key = await self._meaning(message.chat.id, message.message_id, payload.token)
        ends_at = asyncio.get_running_loop().time() + BUTTON_LOOKUP_LIMIT_S
        while meaning is None and asyncio.get_running_loop().time() < ends_at and _age(ask, message) < NEW_MESSAGE_AGE:
            await asyncio.sleep(0.05)
            meaning, key = await self._meaning(message.chat.id, message.message_id, payload.token)
        if meaning is None:
            return _Outcome(toast=text("tap.expired"), is_alert=True)
        only_for = meaning.get("only_for")
        if isinstance(only_for, int) and only_for != ask.person.user_id:
            return _Outcome(toast=text("tap.foreign"), is_alert=True)
        command = COMMANDS.get(str(meaning.get("command")))
        if command is None:
            return _Outcome(toast=text("tap.unknown"), is_alert=True)
        if command.changes:
            if self._is_stale(ask) or _age(ask, message) > COMMAND_BUTTON_LIFE:
                return _Outcome(toast=text("tap.expired"), is_alert=True)
            # one key per button: pressed twice, it is still one call
            key_of_button = f"tg:{self._client.bot_id}:{message.chat.id}.{message.message_id}:{payload.token}"
            ask = replace(ask, key=key_of_button, is_fresh=False)
        slow = await self.run(ask.for_command(command.name, str(meaning.get("words") or "")), command, replaces=key)
        return _Outcome(slow=slow)

    async def _meaning(self, chat_id: int, message_id: int, token: str) -> tuple[JsonObject | None, str | None]:
        for shown in await self._face.outbox.showing(chat_destination(chat_id), str(message_id)):
            meanings = shown.payload.get("meanings")
            found = meanings.get(token) if isinstance(meanings, dict) else None
            if isinstance(found, dict):
                is_replaced = bool(shown.payload.get("is_replaced"))
                return found, str(shown.payload.get("key")) if is_replaced else None
        return None, None

    async def run(self, ask: CommandContext, command: Command, *, replaces: str | None = None) -> SlowAnswer | None:
        """Run a command for a person; an error is explained in the chat."""
        best = ask.person.best_role
        if command.role is not None and (best is None or not best.covers(command.role)):
            refusal = said(text("access.role", needed=text(f"role.{command.role}")), Tone.BAD)
            return await self._answering.give(ask, refusal, replaces=replaces)
        if command.changes and not ask.is_tap and self._is_stale(ask):
            return await self._answering.give(ask, said(text("chat.stale"), Tone.PERSON), replaces=replaces)
        async with self._answering.explaining(ask, partial(self._answering.give, ask, replaces=replaces)):
            return await self._answering.give(ask, await command.answer(ask), replaces=replaces)
        return None

    # -- stopping slow answers -----------------------------------------------------------------------------------------

    def began(self, ask: CommandContext) -> None:
        """Note that a slow answer has begun."""
        self._asked[ask.update_id] = ask.person.user_id

    def ended(self, ask: CommandContext) -> None:
        """Note that a slow answer has ended."""
        self._asked.pop(ask.update_id, None)

    def is_cancelled(self, ask: CommandContext) -> bool:
        """Return whether a person stopped the answer; a shutdown does not count."""
        return self.reception is not None and self.reception.is_cancelled(ask.update_id)

    def _cancel(self, ask: CommandContext, payload: buttons.CancelButton) -> _Outcome:
        asker = self._asked.get(payload.update_id)
        if asker is None or self.reception is None:
            return _Outcome(toast=text("tap.nothing_to_cancel"))
        if asker != ask.person.user_id and ask.person.role is not Role.ADMIN:
            return _Outcome(toast=text("tap.foreign"), is_alert=True)
        is_stopped = self.reception.cancel(payload.update_id)
        return _Outcome(toast=text("tap.cancelled" if is_stopped else "tap.nothing_to_cancel"))

    def cancel_all(self, ask: CommandContext) -> Card:
        """Stop every slow answer to the person."""
        mine = [update_id for update_id, asker in self._asked.items() if asker == ask.person.user_id]
        stopped = sum(self.reception.cancel(one) for one in mine) if self.reception else 0
        return said(text("chat.cancelled", count=stopped) if stopped else text("tap.nothing_to_cancel"))


def _decided(verdict: DecisionResult) -> _Outcome:
    return _Outcome(toast=verdict.message, is_alert=not verdict.is_done)


def _changes(payload: buttons.ButtonPayload) -> bool:
    looks = (buttons.WhyButton, buttons.LogsButton, buttons.MetricsButton)
    return not isinstance(payload, looks)


def _age(ask: CommandContext, message: MaybeInaccessibleMessage) -> timedelta:
    """Age of a message; one that Telegram no longer shows is older than any."""
    if not isinstance(message, Message):
        return timedelta.max
    written = message.edit_date or message.date
    return ask.now - written
