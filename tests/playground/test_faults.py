"""Bad days of server and network, as the real client meets them."""

import asyncio
import time
from datetime import timedelta

import pytest
from telegram import Bot
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TimedOut,
)

from playground import BotApiServer, Fault, Group, PlaygroundPerson, RateLimits
from tests.playground.conftest import running_bot


async def test_too_many_requests(server: BotApiServer, bot: Bot, ada: PlaygroundPerson) -> None:
    server.faults.add("sendMessage", Fault.too_many(retry_after=2))
    with pytest.raises(RetryAfter) as raised:
        await bot.send_message(ada.id, "x")
    assert raised.value.retry_after == timedelta(seconds=2)
    await bot.send_message(ada.id, "y")
    assert [message.text for message in ada.chat.messages] == ["y"]
    assert [call.status for call in server.calls_of("sendMessage")] == [429, 200]


async def test_a_flood_wait_that_holds(server: BotApiServer, bot: Bot, ada: PlaygroundPerson) -> None:
    server.faults.add("sendMessage", Fault.too_many(retry_after=1, holds=True))
    started = time.monotonic()
    refusals = 0
    while True:
        try:
            await bot.send_message(ada.id, "x")
            break
        except RetryAfter:
            refusals += 1
            await asyncio.sleep(0.1)
    assert refusals > 1 and time.monotonic() - started >= 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.bad_gateway(), NetworkError),
        (Fault.reset(stage="before"), NetworkError),
        (Fault.conflict(), Conflict),
        (Fault.parse_error(), BadRequest),
        (Fault.blocked(), Forbidden),
        (Fault.migrate(-1005), ChatMigrated),
        (Fault.thread_not_found(), BadRequest),
        (Fault.expired_callback(), BadRequest),
        (Fault.unauthorized(), InvalidToken),
        (Fault.internal_error(), NetworkError),
    ],
)
async def test_each_refusal_reaches_the_client(
    server: BotApiServer, bot: Bot, ada: PlaygroundPerson, fault: Fault, error: type[Exception]
) -> None:
    server.faults.add("sendMessage", fault)
    with pytest.raises(error):
        await bot.send_message(ada.id, "x")
    assert ada.chat.messages == [] and server.faults.outstanding == 0


@pytest.mark.parametrize("fault", [Fault.reset(stage="after"), Fault.bad_gateway(stage="after")])
async def test_an_answer_that_is_lost_after_the_message_was_sent(
    server: BotApiServer, bot: Bot, ada: PlaygroundPerson, fault: Fault
) -> None:
    server.faults.add("sendMessage", fault)
    with pytest.raises(NetworkError):
        await bot.send_message(ada.id, "x")
    assert [message.text for message in ada.chat.messages] == ["x"]


async def test_an_answer_that_comes_too_late(server: BotApiServer, ada: PlaygroundPerson) -> None:
    async with running_bot(server, read_timeout_s=0.2) as bot:
        server.faults.add("sendMessage", Fault.slow(0.5))
        with pytest.raises(TimedOut):
            await bot.send_message(ada.id, "x")
        assert [message.text for message in ada.chat.messages] == ["x"]


async def test_faults_for_one_chat_and_after_good_calls(
    server: BotApiServer, bot: Bot, ada: PlaygroundPerson, grace: PlaygroundPerson
) -> None:
    server.faults.add("*", Fault.blocked(), chat_id=ada.id, skip=1, times=2)
    await bot.send_message(grace.id, "x")
    await bot.send_message(ada.id, "x")
    for _ in range(2):
        with pytest.raises(Forbidden):
            await bot.send_message(ada.id, "x")
    await bot.send_message(ada.id, "x")
    server.faults.add("*", Fault.blocked(), times=99)
    server.faults.clear()
    await bot.send_message(ada.id, "x")


async def test_the_21st_message_to_a_group_within_a_minute(server: BotApiServer, bot: Bot, forum: Group) -> None:
    server.faults.limit_rates(RateLimits(burst=1000))
    for _ in range(20):
        await bot.send_message(forum.id, "x")
    with pytest.raises(RetryAfter) as raised:
        await bot.send_message(forum.id, "x")
    assert isinstance(raised.value.retry_after, timedelta)
    assert 50 < raised.value.retry_after.total_seconds() <= 60
    await bot.send_chat_action(forum.id, "typing")


async def test_a_burst_to_one_person(
    server: BotApiServer, bot: Bot, ada: PlaygroundPerson, grace: PlaygroundPerson
) -> None:
    server.faults.limit_rates()
    for _ in range(5):
        await bot.send_message(ada.id, "x")
    with pytest.raises(RetryAfter):
        await bot.send_message(ada.id, "x")
    await bot.send_message(grace.id, "x")
