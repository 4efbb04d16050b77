"""Notifications over real HTTP: who may post, what is taken, and what a flood gets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
import pytest

from core.errors import SystemUnavailable
from core.settings import WebSettings
from tests.testbed.world import eventually
from web.app import WebApp
from web.hooks import BODY_LIMIT_BYTES, FLOOD_LIMIT, HEADER, Hook, Hooks

SECRET = "a-secret-of-this-test"
JSON = {"Content-Type": "application/json"}


class Kept:
    """A hook that keeps what it takes, or waits, or fails."""

    def __init__(self, secret: str | None = SECRET) -> None:
        self.secret = secret
        self.taken: list[Mapping[str, object]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.error: Exception | None = None

    async def take(self, body: Mapping[str, object]) -> None:
        await self.go.wait()
        if self.error is not None:
            raise self.error
        self.taken.append(body)


async def _healthy() -> dict[str, object]:
    return {"ok": True}


@asynccontextmanager
async def _serve(**hooks: Hook) -> AsyncIterator[str]:
    app, mounted = WebApp(WebSettings(host="127.0.0.1", port=0), _healthy), Hooks(hooks)
    mounted.mount(app.application)
    async with app, mounted:
        yield f"http://127.0.0.1:{app.port}/hooks"


async def _post(url: str, content: object = b"{}", **headers: str) -> int:
    sent = {HEADER: SECRET, **JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=sent) as response:
        return response.status


async def test_a_notification_is_taken_and_handed_on() -> None:
    kept = Kept()
    async with _serve(dokploy=kept) as url:
        assert await _post(f"{url}/dokploy", {"title": "Build Success"}) == 204
        await eventually(lambda: kept.taken == [{"title": "Build Success"}])


async def test_it_is_answered_before_it_is_worked_off() -> None:
    kept = Kept()
    kept.go.clear()
    async with _serve(dokploy=kept) as url:
        assert await _post(f"{url}/dokploy") == 204
        assert not kept.taken
        kept.go.set()
        await eventually(lambda: kept.taken)


@pytest.mark.parametrize("brought", ["", "wrong", SECRET + "x", SECRET[:-1], "ñ"])
async def test_a_wrong_secret_is_turned_away(brought: str) -> None:
    kept = Kept()
    async with _serve(dokploy=kept) as url:
        async with aiohttp.ClientSession() as session:
            sent = {**JSON, **({HEADER: brought} if brought else {})}
            async with session.post(f"{url}/dokploy", data=b"{}", headers=sent) as response:
                assert response.status == 401
        assert not kept.taken


async def test_nothing_is_taken_where_no_secret_is_set() -> None:
    async with _serve(dokploy=Kept(secret=None)) as url:
        assert await _post(f"{url}/dokploy") == 404
        assert await _post(f"{url}/somebody") == 404


async def test_only_a_json_object_is_taken() -> None:
    kept = Kept()
    async with _serve(dokploy=kept) as url:
        assert await _post(f"{url}/dokploy", b"{}", Content_Type="text/plain") == 415
        assert await _post(f"{url}/dokploy", b"{}", Content_Type="application/json; charset=utf-8") == 204
        for content in (b"", b"no json", b"[1]", b'"word"', b"[" * 50_000, b"\xff\xfe"):
            assert await _post(f"{url}/dokploy", content) == 400
        await eventually(lambda: len(kept.taken) == 1)


async def test_a_large_body_is_refused_with_and_without_its_length() -> None:
    kept = Kept()
    large = b'{"title": "' + b"x" * BODY_LIMIT_BYTES + b'"}'

    async def pieces() -> AsyncIterator[bytes]:
        for begin in range(0, len(large), 64 * 1024):
            yield large[begin : begin + 64 * 1024]

    async with _serve(dokploy=kept) as url:
        assert await _post(f"{url}/dokploy", large) == 413
        async with aiohttp.ClientSession() as session:
            sent = {HEADER: SECRET, **JSON}
            async with session.post(f"{url}/dokploy", data=pieces(), headers=sent) as response:
                assert response.status == 413
        assert await _post(f"{url}/dokploy", b'{"title": "' + b"x" * 200_000 + b'"}') == 204


async def test_a_flood_is_slowed_down() -> None:
    kept = Kept()
    async with _serve(dokploy=kept) as url:
        statuses = [await _post(f"{url}/dokploy") for _ in range(FLOOD_LIMIT + 5)]
    assert statuses == [204] * FLOOD_LIMIT + [429] * 5


async def test_of_what_waits_there_is_an_end() -> None:
    kept = Kept()
    kept.go.clear()
    hooks = Hooks({"dokploy": kept}, waiting=3)
    app = WebApp(WebSettings(host="127.0.0.1", port=0), _healthy)
    hooks.mount(app.application)
    async with app, hooks:
        url = f"http://127.0.0.1:{app.port}/hooks/dokploy"
        statuses = [await _post(url) for _ in range(6)]
        assert statuses == [204] * 4 + [429] * 2, "one is being worked on, three wait"
        kept.go.set()
        await eventually(lambda: len(kept.taken) == 4)
        assert await _post(url) == 204


async def test_one_that_cannot_be_acted_on_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    kept = Kept()
    kept.error = SystemUnavailable("Dokploy", "gone")
    async with _serve(dokploy=kept) as url:
        assert await _post(f"{url}/dokploy", {"errorMessage": "PASSWORD=hunter2hunter2"}) == 204
        await eventually(lambda: "could not be acted on" in caplog.text)
        kept.error = None
        assert await _post(f"{url}/dokploy", {"title": "Build Success"}) == 204
        await eventually(lambda: kept.taken)
    assert "hunter2" not in caplog.text
    assert all("hunter2" not in repr(vars(record)) for record in caplog.records)
