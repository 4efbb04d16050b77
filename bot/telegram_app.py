"""The Telegram app: receives updates and sends cards, in the same loop as everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import structlog
from aiohttp import web
from telegram.error import NetworkError

import bot.commands.all_commands  # noqa: F401 - enters the commands into the table
from bot.bot_deps import BotDeps
from bot.call_replies import CallReplies
from bot.delivery.destinations import SCHEME, chat_and_thread, chat_destination
from bot.delivery.telegram_client import TelegramClient
from bot.deploy_replies import DeployReplies
from bot.incoming.access import Access
from bot.incoming.callbacks import CallbackQueries
from bot.incoming.free_text import FreeTextResponder
from bot.incoming.inbox import CommandTimeouts, InboxWorker, UpdatePoller
from bot.incoming.router import Router, RouterDeps
from bot.incoming.telegram_webhook import TelegramWebhook
from bot.menu import CommandMenu
from bot.notifier import TelegramNotifier
from bot.replies import ReplySender
from core.actions.catalog import Role
from core.errors import SettingsError
from core.incidents.incident_notices import IncidentNotices, NoticeDeps
from core.incidents.paging import Recipients
from core.notifications import Destination, OutgoingMessage
from core.tasks import Tasks, undone_on_failure
from core.text import Text, text
from core.views.cards import Tone, said
from knowledge.outbox_worker import OutboxWorker, OutboxWriter

REFUSED_NOTICE_EVERY_S = 3600.0
SHUTDOWN_LIMIT_S = 2.0
"""Limit at shutdown for updates in progress; what is unfinished is handled again at the next start."""
FIRST_REST_S = 1.0
LONGEST_REST_S = 30.0
log = structlog.get_logger(__name__)


class TelegramApp:
    """Receives updates and sends cards inside `async with TelegramApp(parts, application)`.

    `application` gets the webhook's route if one is configured, and must not be running yet. Without a network at the
    start it keeps retrying in the background; messages wait in the outbox.
    """

    def __init__(
        self, parts: BotDeps, application: web.Application, *, patience: CommandTimeouts | None = None
    ) -> None:
        token = parts.settings.telegram.token
        if token is None:
            raise SettingsError("there is no Telegram token; set TELEGRAM_BOT_TOKEN or open the playground")
        self._face = parts
        self._stack = AsyncExitStack()
        self._tasks = Tasks()
        self._refused_at: dict[int, float] = {}
        self._invitation: str | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._is_logged_in = asyncio.Event()
        self.client = TelegramClient(parts.settings.telegram, token.get_secret_value())
        self._notifier = TelegramNotifier(self.client, parts.texts, parts.settings.telegram, parts.changed)
        self.writer = OutboxWriter(parts.outbox, self._notifier)
        self._worker = OutboxWorker(
            outbox=parts.outbox,
            writer=self.writer,
            notifier=self._notifier,
            clock=parts.clock,
            tasks=self._tasks,
            on_refused=self._refused,
        )
        rest_s = parts.settings.telegram.edit_pace_s
        self.notices = IncidentNotices(SCHEME, self._notice_deps(), rest_s=rest_s)
        self._replies = CallReplies(parts, self.writer, self._notifier, self.notices)
        self._deploy_cards = DeployReplies(parts, self.writer, self._replies, self.notices)
        self._access = Access(parts.people, parts.settings)
        self._router, self._reception = self._ways_in(patience)
        self._polling = UpdatePoller(self.client, self._reception)
        self._webhook = TelegramWebhook.wanted(parts.settings.telegram, self._reception)
        if self._webhook is not None:
            self._webhook.mount(application)

    def _notice_deps(self) -> NoticeDeps:
        parts = self._face
        audience = Recipients(parts.settings, parts.people.all, parts.changed.language, self._notifier.current)
        return NoticeDeps(
            incidents=parts.tracker,
            past=parts.incidents,
            views=parts.views,
            audience=audience,
            messages=self.writer,
            clock=parts.clock,
        )

    def _ways_in(self, patience: CommandTimeouts | None) -> tuple[Router, InboxWorker]:
        parts = self._face
        answering = ReplySender(self.writer, self.client, self._tasks)
        taps = CallbackQueries(
            face=parts,
            client=self.client,
            access=self._access,
            answering=answering,
            replies=self._replies,
        )
        talk = FreeTextResponder(
            dialogue=parts.dialogue,
            writer=self.writer,
            client=self.client,
            answering=answering,
            taps=taps,
            tasks=self._tasks,
        )
        router = Router(
            RouterDeps(
                face=parts,
                client=self.client,
                access=self._access,
                answering=answering,
                taps=taps,
                notifier=self._notifier,
                talk=talk,
            )
        )
        reception = InboxWorker(
            inbox=parts.inbox, bot_id=self.client.bot_id, handler=router, tasks=self._tasks, patience=patience
        )
        taps.reception = reception
        return router, reception

    # -- lifecycle ---------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._tasks)
        self._stack.push_async_callback(self.client.close)
        async with undone_on_failure(self._stack.aclose):
            await self._log_in()
            await self._notifier.load()
            self.notices.subscribe(self._face.bus)
            self._replies.subscribe()
            self._deploy_cards.subscribe()
            await self.notices.resync()
            await self._replies.resync()
            await self._deploy_cards.resync()
        self._tasks.start("show incidents", self.notices.run, restarts=True)
        self._tasks.start("deliver messages", self._deliver, restarts=True)
        self._tasks.start("let deploys tick", self._deploy_cards.run, restarts=True)
        self._hearing = self._tasks.start("hear people", self._hear, restarts=True)
        self._tasks.start("set the command menu", self._introduce)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._hearing is not None:
            self._hearing.cancel()
        await self._reception.drain(SHUTDOWN_LIMIT_S)
        await self.notices.settle(SHUTDOWN_LIMIT_S)
        await self._worker.stop(SHUTDOWN_LIMIT_S)
        await self._tasks.stop()
        await self._stack.aclose()

    async def _log_in(self) -> None:
        """Log in, or keep trying in the background while Telegram is unreachable. Raises SettingsError: wrong token."""
        try:
            await self.client.open()
            self._is_logged_in.set()
        except NetworkError as error:
            log.warning("Telegram cannot be reached yet; trying on", why=str(error))
            self._tasks.start("log in to Telegram", self._keep_logging_in)
        self._invitation = await self._access.first_invitation()

    async def _keep_logging_in(self) -> None:
        rest_s = FIRST_REST_S
        while not self._is_logged_in.is_set():
            await asyncio.sleep(rest_s)
            rest_s = min(rest_s * 2, LONGEST_REST_S)
            try:
                await self.client.open()
                self._is_logged_in.set()
            except SettingsError as error:
                log.error("the chat stays closed", why=str(error))
                return
            except NetworkError:
                continue

    async def _deliver(self) -> None:
        await self._is_logged_in.wait()
        await self._worker.run()

    async def _hear(self) -> None:
        await self._is_logged_in.wait()
        await self._face.ready()
        await self._reception.replay()
        if self._webhook is not None:
            await self._webhook.register(self.client)
            return
        await self.client.attempt(lambda bot: bot.delete_webhook(drop_pending_updates=False), "taking a webhook off")
        await self._polling.run()

    async def _introduce(self) -> None:
        await self._is_logged_in.wait()
        await CommandMenu(self._face, self.client).introduce()

    # -- what others see ---------------------------------------------------------------------------------------------

    @property
    def is_polling(self) -> bool:
        """True while updates are received, by polling or by the webhook."""
        return self._is_logged_in.is_set() and not self._polling.problem

    @property
    def problem(self) -> str:
        """The reason why no updates are received; empty when they are."""
        return self._polling.problem if self._is_logged_in.is_set() else "Telegram cannot be reached"

    async def greeting(self) -> Sequence[Text]:
        """Lines for the terminal: the bot's address, and the one-time link while there is no admin."""
        if not self._is_logged_in.is_set():
            return [text("chat.start.offline")]
        address = f"https://t.me/{self.client.username}"
        greeting = [text("chat.start.heard", url=address)]
        if self._invitation is not None:
            greeting.append(text("chat.start.enrol", url=f"{address}?start={self._invitation}"))
        return greeting

    async def _refused(self, destination: Destination, problem: str) -> None:
        """Notify the admins in private of a chat that refuses messages; at most once an hour per chat."""
        chat_id, _ = chat_and_thread(destination)
        now = asyncio.get_running_loop().time()
        if now - self._refused_at.get(chat_id, -REFUSED_NOTICE_EVERY_S) < REFUSED_NOTICE_EVERY_S:
            return
        self._refused_at[chat_id] = now
        for person in await self._face.people.all():
            if person.role is not Role.ADMIN or person.user_id == chat_id:
                continue
            await self.writer.post(
                OutgoingMessage(
                    destination=chat_destination(person.user_id),
                    card=said(text("chat.cannot_write", chat=str(chat_id), problem=problem[:200]), Tone.WARNING),
                    language=self._face.language_of(person),
                    key=f"refused:{chat_id}:{person.user_id}:{self._face.clock.now().isoformat()}",
                )
            )
