"""Posts a command's reply in the chat it came from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import structlog
from telegram import Bot
from telegram.constants import ChatAction

from bot.command_context import ChatLocation, CommandContext, CommandReply, Later, Live
from bot.delivery.telegram_client import TelegramClient
from bot.incoming.inbox import SlowAnswer
from core.error_text import explained
from core.notifications import OutgoingMessage
from core.tasks import Tasks
from core.views.cards import Card, Tone, said
from knowledge.outbox_worker import OutboxWriter

log = structlog.get_logger(__name__)
TYPING_EVERY_S = 4.5
"""A chat action is shown for five seconds at most."""


class ReplySender:
    """Posts replies; slow ones are returned as work to run beside the others."""

    def __init__(self, writer: OutboxWriter, client: TelegramClient, tasks: Tasks) -> None:
        self._writer = writer
        self._client = client
        self._tasks = tasks

    async def give(self, ask: CommandContext, reply: CommandReply, *, replaces: str | None = None) -> SlowAnswer | None:
        """Post a reply, or return the work of a slow one; `replaces` is the key of the message it replaces."""
        if isinstance(reply, Later):
            return self._slowly(ask, reply, replaces)
        if isinstance(reply, Live):
            return self._live(ask, reply, replaces)
        await self._post(ask, reply, replaces)
        return None

    def _slowly(self, ask: CommandContext, later: Later, replaces: str | None) -> SlowAnswer:
        async def work() -> None:
            action = ChatAction.UPLOAD_PHOTO if later.is_upload else ChatAction.TYPING
            async with self.explaining(ask, lambda card: self._post(ask, card, replaces)):
                async with self.typing(ask.place, action):
                    reply = await later.work()
                if isinstance(reply, Later | Live):
                    raise TypeError(f"the answer to {ask.command!r} is late twice")
                await self._post(ask, reply, replaces)

        return work

    def _live(self, ask: CommandContext, live: Live, replaces: str | None) -> SlowAnswer:
        async def show(frame: Card) -> None:
            await self._post(ask, frame, replaces, may_be_new=False)

        async def work() -> None:
            async with self.explaining(ask, show):
                async for frame in live.frames():
                    await show(frame)

        return work

    @asynccontextmanager
    async def explaining(self, ask: CommandContext, show: Callable[[Card], Awaitable[object]]) -> AsyncIterator[None]:
        """Show an error of the block in place of the reply."""
        try:
            yield
        except Exception as error:  # whatever it is, it is shown where the answer was expected
            log.exception("an answer failed", command=ask.command)
            await show(said(explained(error), Tone.BAD))

    async def _post(
        self,
        ask: CommandContext,
        reply: Card | Sequence[Card] | None,
        replaces: str | None,
        *,
        may_be_new: bool = True,
    ) -> None:
        if reply is None:
            return
        parts = [reply] if isinstance(reply, Card) else list(reply)
        for place, part in enumerate(parts):
            in_place = replaces is not None and place == 0 and part.attachment is None
            await self._writer.post(
                OutgoingMessage(
                    destination=ask.place.destination,
                    card=part,
                    language=ask.language,
                    key=replaces if in_place and replaces else f"answer:{ask.key}:{place}",
                    reply_to=None if ask.place.is_private else ask.message_id,
                    incident_id=ask.incident_id,
                    is_new=ask.is_fresh and not in_place and may_be_new,
                )
            )

    @asynccontextmanager
    async def typing(self, place: ChatLocation, action: str = ChatAction.TYPING) -> AsyncIterator[None]:
        """Show the typing indicator while the block runs."""

        async def act(bot: Bot) -> bool:
            return await bot.send_chat_action(place.chat_id, action, message_thread_id=place.thread_id)

        async def keep_on() -> None:
            while True:
                await self._client.attempt(act, "typing")
                await asyncio.sleep(TYPING_EVERY_S)

        task = self._tasks.start(f"typing in chat {place.chat_id}", keep_on)
        try:
            yield
        finally:
            task.cancel()
