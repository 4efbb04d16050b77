"""A server that fails is left alone; its going and coming back are said once."""

import asyncio
from typing import Any

from structlog.testing import capture_logs

from core.errors import ModelFailed, ModelFailure
from integrations.ollama.client import OllamaModel
from tests.integrations.ollama.conftest import MakeModel, until
from tests.integrations.ollama.requests import talk
from tests.standins.ollama import OllamaStandIn
from tests.standins.ollama_replies import busy, model_missing, says, slow_first_token


async def kind_of(model: OllamaModel, **changes: Any) -> ModelFailure | None:
    try:
        await model.ask(talk(**changes))
    except ModelFailed as failure:
        return failure.kind
    return None


async def test_three_refused_connections_then_no_more_are_tried(ollama: OllamaStandIn, make_model: MakeModel) -> None:
    model = make_model(breaker_rest_s=0.2)
    await ollama.stop()
    assert [await kind_of(model) for _ in range(3)] == [ModelFailure.UNREACHABLE] * 3
    await ollama.start()
    ollama.script(lambda request: says("ok"))
    assert await kind_of(model) is ModelFailure.BREAKER_OPEN
    assert ollama.requests == []
    await asyncio.sleep(0.21)
    assert await kind_of(model) is None
    assert await kind_of(model) is None


async def test_waiting_requests_fail_at_once_when_the_breaker_opens(
    ollama: OllamaStandIn, make_model: MakeModel
) -> None:
    model = make_model(breaker_failures=1)
    held = asyncio.Event()
    ollama.script([says("1", held_until=held, is_done_sent=False), says("never")])
    tasks = [asyncio.create_task(kind_of(model)) for _ in range(3)]
    await until(lambda: model.waiting == 2)
    held.set()
    assert await asyncio.gather(*tasks) == [ModelFailure.UNREACHABLE, *[ModelFailure.BREAKER_OPEN] * 2]
    assert ollama.left == 1


async def test_a_busy_server_opens_it_too(ollama: OllamaStandIn, make_model: MakeModel) -> None:
    model = make_model(breaker_failures=2)
    ollama.script([busy()] * 9)
    assert await kind_of(model) is ModelFailure.BUSY
    assert len(ollama.requests) == 2
    assert await kind_of(model) is ModelFailure.BREAKER_OPEN


async def test_a_missing_model_or_our_time_limit_does_not_open_the_breaker(
    ollama: OllamaStandIn, make_model: MakeModel
) -> None:
    model = make_model(breaker_failures=1)
    ollama.script([model_missing(), slow_first_token(5), says("ok")])
    assert await kind_of(model) is ModelFailure.MISSING
    assert await kind_of(model, time_limit_s=0.05) is ModelFailure.TIMED_OUT
    assert await kind_of(model) is None


async def test_going_down_and_coming_back_are_logged_once_each(ollama: OllamaStandIn, model: OllamaModel) -> None:
    born = model.since
    with capture_logs() as logs:
        assert await model.probe()
        await ollama.stop()
        for _ in range(3):
            assert not await model.probe()
        assert await kind_of(model) is ModelFailure.UNREACHABLE
        gone = model.since
        assert gone > born
        await ollama.start()
        assert await model.probe()
        assert await model.probe()
    assert [entry["action"] for entry in logs] == ["model_gone", "model_back"]
    assert model.is_up
    assert model.since > gone


async def test_a_try_that_was_given_up_lets_the_next_one_try(ollama: OllamaStandIn, make_model: MakeModel) -> None:
    model = make_model(breaker_failures=1, breaker_rest_s=0.05)
    ollama.script([busy(), slow_first_token(5), says("ok")])
    assert await kind_of(model) is ModelFailure.BUSY
    await asyncio.sleep(0.06)
    assert await kind_of(model, time_limit_s=0.05) is ModelFailure.TIMED_OUT
    assert await kind_of(model) is None
