"""The stand-in speaks Ollama's protocol, so that what passes against it is worth something."""

import asyncio
import json

import aiohttp
import pytest

from tests.standins.ollama import OllamaStandIn
from tests.standins.ollama_replies import Json, calls, says

QUESTION: Json = {"model": "gpt-oss:20b", "messages": [{"role": "user", "content": "hello"}]}


async def post(url: str, body: object) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.post(url, data=json.dumps(body)) as response:
        return response.status, response.content_type, await response.text()


async def test_it_looks_like_a_server(ollama: OllamaStandIn) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/", "/api/version", "/api/tags"):
            async with session.head(ollama.url + path) as response:
                assert response.status == 200
        async with session.get(ollama.url) as response:
            assert await response.text() == "Ollama is running"


async def test_a_stream_has_one_object_per_line_and_the_call_in_the_last(ollama: OllamaStandIn) -> None:
    ollama.script([calls("disk_usage", {"host": "web1"})])
    status, content_type, text = await post(f"{ollama.url}/api/chat", QUESTION)
    lines = [json.loads(line) for line in text.splitlines()]
    assert (status, content_type) == (200, "application/x-ndjson")
    assert lines[0]["message"]["thinking"]
    assert [line["done"] for line in lines] == [False, True]
    assert lines[-1]["message"]["tool_calls"][0]["function"]["arguments"] == {"host": "web1"}
    assert lines[-1]["done_reason"] == "stop"


async def test_without_streaming_it_is_one_object(ollama: OllamaStandIn) -> None:
    ollama.script([says("hi")])
    _, content_type, text = await post(f"{ollama.url}/api/chat", {**QUESTION, "stream": False})
    assert content_type == "application/json"
    assert json.loads(text)["message"]["content"] == "hi"


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("chat", {}, 400, "model is required"),
        ("chat", {**QUESTION, "think": "a lot"}, 400, "invalid think value"),
        ("chat", {**QUESTION, "model": "nope"}, 404, "model 'nope' not found"),
        ("chat", {**QUESTION, "model": "qwen3-embedding:0.6b", "tools": [{}]}, 400, "does not support tools"),
        ("embed", {"model": "nope", "input": "x"}, 404, "try pulling it first"),
        ("embed", {"model": "qwen3-embedding:0.6b", "input": 7}, 400, "invalid input type"),
        ("show", {"model": "nope"}, 404, "not found"),
        ("chat", QUESTION, 500, "script of the stand-in is at its end"),
    ],
)
async def test_it_refuses_what_ollama_refuses(
    ollama: OllamaStandIn, path: str, body: Json, status: int, words: str
) -> None:
    found, _, text = await post(f"{ollama.url}/api/{path}", body)
    assert found == status
    assert words in json.loads(text)["error"]


async def test_loading_and_unloading_show_in_ps(ollama: OllamaStandIn) -> None:
    load = {"model": "gpt-oss:20b", "messages": [], "stream": False, "options": {"num_ctx": 8192}}
    _, _, text = await post(f"{ollama.url}/api/chat", load)
    assert json.loads(text)["done_reason"] == "load"
    assert ollama.loaded == {"gpt-oss:20b": 8192}
    _, _, text = await post(f"{ollama.url}/api/chat", {**load, "keep_alive": 0})
    assert json.loads(text)["done_reason"] == "unload"
    assert ollama.loaded == {}


async def test_pulling_makes_a_model_present(ollama: OllamaStandIn) -> None:
    _, _, text = await post(f"{ollama.url}/api/pull", {"model": "bge-m3:latest"})
    assert json.loads(text.splitlines()[-1]) == {"status": "success"}
    assert "bge-m3:latest" in ollama.models


async def test_it_comes_back_on_the_same_port(ollama: OllamaStandIn) -> None:
    url = ollama.url
    await ollama.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await post(f"{url}/api/chat", QUESTION)
    await ollama.start()
    async with asyncio.timeout(5):
        assert (await post(f"{url}/api/chat", {}))[0] == 400
