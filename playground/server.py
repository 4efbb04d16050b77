"""Server of the playground: a local Bot API server, the chat page, and the controls for tests."""

import asyncio
import contextlib
import ipaddress
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Handler

import playground.api.methods  # noqa: F401 - registers the methods
from playground.api.backend import BotApiBackend
from playground.api.bot_api_wire import Json
from playground.api.drafts import ChatActivity
from playground.api.faults import FaultPlan
from playground.api.http_api import UPLOAD_LIMIT, ApiCall, HttpApi
from playground.api.update_queue import UpdateQueue
from playground.api.webhook_delivery import WebhookDelivery
from playground.chats.chat_people import PlaygroundPerson
from playground.chats.chat_records import ChatRecord, UserRecord
from playground.chats.chat_world import PlaygroundState
from playground.chats.groups import Group
from playground.chats.playground_clock import PlaygroundClock
from playground.chats.shown_chats import NotShown
from playground.page.page_api import PageApi

STOP_TIMEOUT_S = 2.0
LOOK_EVERY_S = 0.02
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


class BotApiServer:
    """Bot API server on this machine for one bot; an async context manager.

    With `state_path` all state outlives the process, ids included; without it the state is kept in memory.
    """

    def __init__(
        self,
        *,
        token: str,
        state_path: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        bot_name: str = "InfraGuardian",
        bot_username: str = "infraguardian_bot",
    ) -> None:
        if not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"the playground serves this machine only, not {host!r}; use 127.0.0.1")
        bot_id, separator, _ = token.partition(":")
        if not bot_id.isdigit() or not separator:
            raise ValueError("the token must look like 123456789:letters; only its form matters here")
        account = UserRecord(id=int(bot_id), first_name=bot_name, username=bot_username, is_bot=True)
        self.token = token
        self._host, self._port = host, port
        self._world = PlaygroundState(account, state_path)
        self._updates = UpdateQueue(self._world.store, self._world.clock)
        self._webhook = WebhookDelivery(self._world.store, self._world.clock, self._updates)
        self._backend = BotApiBackend(self._world, self._updates, self._webhook, ChatActivity(self._world.changes))
        self.faults = FaultPlan()
        self._api = HttpApi(self._backend, self.faults, token)
        self._page = PageApi(self._backend, self._page_key())
        self._runner: web.AppRunner | None = None
        self._delivery: asyncio.Task[None] | None = None

    def _page_key(self) -> str:
        key = self._world.store.get("setting", "page key") or secrets.token_urlsafe(24)
        self._world.store.put("setting", "page key", key)
        self._world.commit()
        return str(key)

    @property
    def _origin(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def port(self) -> int:
        return self._port

    @property
    def base_url(self) -> str:
        """Base URL for python-telegram-bot's `.base_url()`."""
        return f"{self._origin}/bot"

    @property
    def base_file_url(self) -> str:
        """Base URL for python-telegram-bot's `.base_file_url()`."""
        return f"{self._origin}/file/bot"

    @property
    def page_url(self) -> str:
        """Address of the chat page, with the key that admits to it."""
        return f"{self._origin}/chat?key={self._page.key}"

    @property
    def calls(self) -> deque[ApiCall]:
        """Calls of the bot, oldest first."""
        return self._api.calls

    def calls_of(self, method: str) -> list[ApiCall]:
        return [call for call in self._api.calls if call.method.lower() == method.lower()]

    @property
    def clock(self) -> PlaygroundClock:
        return self._world.clock

    @property
    def people(self) -> list[PlaygroundPerson]:
        return [PlaygroundPerson(self._backend, user.id) for user in self._world.users.values() if not user.is_bot]

    @property
    def pending_update_count(self) -> int:
        """Number of updates the bot has not confirmed yet."""
        return len(self._updates.pending)

    @property
    def is_polled(self) -> bool:
        """True while a getUpdates call is waiting."""
        return self._updates.is_polled

    @property
    def webhook_url(self) -> str:
        return self._webhook.url

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._only_this_host], client_max_size=UPLOAD_LIMIT + 1024 * 1024)
        app.add_routes(self._api.routes())
        app.add_routes(self._page.routes())
        app.on_shutdown.append(self._end_waiting)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_TIMEOUT_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        self._port = int(self._runner.addresses[0][1])
        self._delivery = asyncio.create_task(self._webhook.run(self._backend.call), name="playground webhook")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._delivery is not None:
            self._delivery.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._delivery
        if self._runner is not None:
            await self._runner.cleanup()
        self._world.close()

    async def _end_waiting(self, app: web.Application) -> None:
        self._updates.close()
        self._world.changes.end_feeds()

    @web.middleware
    async def _only_this_host(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse requests under a foreign name, as after DNS rebinding; any port passes: it may be forwarded."""
        name, _, port = request.headers.get("Host", "").rpartition(":")
        if name not in LOOPBACK_NAMES | {self._host} or not port.isdigit():
            return web.Response(status=403, text="the playground answers only to its own loopback address\n")
        return await handler(request)

    def person(
        self,
        user_id: int,
        first_name: str,
        *,
        language_code: str = "en",
        username: str | None = None,
        note: str = "",
        has_started: bool = True,
    ) -> PlaygroundPerson:
        """Return the person, created if unknown; `note` is shown beside the name on the page."""
        known = self._world.users.get(user_id)
        if known is None:
            known = UserRecord(id=user_id, first_name=first_name, language_code=language_code, has_started=has_started)
        known.first_name, known.username, known.note = first_name, username, note
        self._world.save_user(known)
        self._world.private_chat(known)
        self._world.commit()
        return PlaygroundPerson(self._backend, user_id)

    def group(
        self,
        chat_id: int,
        title: str,
        *,
        members: Iterable[PlaygroundPerson] = (),
        is_forum: bool = False,
        bot_is_admin: bool | None = None,
        administrators: Iterable[PlaygroundPerson] = (),
    ) -> Group:
        """Return the group, created if unknown; ids from -100… on are supergroups.

        `bot_is_admin` None: the bot is administrator only in forums. Where it is not, privacy mode applies: it gets
        only commands, replies to it and mentions.
        """
        admins = [person.id for person in administrators]
        chat = self._world.chats.get(chat_id)
        if chat is None:
            if chat_id >= 0:
                raise ValueError(f"the id of a group is negative, not {chat_id}")
            is_super = is_forum or str(chat_id).startswith("-100")
            chat = ChatRecord(id=chat_id, type="supergroup" if is_super else "group", title=title, is_forum=is_forum)
            is_admin = is_forum if bot_is_admin is None else bot_is_admin
            chat.bot_status = "administrator" if is_admin else "member"
            chat.members = list(dict.fromkeys([*(person.id for person in members), *admins]))
            chat.administrators = admins
        self._world.save_chat(chat)
        self._world.commit()
        return Group(self._backend, chat_id)

    def push_update(self, update: Json) -> int:
        """Queue a raw Update object; without `update_id` it gets the next one, which is returned."""
        update_id = self._updates.push(update)
        self._world.commit()
        return update_id

    def redeliver(self, update_id: int) -> None:
        """Deliver an update again under its old id."""
        self._updates.redeliver(update_id)
        self._world.commit()

    def hold_updates(self) -> None:
        """Hold back new updates until `release_updates`."""
        self._updates.hold()

    def release_updates(self, *, reverse: bool = False) -> list[int]:
        """Deliver the updates held back, latest first with `reverse`; returns their ids."""
        ids = self._updates.release(reverse=reverse)
        self._world.commit()
        return ids

    async def wait_until(self, condition: Callable[[], object], *, timeout_s: float = 10, what: str = "") -> None:
        """Wait until `condition` holds; it is checked after every change and every 20 ms."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise NotShown(f"waited {timeout_s} s for {what or 'a condition'}")
            await self._world.changes.wait(min(remaining, LOOK_EVERY_S))
