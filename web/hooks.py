"""Notifications of other systems: `POST /hooks/<name>` takes them quickly and hands them on."""

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

HEADER = "X-InfraGuardian-Secret"
BODY_LIMIT_BYTES = 256 * 1024
READ_LIMIT_S = 10.0
"""For the whole body; whoever sends slower is cut off."""
WAITING_LIMIT = 64
"""Of each name; the next one is refused until one was worked off."""
FLOOD_LIMIT = 60
FLOOD_S = 10.0
"""More than so many in so many seconds is a flood; one that comes again within that time is no second one."""
TAKE_LIMIT_S = 60.0
END_LIMIT_S = 3.0
"""So long a stop waits for what was taken and is not worked off yet."""
log = structlog.get_logger(__name__)


class Hooks:
    """An async context manager: while it is entered, what has arrived is worked off one by one for each name.

    Answers: 204 taken, now or a moment ago; 404 no such name or none wanted, 401 wrong secret, 413, 415,
    400 not a JSON object, 429 flood.
    A sender without the secret learns no more than that; no body is ever logged.
    """

    def __init__(self, hooks: Mapping[str, Hook], *, waiting: int = WAITING_LIMIT) -> None:
        """By name; `waiting`: how many of one name may wait."""
        self._hooks = {name: hook for name, hook in hooks.items() if hook.secret}
        self._queues: dict[str, asyncio.Queue[Mapping[str, object]]] = {
            name: asyncio.Queue(maxsize=waiting) for name in self._hooks
        }
        self._arrived: dict[str, deque[float]] = {name: deque(maxlen=FLOOD_LIMIT) for name in self._hooks}
        self._taken: dict[str, OrderedDict[bytes, float]] = {name: OrderedDict() for name in self._hooks}
        self._tasks = Tasks()

    def mount(self, application: web.Application) -> None:
        """Add the route."""
        application.router.add_post("/hooks/{name}", self._take)

    async def __aenter__(self) -> Self:
        for name in self._hooks:
            self._tasks.start(f"hook {name}", partial(self._work, name), restarts=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What was taken was promised: work it off, but do not hold up the end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_LIMIT_S):
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
        if (request.content_length or 0) > BODY_LIMIT_BYTES:
            return web.Response(status=413)
        content = await _read(request)
        if content is None:
            return web.Response(status=413)
        body = _object_in(content)
        if body is None:
            return web.Response(status=400)
        return web.Response(status=204) if self._is_put(name, body, sha256(content).digest()) else _too_many()

    def _is_put(self, name: str, body: Mapping[str, object], digest: bytes) -> bool:
        """Whether it is in hand: put into the queue now, or a moment ago when it came the first time."""
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
                async with asyncio.timeout(TAKE_LIMIT_S):
                    await hook.take(body)
            except (GuardianError, TimeoutError) as error:
                log.warning("a notification could not be acted on", hook=name, why=type(error).__name__)
            finally:
                queue.task_done()


def _has_secret(request: web.Request, secret: str) -> bool:
    """Whether the header is there once and holds it; it may hold any bytes."""
    brought = request.headers.getall(HEADER, [])
    return len(brought) == 1 and compare_digest(brought[0].encode(errors="surrogateescape"), secret.encode())


def _too_many() -> web.Response:
    return web.Response(status=429, headers={"Retry-After": f"{FLOOD_S:.0f}"})


async def _read(request: web.Request) -> bytes | None:
    """The body; None: it is too large or comes too slowly."""
    content = bytearray()
    try:
        async with asyncio.timeout(READ_LIMIT_S):
            async for chunk in request.content.iter_any():
                content += chunk
                if len(content) > BODY_LIMIT_BYTES:
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
