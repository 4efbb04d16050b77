"""Webhooks of other systems: `POST /hooks/<name>` accepts notifications quickly and queues them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import OrderedDict, deque
from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from hmac import compare_digest
from types import TracebackType
from typing import Self

import structlog
from aiohttp import web

from core.errors import GuardianError
from core.integration import Hook
from core.tasks import Tasks

SECRET_HEADER = "X-InfraGuardian-Secret"
HOOK_BODY_LIMIT_BYTES = 256 * 1024
READ_LIMIT_S = 10.0
"""Time for the whole body; slower senders are cut off."""
HOOK_QUEUE_LIMIT = 64
"""Queue length per name; further notifications are refused until there is room."""
FLOOD_LIMIT = 60
FLOOD_S = 10.0
"""FLOOD_LIMIT new notifications within this time are a flood; a repeated one within it is accepted and dropped."""
HOOK_TAKE_LIMIT_S = 60.0
DRAIN_LIMIT_S = 3.0
"""Time that a stop waits for accepted notifications to be processed."""
log = structlog.get_logger(__name__)


class WebhookReceiver:
    """Async context manager: while it is entered, notifications are processed one by one for each name.

    Answers: 204 accepted, now or a moment ago; 404 unknown name or no secret set, 401 wrong secret, 413 too large
    or too slow, 415 not JSON or compressed, 400 not a JSON object, 429 flood or full queue.
    A sender without the secret learns no more than that; no body is ever logged.
    """

    def __init__(self, hooks: Mapping[str, Hook], *, waiting: int = HOOK_QUEUE_LIMIT) -> None:
        """`hooks`: by name; `waiting`: queue length per name."""
        self._hooks = {name: hook for name, hook in hooks.items() if hook.secret}
        self._queues: dict[str, asyncio.Queue[Mapping[str, object]]] = {
            name: asyncio.Queue(maxsize=waiting) for name in self._hooks
        }
        self._arrived: dict[str, deque[float]] = {name: deque(maxlen=FLOOD_LIMIT) for name in self._hooks}
        self._taken: dict[str, OrderedDict[bytes, float]] = {name: OrderedDict() for name in self._hooks}
        self._tasks = Tasks()

    def mount(self, application: web.Application) -> None:
        """Add the route `/hooks/{name}`."""
        application.router.add_post("/hooks/{name}", self._take)

    async def __aenter__(self) -> Self:
        for name in self._hooks:
            self._tasks.start(f"hook {name}", partial(self._work, name), restarts=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Process the accepted notifications for at most END_LIMIT_S, then stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_LIMIT_S):
                await asyncio.gather(*(queue.join() for queue in self._queues.values()))
        await self._tasks.stop()

    async def _take(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        hook = self._hooks.get(name)
        if hook is None or not hook.secret:
            return web.Response(status=404)
        if not _has_secret(request, hook.secret):
            return web.Response(status=401)
        if request.content_type != "application/json" or "Content-Encoding" in request.headers:
            return web.Response(status=415)
        if (request.content_length or 0) > HOOK_BODY_LIMIT_BYTES:
            return web.Response(status=413)
        content = await _read(request)
        if content is None:
            return web.Response(status=413)
        body = _object_in(content)
        if body is None:
            return web.Response(status=400)
        return web.Response(status=204) if self._is_put(name, body, sha256(content).digest()) else _too_many()

    def _is_put(self, name: str, body: Mapping[str, object], digest: bytes) -> bool:
        """Return True once the notification is queued, now or a moment ago when it first arrived."""
        taken, now = self._taken[name], asyncio.get_running_loop().time()
        if now - taken.get(digest, -FLOOD_S) < FLOOD_S:
            return True
        if self._is_flooded(name):
            return False
        try:
            self._queues[name].put_nowait(body)
        except asyncio.QueueFull:
            return False
        taken[digest] = now
        taken.move_to_end(digest)
        while len(taken) > FLOOD_LIMIT:
            taken.popitem(last=False)
        return True

    def _is_flooded(self, name: str) -> bool:
        arrived, now = self._arrived[name], asyncio.get_running_loop().time()
        if len(arrived) == FLOOD_LIMIT and now - arrived[0] < FLOOD_S:
            return True
        arrived.append(now)
        return False

    async def _work(self, name: str) -> None:
        queue, hook = self._queues[name], self._hooks[name]
        while True:
            body = await queue.get()
            try:
                async with asyncio.timeout(HOOK_TAKE_LIMIT_S):
                    await hook.take(body)
            except (GuardianError, TimeoutError) as error:
                log.warning("a notification could not be acted on", hook=name, why=type(error).__name__)
            finally:
                queue.task_done()


def _has_secret(request: web.Request, secret: str) -> bool:
    """Return whether the header is there exactly once and holds the secret, which may be any bytes."""
    brought = request.headers.getall(SECRET_HEADER, [])
    return len(brought) == 1 and compare_digest(brought[0].encode(errors="surrogateescape"), secret.encode())


def _too_many() -> web.Response:
    return web.Response(status=429, headers={"Retry-After": f"{FLOOD_S:.0f}"})


async def _read(request: web.Request) -> bytes | None:
    """Return the body; None when it is too large or comes too slowly."""
    content = bytearray()
    try:
        async with asyncio.timeout(READ_LIMIT_S):
            async for chunk in request.content.iter_any():
                content += chunk
                if len(content) > HOOK_BODY_LIMIT_BYTES:
                    return None
    except TimeoutError:
        return None
    return bytes(content)


def _object_in(content: bytes) -> Mapping[str, object] | None:
    try:
        raw = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return raw if isinstance(raw, dict) else None
