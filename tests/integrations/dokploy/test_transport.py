"""Retries, the breaker, pace and time limits: reads are tried again, orders never reach Dokploy twice."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from core.errors import SystemUnavailable, TimeLimitExceeded
from integrations.dokploy.client.dokploy_client import Dokploy
from integrations.dokploy.client.dokploy_errors import AnswerLost, BreakerOpen, CallFailed, KeyRejected, NotSent
from integrations.dokploy.client.request_limiter import RequestQueueFull
from tests.integrations.dokploy.conftest import HandClock, MakeDokploy
from tests.integrations.dokploy.replay import Answer, ReplayServer, gives, hangs, hangs_up

VERSION = gives(b'"v0.30.2"')
QUEUED = gives(b'{"success":true,"message":"Deployment queued","composeId":"c1"}')
BAD_GATEWAY = gives(b"<html>Bad Gateway</html>", 502, "text/html")
UNAVAILABLE = gives(b"no available server", 503, "text/plain")
BROKEN = gives(b"<html>Internal Server Error</html>", 500, "text/html")
FAILED = gives(b'{"message":"x","code":"INTERNAL_SERVER_ERROR","data":{"path":"p"}}', 500)
NO_KEY = gives(b'{"message":"Unauthorized"}', 401)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the condition lies in the server's state
            await asyncio.sleep(0.002)


# -- retries -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [hangs_up, BAD_GATEWAY, UNAVAILABLE])
async def test_a_read_is_tried_again(fault: Answer, server: ReplayServer, dokploy: Dokploy) -> None:
    server.does(fault, fault, VERSION)
    assert await dokploy.instance.version() == "v0.30.2"
    assert len(server.asked) == 3
    assert {one.path for one in server.asked} == {"/api/settings.getDokployVersion"}


@pytest.mark.parametrize(("fault", "asked"), [(BAD_GATEWAY, 3), (hangs_up, 3 * 2)])
async def test_a_read_is_given_up_after_its_retries(
    fault: Answer, asked: int, server: ReplayServer, dokploy: Dokploy
) -> None:
    """A broken connection counts twice: aiohttp itself asks once more, on another connection."""
    server.does(fault)
    with pytest.raises(SystemUnavailable):
        await dokploy.instance.version()
    assert len(server.asked) == asked


@pytest.mark.parametrize("answer", [FAILED, NO_KEY])
async def test_a_refusal_is_not_tried_again(answer: Answer, server: ReplayServer, dokploy: Dokploy) -> None:
    server.does(answer)
    with pytest.raises((CallFailed, KeyRejected)):
        await dokploy.instance.version()
    assert len(server.asked) == 1


@pytest.mark.parametrize("fault", [hangs_up, BAD_GATEWAY, BROKEN])
async def test_an_order_without_an_answer_is_unknown_and_never_repeated(
    fault: Answer, server: ReplayServer, dokploy: Dokploy
) -> None:
    server.does(fault, QUEUED)
    with pytest.raises(AnswerLost, match="look before repeating it"):
        await dokploy.composes.deploy("c1")
    assert len(server.asked) == 1


async def test_an_order_the_proxy_did_not_pass_on_was_not_done(server: ReplayServer, dokploy: Dokploy) -> None:
    server.does(UNAVAILABLE, QUEUED)
    with pytest.raises(NotSent, match="nothing was done"):
        await dokploy.composes.deploy("c1")
    assert len(server.asked) == 1


async def test_a_refused_connection_asks_for_the_address(make_dokploy: MakeDokploy) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        dokploy = make_dokploy(url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(SystemUnavailable, match=r"nobody answers at .* is `dokploy.url` right"):
            await dokploy.instance.version()
        with pytest.raises(NotSent, match="nothing was sent"):
            await dokploy.composes.deploy("c1")


async def test_http_where_https_is_asked_for(server: ReplayServer, make_dokploy: MakeDokploy) -> None:
    dokploy = make_dokploy(url=server.url.replace("http://", "https://"))
    with pytest.raises(SystemUnavailable, match="is it http instead of https"):
        await dokploy.instance.version()
    with pytest.raises(NotSent):
        await dokploy.composes.deploy("c1")


# -- time limits -------------------------------------------------------------------------------------------------------


async def test_a_read_that_hangs_ends_in_time(server: ReplayServer, make_dokploy: MakeDokploy) -> None:
    server.does(hangs)
    with pytest.raises(TimeLimitExceeded, match=r"settings.getDokployVersion was not answered within 1 s") as caught:
        await make_dokploy(timeout_s=1.0).instance.version()
    assert not isinstance(caught.value, AnswerLost)


async def test_an_order_that_hangs_is_unknown(server: ReplayServer, make_dokploy: MakeDokploy) -> None:
    server.does(hangs)
    with pytest.raises(AnswerLost, match=r"compose.deploy of 'c1' was not answered within 1 s"):
        await make_dokploy(timeout_s=1.0).composes.deploy("c1")
    assert len(server.asked) == 1


async def test_an_order_that_never_got_its_turn_was_not_sent(server: ReplayServer, make_dokploy: MakeDokploy) -> None:
    server.does(VERSION)
    dokploy = make_dokploy(timeout_s=1.0, pace_s=60.0)
    assert await dokploy.instance.version() == "v0.30.2"
    with pytest.raises(NotSent, match="not sent within 1 s: others were before it"):
        await dokploy.composes.deploy("c1")
    assert [one.path for one in server.asked] == ["/api/settings.getDokployVersion"]


async def test_work_that_takes_longer_than_a_look_is_waited_for(
    server: ReplayServer, make_dokploy: MakeDokploy
) -> None:
    async def works(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.3)
        return web.json_response(True)

    server.does(works)
    dokploy = make_dokploy(timeout_s=0.1)
    await dokploy.composes.stop("c1")
    await dokploy.containers.restart("web-1")


async def test_a_cancelled_read_frees_its_place(server: ReplayServer, make_dokploy: MakeDokploy) -> None:
    server.does(hangs, VERSION)
    dokploy = make_dokploy(at_once=1)
    asked = asyncio.ensure_future(dokploy.instance.version())
    await until(lambda: server.under_way == 1)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert await dokploy.instance.version() == "v0.30.2"


# -- breaker -----------------------------------------------------------------------------------------------------------


async def test_a_dokploy_that_fails_is_left_alone_and_tried_again_later(
    server: ReplayServer, make_dokploy: MakeDokploy, clock: HandClock
) -> None:
    dokploy = make_dokploy(retries=0, breaker_failures=2, breaker_rest_s=15.0)
    server.does(BAD_GATEWAY)
    with capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(SystemUnavailable):
                await dokploy.instance.version()
        for _ in range(3):
            with pytest.raises(BreakerOpen, match="failed 2 times in a row and is left alone for 15 s"):
                await dokploy.instance.version()
        with pytest.raises(NotSent, match="was not sent"):
            await dokploy.composes.deploy("c1")
        assert len(server.asked) == 2

        clock.now_s += 15.0
        with pytest.raises(SystemUnavailable):
            await dokploy.instance.version()
        with pytest.raises(BreakerOpen):
            await dokploy.instance.version()
        assert len(server.asked) == 3

        clock.now_s += 15.0
        server.does(VERSION)
        assert await dokploy.instance.version() == "v0.30.2"
        assert await dokploy.instance.version() == "v0.30.2"
    assert [one["action"] for one in logs] == ["dokploy_gone", "dokploy_back"]


async def test_only_one_read_tries_a_dokploy_that_was_gone(
    server: ReplayServer, make_dokploy: MakeDokploy, clock: HandClock
) -> None:
    dokploy = make_dokploy(retries=0, breaker_failures=1)
    server.does(hangs_up)
    with pytest.raises(SystemUnavailable):
        await dokploy.instance.version()
    clock.now_s += 60.0
    server.does(hangs)
    probe = asyncio.ensure_future(dokploy.instance.version())
    await until(lambda: server.under_way == 1)
    with pytest.raises(BreakerOpen):
        await dokploy.instance.version()
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    server.does(VERSION)
    assert await dokploy.instance.version() == "v0.30.2"


async def test_reads_that_hang_open_the_breaker_and_slow_work_does_not(
    server: ReplayServer, make_dokploy: MakeDokploy
) -> None:
    dokploy = make_dokploy(timeout_s=0.1, breaker_failures=2)
    server.does(hangs)
    for _ in range(2):
        with pytest.raises(TimeLimitExceeded):
            await dokploy.instance.version()
    with pytest.raises(BreakerOpen):
        await dokploy.instance.version()


@pytest.mark.parametrize("answer", [FAILED, NO_KEY])
async def test_refusals_do_not_open_the_breaker(
    answer: Answer, server: ReplayServer, make_dokploy: MakeDokploy
) -> None:
    dokploy = make_dokploy(breaker_failures=1)
    server.does(answer)
    for _ in range(3):
        with pytest.raises((CallFailed, KeyRejected)):
            await dokploy.instance.version()
    assert len(server.asked) == 3


# -- pace --------------------------------------------------------------------------------------------------------------


async def test_at_most_eight_reads_run_at_once(server: ReplayServer, dokploy: Dokploy) -> None:
    full = asyncio.Event()

    async def gathers(_: web.Request) -> web.StreamResponse:
        if server.under_way >= 8:
            full.set()
        await full.wait()
        return web.json_response("v0.30.2")

    server.does(gathers)
    assert await asyncio.gather(*(dokploy.instance.version() for _ in range(40))) == ["v0.30.2"] * 40
    assert server.most_under_way == 8


async def test_slow_work_holds_up_no_read(server: ReplayServer, dokploy: Dokploy) -> None:
    async def answers(request: web.Request) -> web.StreamResponse:
        return await (hangs if request.method == "POST" else VERSION)(request)

    server.answer = answers
    stops = [asyncio.ensure_future(dokploy.composes.stop(f"c{number}")) for number in range(20)]
    await until(lambda: server.under_way == 4)
    assert await dokploy.instance.version() == "v0.30.2"
    assert server.under_way == 4
    for stop in stops:
        stop.cancel()
    await asyncio.gather(*stops, return_exceptions=True)


async def test_a_full_waiting_line_refuses_at_once(server: ReplayServer, make_dokploy: MakeDokploy) -> None:
    server.does(hangs)
    dokploy = make_dokploy(at_once=1, waiting=2)
    waiting = [asyncio.ensure_future(dokploy.instance.version()) for _ in range(3)]
    await until(lambda: server.under_way == 1)
    with pytest.raises(RequestQueueFull, match="2 requests to it wait already"):
        await dokploy.instance.version()
    with pytest.raises(NotSent):
        await dokploy.composes.deploy("c1")
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_requests_are_paced(server: ReplayServer, make_dokploy: MakeDokploy) -> None:
    server.does(VERSION)
    dokploy = make_dokploy(pace_s=0.05)
    begin = time.monotonic()
    await asyncio.gather(*(dokploy.instance.version() for _ in range(5)))
    assert time.monotonic() - begin >= 4 * 0.05


async def test_two_thousand_deployments_that_have_not_changed_are_read_once(
    server: ReplayServer, dokploy: Dokploy
) -> None:
    rows = [{"deploymentId": f"d{number}", "title": "x" * 800, "status": "done"} for number in range(2000)]
    server.says(json.dumps(rows).encode())
    first = await dokploy.deployments.all()
    assert await dokploy.deployments.all() is first
    rows[7]["status"] = "error"
    server.says(json.dumps(rows).encode())
    second = await dokploy.deployments.all()
    assert [str(one.status) for one in second].count("error") == 1
