"""Notifications over real HTTP: who may post, what is taken, and what a flood gets."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
import pytest

from core.errors import SystemUnavailable
from core.integration import Hook
from core.settings import WebSettings
from tests.testbed.world import eventually
from web.app import WebApp
from web.hooks import DRAIN_LIMIT_S, FLOOD_LIMIT, HOOK_BODY_LIMIT_BYTES, SECRET_HEADER, WebhookReceiver

SECRET = "a-secret-of-this-test"
JSON = {"Content-Type": "application/json"}


class Kept:
    """A hook that keeps what it takes, or waits, or fails."""

    def __init__(self, secret: str | None = SECRET, *, rest_s: float = 0.0) -> None:
        self.secret = secret
        self.rest_s = rest_s
        self.taken: list[Mapping[str, object]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.error: Exception | None = None

    async def take(self, body: Mapping[str, object]) -> None:
        await self.go.wait()
        await asyncio.sleep(self.rest_s)
        if self.error is not None:
            raise self.error
        self.taken.append(body)


async def _healthy() -> dict[str, object]:
    return {"ok": True}


@asynccontextmanager
async def _serve(**hooks: Hook) -> AsyncIterator[str]:
    app, mounted = WebApp(WebSettings(host="127.0.0.1", port=0), _healthy), WebhookReceiver(hooks)
    mounted.mount(app.application)
    async with app, mounted:
        yield f"http://127.0.0.1:{app.port}/hooks"


async def _post(url: str, content: object = b"{}", **headers: str) -> int:
    sent = {SECRET_HEADER: SECRET, **JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=sent) as response:
        return response.status


async def test_a_notification_is_taken_and_handed_on() -> None:
    kept = Kept()
    async with _serve(dokploy=kept) as url:
        assert await _post(f"{url}/dokploy", {"title": "Build Success"}) == 204
        await eventually(lambda: kept.taken == [{"title": "Build Success"}])


async def test_a_notification_is_answered_before_it_is_processed() -> None:
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
            sent = {**JSON, **({SECRET_HEADER: brought} if brought else {})}
            async with session.post(f"{url}/dokploy", data=b"{}", headers=sent) as response:
                assert response.status == 401
        assert not kept.taken


async def test_a_hook_without_a_secret_accepts_nothing() -> None:
    async with _serve(dokploy=Kept(secret=None)) as url:
        assert await _post(f"{url}/dokploy") == 404
        assert await _post(f"{url}/somebody") == 404


async def test_anything_but_a_json_object_is_refused() -> None:
    kept = Kept()
    async with _serve(dokploy=kept) as url:
        assert await _post(f"{url}/dokploy", b"{}", Content_Type="text/plain") == 415
        assert await _post(f"{url}/dokploy", b"{}", Content_Type="application/json; charset=utf-8") == 204
        for content in (b"", b"no json", b"[1]", b'"word"', b"[" * 50_000, b"\xff\xfe"):
            assert await _post(f"{url}/dokploy", content) == 400
        await eventually(lambda: len(kept.taken) == 1)


async def test_a_large_body_is_refused_with_and_without_its_length() -> None:
    kept = Kept()
    large = b'{"title": "' + b"x" * HOOK_BODY_LIMIT_BYTES + b'"}'

    async def pieces() -> AsyncIterator[bytes]:
        for begin in range(0, len(large), 64 * 1024):
            yield large[begin : begin + 64 * 1024]

    async with _serve(dokploy=kept) as url:
        assert await _post(f"{url}/dokploy", large) == 413
        async with aiohttp.ClientSession() as session:
            sent = {SECRET_HEADER: SECRET, **JSON}
            async with session.post(f"{url}/dokploy", data=pieces(), headers=sent) as response:
                assert response.status == 413
        assert await _post(f"{url}/dokploy", b'{"title": "' + b"x" * 200_000 + b'"}') == 204


async def test_a_flood_is_slowed_down() -> None:
    kept = Kept()
    async with _serve(dokploy=kept) as url:
        statuses = [await _post(f"{url}/dokploy", {"n": n}) for n in range(FLOOD_LIMIT + 5)]
    assert statuses == [204] * FLOOD_LIMIT + [429] * 5


async def test_the_queue_of_waiting_notifications_is_bounded() -> None:
    kept = Kept()
    kept.go.clear()
    hooks = WebhookReceiver({"dokploy": kept}, waiting=3)
    app = WebApp(WebSettings(host="127.0.0.1", port=0), _healthy)
    hooks.mount(app.application)
    async with app, hooks:
        url = f"http://127.0.0.1:{app.port}/hooks/dokploy"
        statuses = [await _post(url, {"n": n}) for n in range(6)]
        assert statuses == [204] * 4 + [429] * 2, "one is being worked on, three wait"
        kept.go.set()
        await eventually(lambda: len(kept.taken) == 4)
        assert await _post(url, {"n": 6}) == 204


async def test_what_was_taken_is_worked_off_before_the_end() -> None:
    kept = Kept(rest_s=0.05)
    async with _serve(dokploy=kept) as url:
        assert [await _post(f"{url}/dokploy", {"n": n}) for n in range(5)] == [204] * 5
    assert [body["n"] for body in kept.taken] == [0, 1, 2, 3, 4]


async def test_one_that_never_ends_holds_up_no_stop() -> None:
    kept = Kept()
    kept.go.clear()
    began = asyncio.get_running_loop().time()
    async with _serve(dokploy=kept) as url:
        assert await _post(f"{url}/dokploy") == 204
    assert not kept.taken
    assert asyncio.get_running_loop().time() - began < DRAIN_LIMIT_S + 2.0


async def test_a_notification_that_fails_does_not_stop_the_next(caplog: pytest.LogCaptureFixture) -> None:
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


async def test_an_odd_or_repeated_secret_header_is_refused() -> None:
    kept = Kept()
    async with _serve(dokploy=kept) as url:
        good = f"{SECRET_HEADER}: {SECRET}".encode()
        for headers in (
            [SECRET_HEADER.encode() + b": \xff\xfe"],
            [good, good],
            [good, SECRET_HEADER.encode() + b": wrong"],
            [],
        ):
            assert await _raw(url, b"{}", *headers) == 401
        assert await _raw(url, b"{}", good) == 204
        await eventually(lambda: len(kept.taken) == 1)


@pytest.mark.parametrize(
    ("encoding", "content"),
    [("gzip", b"no gzip"), ("gzip", gzip.compress(b" " * 50_000_000)), ("deflate", b"{}"), ("x-own", b"{}")],
)
async def test_a_compressed_body_is_refused_unread(encoding: str, content: bytes) -> None:
    kept = Kept()
    async with _serve(dokploy=kept) as url:
        good = f"{SECRET_HEADER}: {SECRET}".encode()
        # some of it the server itself refuses
        assert await _raw(url, content, good, f"Content-Encoding: {encoding}".encode()) in (400, 415)
        assert await _raw(url, b"{}", good) == 204


@pytest.mark.parametrize(
    "content",
    [b'{"a": ' + b"9" * 200_000 + b"}", b'{"a":' * 40_000, b'{"a": "\\', b"\x00", b'{"a": 1e400, "b": }'],
    ids=["number", "nesting", "half", "nul", "gap"],
)
async def test_hostile_json_is_refused_at_once(content: bytes) -> None:
    async with _serve(dokploy=Kept()) as url:
        began = asyncio.get_running_loop().time()
        assert await _post(f"{url}/dokploy", content) == 400
        assert asyncio.get_running_loop().time() - began < 1.0


async def test_a_repeated_notification_is_processed_once_and_not_counted_as_flood() -> None:
    kept = Kept()
    async with _serve(dokploy=kept) as url:
        body = {"title": "Build Error", "timestamp": "2026-01-01T00:00:00Z"}
        assert {await _post(f"{url}/dokploy", body) for _ in range(FLOOD_LIMIT * 3)} == {204}
        assert await _post(f"{url}/dokploy", {"title": "Build Success"}) == 204
        await eventually(lambda: kept.taken == [body, {"title": "Build Success"}])


async def test_a_flood_without_the_secret_does_not_block_valid_notifications() -> None:
    kept = Kept()

    async def stranger(number: int) -> int:
        async with session.post(
            f"{url}/dokploy", data=b"{}" * number, headers={**JSON, SECRET_HEADER: f"guess {number}"}
        ) as one:
            return one.status

    async with _serve(dokploy=kept) as url, aiohttp.ClientSession() as session:
        assert set(await asyncio.gather(*map(stranger, range(500)))) == {401}
        began = asyncio.get_running_loop().time()
        assert await _post(f"{url}/dokploy", {"title": "Build Success"}) == 204
        await eventually(lambda: kept.taken)
        assert asyncio.get_running_loop().time() - began < 2.0


async def test_a_slow_sender_does_not_delay_others() -> None:
    kept = Kept()
    async with _serve(dokploy=kept) as url:
        slow = [await asyncio.open_connection("127.0.0.1", _port(url)) for _ in range(100)]
        for _, writer in slow:
            head = f"POST /hooks/dokploy HTTP/1.1\r\nHost: x\r\n{SECRET_HEADER}: {SECRET}\r\n"
            writer.write(f"{head}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{".encode())
            await writer.drain()
        assert await _post(f"{url}/dokploy", {"title": "Build Success"}) == 204
        await eventually(lambda: len(kept.taken) == 1)
        for _, writer in slow:
            writer.close()


def _port(url: str) -> int:
    return int(url.split(":")[2].partition("/")[0])


async def _raw(url: str, body: bytes, *headers: bytes) -> int:
    """Post it with headers that a client library would not send."""
    reader, writer = await asyncio.open_connection("127.0.0.1", _port(url))
    own = (b"Host: x", b"Content-Type: application/json", f"Content-Length: {len(body)}".encode())
    writer.write(b"\r\n".join([b"POST /hooks/dokploy HTTP/1.1", *own, *headers, b"", body]))
    async with asyncio.timeout(10):
        status = int((await reader.readline()).split()[1])
    writer.close()
    return status
