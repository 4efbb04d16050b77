"""`infraguardian check`: what is wrong with the model, in a line with the next step."""

import asyncio
from collections.abc import Callable

import pytest
from aiohttp import web

from core.errors import SettingsError
from core.integration import CheckLine
from core.settings import OllamaSettings
from integrations.ollama.client import OllamaModel
from integrations.ollama.health import check
from knowledge.config.text_files import load_texts
from tests.integrations.ollama.conftest import MakeModel, WallClock
from tests.standins.ollama import Installed, OllamaStandIn


async def lines_of(model: OllamaModel, *, load: bool = True) -> list[CheckLine]:
    return [line async for line in check(model, load=load)]


def said(line: CheckLine) -> str:
    texts = load_texts()
    parts = [line.name, *(part for part in (line.problem, line.next_step) if part is not None)]
    for part in parts:
        assert texts.has(part.key)
        assert "–" not in texts.render(part, "es")
    return " ".join(texts.render(part, "en") for part in parts)


async def test_the_health_check_passes_when_everything_works(ollama: OllamaStandIn, make_model: MakeModel) -> None:
    digest = ollama.models["gpt-oss:20b"].digest
    lines = await lines_of(make_model(digest=digest[:12]))
    assert [line.ok for line in lines] == [True] * 5
    assert "0.32.15" in said(lines[0])
    assert ollama.loads[0]["options"] == {"num_ctx": 32768}
    assert ollama.loads[0]["keep_alive"] == "30m"


async def test_without_loading_nothing_is_loaded(ollama: OllamaStandIn, model: OllamaModel) -> None:
    assert len(await lines_of(model, load=False)) == 4
    assert ollama.loads == []


async def test_an_unreachable_server_is_reported(ollama: OllamaStandIn, model: OllamaModel) -> None:
    await ollama.stop()
    [line] = await lines_of(model)
    assert not line.ok
    assert ollama.url in said(line)
    assert "ollama serve" in said(line)


async def test_a_server_that_is_not_ollama_is_reported() -> None:
    app = web.Application()
    app.router.add_get("/api/version", _home_page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    model = OllamaModel(OllamaSettings(url=url), clock=WallClock())
    try:
        [line] = await lines_of(model)
        assert "right address" in said(line)
    finally:
        await model.aclose()
        await runner.cleanup()


async def _home_page(_: web.Request) -> web.Response:
    return web.Response(text="<html>hello</html>")


Break = Callable[[OllamaStandIn], None]


def _no_model(ollama: OllamaStandIn) -> None:
    del ollama.models["gpt-oss:20b"]


def _no_embedder(ollama: OllamaStandIn) -> None:
    del ollama.models["qwen3-embedding:0.6b"]


def _other_digest(ollama: OllamaStandIn) -> None:
    ollama.models["gpt-oss:20b"].digest = "ffff00001111"


def _cannot_think(ollama: OllamaStandIn) -> None:
    ollama.models["gpt-oss:20b"].capabilities = ("completion", "tools")


def _small(ollama: OllamaStandIn) -> None:
    ollama.context_limit = 4096


def _on_cpu(ollama: OllamaStandIn) -> None:
    ollama.vram_share = 0.5


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_no_model, "ollama pull gpt-oss:20b"),
        (_no_embedder, "ollama pull qwen3-embedding:0.6b"),
        (_other_digest, "ffff00001111"),
        (_cannot_think, "lacks: thinking"),
        (_small, "context of 4096 tokens"),
        (_on_cpu, "50 %"),
    ],
)
async def test_each_problem_is_named_with_its_next_step(
    ollama: OllamaStandIn, make_model: MakeModel, spoil: Break, words: str
) -> None:
    spoil(ollama)
    lines = await lines_of(make_model(digest="17052f91"))
    [wrong] = [line for line in lines if not line.ok]
    assert wrong.next_step is not None
    assert words in said(wrong)


async def test_a_name_without_a_tag_is_the_latest(ollama: OllamaStandIn, make_model: MakeModel) -> None:
    ollama.models["gpt-oss:latest"] = Installed(digest="abc")
    model = make_model(model="gpt-oss", embedding_model=None)
    assert (await model.api.installed("gpt-oss")) is not None
    assert (await model.api.installed("gpt")) is None


async def test_a_server_that_hangs_counts_as_unreachable(make_model: MakeModel) -> None:
    may_end = asyncio.Event()

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await may_end.wait()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        model = make_model(url=f"http://ada:secret@127.0.0.1:{port}", timeout_s=0.1)
        [line] = await lines_of(model)
        may_end.set()
    assert "TimeoutError" in said(line)
    assert "secret" not in said(line)
    assert not model.is_up


@pytest.mark.parametrize("url", ["", "nonsense", "127.0.0.1:11434", "ftp://h", "http://", "http://[::1", "http://a b"])
def test_an_invalid_address_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(SettingsError, match=r"http://127\.0\.0\.1:11434"):
        OllamaModel(OllamaSettings(url=url), clock=WallClock())
