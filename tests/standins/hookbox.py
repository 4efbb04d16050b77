"""A server that keeps what is posted to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.testbed.world import eventually


@dataclass(kw_only=True)
class Hookbox:
    """`received`: bodies in the order they came; `headers`: of the newest."""

    url: str = ""
    received: list[dict[str, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    async def take(self, request: web.Request) -> web.Response:
        """Keep one."""
        self.headers = {name.casefold(): value for name, value in request.headers.items()}
        self.received.append(await request.json())
        return web.Response(text="ok")

    async def titled(self, title: str) -> dict[str, Any]:
        """Wait for a body with that title; the newest."""
        fits = await eventually(lambda: [one for one in self.received if one["title"] == title], what=title)
        return fits[-1]


@asynccontextmanager
async def hookbox() -> AsyncIterator[Hookbox]:
    """A running one."""
    box = Hookbox()
    app = web.Application()
    app.router.add_post("/hook", box.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        box.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        yield box
    finally:
        await runner.cleanup()
