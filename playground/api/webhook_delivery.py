"""Delivers updates to the bot's webhook: in order per chat, with its secret, repeated until it answers 2xx."""

import asyncio
import ipaddress
import json
import re
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import aiohttp

from playground.api.bot_api_wire import ApiError, CallArguments, Json, as_argument, bad_request
from playground.api.update_queue import PendingUpdate, UpdateQueue
from playground.chats.playground_clock import PlaygroundClock
from playground.chats.playground_store import PlaygroundStore

DELIVERY_TIMEOUT_S = 60.0
RETRY_FIRST_S = 0.2  # the real server begins near a second; the playground saves people the wait
RETRY_LAST_S = 30.0
GONE_LIMIT = 5  # answers 410 in a row after which the webhook is taken away
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")

CallMethod = Callable[[str, CallArguments], Awaitable[object]]


class WebhookDelivery:
    """The webhook that is set, and the loop that delivers to it."""

    def __init__(self, store: PlaygroundStore, clock: PlaygroundClock, updates: UpdateQueue) -> None:
        self._store = store
        self._clock = clock
        self._updates = updates
        self._settings: Json = store.get("setting", "webhook", {})
        self._last_error: Json = {}
        self._in_flight: set[str] = set()
        self._deliveries: set[asyncio.Task[None]] = set()
        self._gone = 0
        self._changed = asyncio.Event()

    @property
    def url(self) -> str:
        return str(self._settings.get("url", ""))

    def set(self, url: str, *, secret: str, max_connections: int) -> None:
        """Set the webhook; like a server in local mode it accepts plain HTTP, but only on this machine."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
        if not _is_loopback(parts.hostname):
            raise bad_request("bad webhook: the playground delivers to this machine only")
        if secret and not _SECRET.fullmatch(secret):
            raise bad_request("secret token contains unallowed characters")
        self._settings = {"url": url, "secret": secret, "max_connections": max(1, min(max_connections or 40, 100))}
        self._last_error = {}
        self._gone = 0
        self._store.put("setting", "webhook", self._settings)
        self._changed.set()
        self._updates.wake()

    def remove(self) -> None:
        self._settings = {}
        self._store.put("setting", "webhook", {})
        self._updates.wake()

    def info(self) -> Json:
        """Return the WebhookInfo object."""
        info: Json = {
            "url": self.url,
            "has_custom_certificate": False,
            "pending_update_count": len(self._updates.pending),
        }
        if self.url:
            info["max_connections"] = self._settings["max_connections"]
        if self._updates.allowed:
            info["allowed_updates"] = self._updates.allowed
        return info | self._last_error

    async def run(self, call: CallMethod) -> None:
        """Deliver until cancelled."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=DELIVERY_TIMEOUT_S)) as session:
            try:
                while True:
                    if self.url:
                        self._start_deliveries(session, call)
                        await self._updates.wait_for_arrival(5.0)
                    else:
                        self._changed.clear()
                        await self._changed.wait()
            finally:
                for task in self._deliveries:
                    task.cancel()
                await asyncio.gather(*self._deliveries, return_exceptions=True)

    def _start_deliveries(self, session: aiohttp.ClientSession, call: CallMethod) -> None:
        self._updates.drop_expired()
        busy = set(self._in_flight)
        for pending in list(self._updates.pending):
            if len(self._in_flight) >= int(self._settings["max_connections"]):
                return
            lane = _lane(pending)
            if lane in busy:
                continue
            busy.add(lane)
            self._in_flight.add(lane)
            task = asyncio.create_task(self._deliver(session, call, pending, lane), name=f"webhook {lane}")
            self._deliveries.add(task)
            task.add_done_callback(self._deliveries.discard)

    async def _deliver(
        self, session: aiohttp.ClientSession, call: CallMethod, pending: PendingUpdate, lane: str
    ) -> None:
        """Send one update until it is accepted or the webhook changes; later updates of its lane wait."""
        url, delay_s = self.url, RETRY_FIRST_S
        try:
            while self.url == url:
                wait_s = await self._attempt(session, call, pending)
                if wait_s is None:
                    self._updates.note_delivered(pending)
                    self._updates.drop([pending])
                    self._store.commit()
                    return
                await asyncio.sleep(wait_s or delay_s)
                delay_s = min(delay_s * 2, RETRY_LAST_S)
        finally:
            self._in_flight.discard(lane)
            self._updates.wake()

    async def _attempt(self, session: aiohttp.ClientSession, call: CallMethod, pending: PendingUpdate) -> float | None:
        """Post once; None when accepted, else the seconds the receiver asks to wait (0: it names none)."""
        headers = {"X-Telegram-Bot-Api-Secret-Token": secret} if (secret := self._settings.get("secret")) else {}
        try:
            async with session.post(self.url, json=pending.wire(), headers=headers, allow_redirects=False) as response:
                body = await response.read()
                if 200 <= response.status < 300:
                    self._gone = 0
                    await _carry_out(body, call)
                    return None
                self._note_error(f"Wrong response from the webhook: {response.status} {response.reason}")
                self._note_gone(response.status)
                retry_after = response.headers.get("Retry-After", "")
                return float(retry_after) if retry_after.isdigit() else 0.0
        except aiohttp.ClientConnectorError:
            self._note_error("Connection refused")
        except TimeoutError:
            self._note_error("Read timeout expired")
        except aiohttp.ClientError as error:
            self._note_error(f"Connection error: {error}")
        return 0.0

    def _note_gone(self, status: int) -> None:
        self._gone = self._gone + 1 if status == 410 else 0
        if self._gone >= GONE_LIMIT:
            self.remove()

    def _note_error(self, message: str) -> None:
        self._last_error = {"last_error_date": int(self._clock.now()), "last_error_message": message}


async def _carry_out(body: bytes, call: CallMethod) -> None:
    """Carry out the method in a webhook's answer, if any; errors are ignored, as on the server."""
    try:
        order = json.loads(body or b"null")
    except ValueError:
        return
    if isinstance(order, dict) and isinstance(order.get("method"), str):
        values = {key: as_argument(value) for key, value in order.items() if key != "method"}
        try:
            await call(order["method"], CallArguments(values))
        except ApiError:
            return


def _lane(pending: PendingUpdate) -> str:
    """Return the key of updates that must stay in order: their chat, else their person."""
    content = pending.content
    chat = content.get("chat") or content.get("message", {}).get("chat") or content.get("from") or content.get("user")
    return str((chat or {}).get("id", pending.kind))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
