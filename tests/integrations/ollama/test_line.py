"""The one waiting line: so many at a time, bounded, everybody told the place, nobody's place lost."""

import asyncio
from typing import Any

import pytest

from core.errors import ModelFailed, ModelFailure
from core.language_model import ModelAnswer
from integrations.ollama.client import OllamaModel
from tests.integrations.ollama.conftest import MakeModel, until
from tests.integrations.ollama.requests import talk
from tests.standins.ollama import OllamaStandIn
from tests.standins.ollama_replies import says


def ask(model: OllamaModel, places: list[int] | None = None, **changes: Any) -> "asyncio.Task[ModelAnswer]":
    async def tell(place: int) -> None:
        if places is not None:
            places.append(place)

    return asyncio.create_task(model.ask(talk(on_wait=tell, **changes)))


@pytest.mark.parametrize("parallel", [1, 2])
async def test_no_more_requests_run_at_once_than_configured(
    ollama: OllamaStandIn, make_model: MakeModel, parallel: int
) -> None:
    model = make_model(parallel=parallel)
    ollama.script(lambda request: says("ok", delay_s=0.01))
    answers = await asyncio.gather(*(model.ask(talk()) for _ in range(6)))
    assert [answer.content for answer in answers] == ["ok"] * 6
    assert ollama.most_at_once == parallel


async def test_waiting_requests_are_told_their_place_in_line(ollama: OllamaStandIn, model: OllamaModel) -> None:
    first_may_end = asyncio.Event()
    ollama.script([says("1", held_until=first_may_end), says("2"), says("3")])
    served: list[int] = []
    second: list[int] = []
    third: list[int] = []
    tasks = [ask(model, served)]
    await until(lambda: ollama.at_once == 1)
    tasks.append(ask(model, second))
    await until(lambda: model.waiting == 1)
    tasks.append(ask(model, third))
    await until(lambda: third == [2])
    first_may_end.set()
    assert [answer.content for answer in await asyncio.gather(*tasks)] == ["1", "2", "3"]
    assert (served, second, third) == ([], [1, 0], [2, 1, 0])


async def test_a_request_beyond_the_queue_is_refused_at_once(ollama: OllamaStandIn, make_model: MakeModel) -> None:
    model = make_model(queue=1)
    may_end = asyncio.Event()
    ollama.script([says("1", held_until=may_end), says("2")])
    tasks = [ask(model)]
    await until(lambda: ollama.at_once == 1)
    tasks.append(ask(model))
    await until(lambda: model.waiting == 1)
    with pytest.raises(ModelFailed, match="1 questions are already waiting") as caught:
        await model.ask(talk())
    assert caught.value.kind is ModelFailure.QUEUE_FULL
    may_end.set()
    assert [answer.content for answer in await asyncio.gather(*tasks)] == ["1", "2"]


async def test_waiting_ends_with_the_time_limit(ollama: OllamaStandIn, model: OllamaModel) -> None:
    may_end = asyncio.Event()
    ollama.script([says("1", held_until=may_end)])
    first = ask(model)
    await until(lambda: ollama.at_once == 1)
    with pytest.raises(ModelFailed) as caught:
        await model.ask(talk(time_limit_s=0.05))
    assert caught.value.kind is ModelFailure.BUSY
    assert model.waiting == 0
    may_end.set()
    assert (await first).content == "1"


@pytest.mark.parametrize("turns_of_the_loop", range(8))
async def test_a_cancelled_waiter_takes_no_place_with_it(
    ollama: OllamaStandIn, model: OllamaModel, turns_of_the_loop: int
) -> None:
    """Cancelled at any moment around its admission, the place goes to the next."""
    may_end = asyncio.Event()
    ollama.script(lambda request: says("ok", held_until=may_end))
    first = ask(model)
    await until(lambda: ollama.at_once == 1)
    second = ask(model)
    third = ask(model)
    await until(lambda: model.waiting == 2)
    may_end.set()
    first.cancel()
    for _ in range(turns_of_the_loop):
        await asyncio.sleep(0)
    second.cancel()
    assert (await third).content == "ok"
    await asyncio.gather(first, second, return_exceptions=True)
    assert model.waiting == 0
    assert (await model.ask(talk())).content == "ok"


async def test_a_stream_left_early_gives_its_place_back(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([says("a b c", pieces=5, drip_s=0.01), says("next")])
    stream = model.stream(talk())
    await anext(stream)
    await stream.aclose()
    assert (await model.ask(talk())).content == "next"
