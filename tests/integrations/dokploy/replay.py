"""A server on loopback that answers as a recording says, or misbehaves, and keeps what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from aiohttp import web

FOLDER = Path(__file__).parent / "recordings"


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One call to a real Dokploy and what it answered."""

    name: str
    method: str
    path: str
    query: dict[str, str]
    body: Any
    is_raw: bool
    """The body was no JSON, or came under another content type: no client of ours sends that."""
    status: int
    answer: Any
    """None: nothing came."""
    content_type: str

    @property
    def procedure(self) -> str:
        """`GET compose.one`"""
        return f"{self.method} {self.path.removeprefix('/api/')}"

    @property
    def params(self) -> dict[str, Any]:
        """What was given, as query or as body."""
        return self.body if isinstance(self.body, dict) else self.query

    @property
    def content(self) -> bytes:
        """The answer as bytes."""
        if isinstance(self.answer, dict) and set(self.answer) == {"_text"}:
            return str(self.answer["_text"]).encode()
        return json.dumps(self.answer).encode()


def recordings() -> dict[str, Recording]:
    """Every recorded call by name; timelines, webhook bodies and websockets are none."""
    found = {}
    for file in sorted(FOLDER.glob("*.json")):
        raw = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(raw, dict) and "request" in raw:
            found[file.stem] = _recording(file.stem, raw["request"], raw["response"])
    return found


def _recording(name: str, request: dict[str, Any], response: dict[str, Any]) -> Recording:
    raw_body = request.get("rawBody")
    return Recording(
        name=name,
        method=request["method"],
        path=request["path"],
        query={key: str(value) for key, value in request.get("query", {}).items()},
        body=request.get("body"),
        is_raw=raw_body is not None,
        status=response["status"],
        answer=response["body"],
        content_type=(response.get("headers") or {}).get("Content-Type", "text/plain"),
    )


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(kw_only=True)
class ReplayServer:
    """Answers every request by `answer`; `asked` is what came."""

    answer: Answer | None = None
    asked: list[Asked] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    url: str = ""
    _runner: web.AppRunner | None = None

    async def __aenter__(self) -> ReplayServer:
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.router.add_route("*", "/{anything:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def replay(self, recording: Recording) -> None:
        """Answer as recorded from now on."""
        self.says(recording.content, status=recording.status, content_type=recording.content_type)

    def says(
        self, content: bytes, *, status: int = 200, content_type: str = "application/json", **headers: str
    ) -> None:
        """Answer this from now on."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}

        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(body=content, status=status, headers={"Content-Type": content_type, **named})

        self.answer = answer

    def does(self, *answers: Answer) -> None:
        """Answer the requests to come by these, one each; the last one stays."""
        left = list(answers)

        async def answer(request: web.Request) -> web.StreamResponse:
            return await (left.pop(0) if len(left) > 1 else left[0])(request)

        self.answer = answer

    async def _take(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        self.asked.append(
            Asked(
                method=request.method,
                path=request.path,
                query=dict(request.query),
                body=json.loads(text) if text else None,
                headers={name.casefold(): value for name, value in request.headers.items()},
            )
        )
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            assert self.answer is not None
            return await self.answer(request)
        finally:
            self.under_way -= 1


async def hangs(_: web.Request) -> web.StreamResponse:
    """Never answers."""
    await asyncio.Event().wait()
    raise AssertionError


async def hangs_up(request: web.Request) -> web.StreamResponse:
    """Closes the connection in place of an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def gives(content: bytes, status: int = 200, content_type: str = "application/json") -> Answer:
    """Answers this."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=content, status=status, headers={"Content-Type": content_type})

    return answer
