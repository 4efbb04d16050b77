"""A stand-in for Ollama that speaks its protocol over real HTTP (server 0.32), with a script instead of a model."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web

from tests.standins.ollama_replies import Answerer, Json, Reply

THINK_VALUES = (True, False, None, "low", "medium", "high", "max")
CREATED_AT = "2026-11-20T12:00:00.1Z"


@dataclass(kw_only=True)
class Installed:
    """A model on the stand-in's disk."""

    digest: str
    size: int = 13_793_441_244
    capabilities: tuple[str, ...] = ("completion", "tools", "thinking")
    dims: int = 0


def default_models() -> dict[str, Installed]:
    """GPT-OSS and one for embeddings."""
    return {
        "gpt-oss:20b": Installed(digest="17052f91a42e97930aa6e28a6c6c06a983e6a58dbb00434885a0cf5313e376f7"),
        "qwen3-embedding:0.6b": Installed(
            digest="ac6da0dfba84a81f0bfa8b1a3ee1e3c4f0bd1c7b0a0ac1eb5b5e0a4e1f7f0001",
            size=639_000_000,
            capabilities=("embedding",),
            dims=8,
        ),
    }


class OllamaStandIn:
    """`async with OllamaStandIn() as ollama: ollama.script([says("hello")]); … ollama.url`."""

    def __init__(self) -> None:
        self.models = default_models()
        self.requests: list[Json] = []
        """Bodies of /api/chat that asked something, in order."""
        self.loads: list[Json] = []
        """Bodies of /api/chat without messages."""
        self.embeds: list[Json] = []
        self.loaded: dict[str, int] = {}
        """Model → context length it runs with."""
        self.context_limit: int | None = None
        """Less memory than asked for: the context is lowered to this."""
        self.vram_share = 1.0
        self.at_once = 0
        self.most_at_once = 0
        self.hung_up = 0
        """How many clients left before their answer was whole."""
        self._script: deque[Reply] = deque()
        self._answerer: Answerer | None = None
        self._runner: web.AppRunner | None = None
        self._port = 0

    # -- life ------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; after a stop on the same port as before."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_get("/", self._root)
        app.router.add_get("/api/version", self._version)
        app.router.add_get("/api/tags", self._tags)
        app.router.add_get("/api/ps", self._ps)
        app.router.add_post("/api/show", self._show)
        app.router.add_post("/api/pull", self._pull)
        app.router.add_post("/api/chat", self._chat)
        app.router.add_post("/api/embed", self._embed)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening: connections are refused from now on."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._port}"

    def script(self, replies: Iterable[Reply] | Answerer) -> None:
        """What to answer: one after another, or by a function of the request. Replaces what was left."""
        self._script.clear()
        self._answerer = None
        if callable(replies):
            self._answerer = replies
        else:
            self._script.extend(replies)

    @property
    def left(self) -> int:
        """How many scripted replies nobody has fetched."""
        return len(self._script)

    # -- looking things up -----------------------------------------------------------------------------------------

    async def _root(self, _: web.Request) -> web.Response:
        return web.Response(text="Ollama is running")

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": "0.32.15"})

    async def _tags(self, _: web.Request) -> web.Response:
        return web.json_response({"models": [self._listed(name) for name in self.models]})

    async def _ps(self, _: web.Request) -> web.Response:
        running = []
        for name, context in self.loaded.items():
            size = self.models[name].size + 24 * 1024 * context
            running.append(
                {
                    **self._listed(name),
                    "size": size,
                    "expires_at": "2026-11-20T12:30:00Z",
                    "size_vram": int(size * self.vram_share),
                    "context_length": context,
                }
            )
        return web.json_response({"models": running})

    def _listed(self, name: str) -> Json:
        model = self.models[name]
        return {
            "name": name,
            "model": name,
            "modified_at": "2025-10-10T10:00:00Z",
            "size": model.size,
            "digest": model.digest,
            "details": {
                "parent_model": "",
                "format": "gguf",
                "family": "gptoss",
                "families": ["gptoss"],
                "parameter_size": "20.9B",
                "quantization_level": "MXFP4",
            },
        }

    async def _show(self, request: web.Request) -> web.Response:
        name = (await request.json()).get("model")
        if name not in self.models:
            return _error(404, f"model '{name}' not found")
        return web.json_response(
            {
                "modelfile": f"FROM {name}",
                "parameters": "temperature 1",
                "template": "",
                "details": self._listed(name)["details"],
                "model_info": {"general.architecture": "gptoss", "gptoss.context_length": 131072},
                "capabilities": list(self.models[name].capabilities),
                "modified_at": "2025-10-10T10:00:00Z",
                "license": "Apache-2.0",
            }
        )

    async def _pull(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        name = body["model"]
        digest = hashlib.sha256(name.encode()).hexdigest()
        self.models.setdefault(name, Installed(digest=digest))
        if body.get("stream") is False:
            return web.json_response({"status": "success"})
        response = await _ndjson(request)
        for line in (
            {"status": "pulling manifest"},
            {"status": f"pulling {digest[:12]}", "digest": f"sha256:{digest}", "total": 100, "completed": 100},
            {"status": "verifying sha256 digest"},
            {"status": "writing manifest"},
            {"status": "success"},
        ):
            await response.write(json.dumps(line).encode() + b"\n")
        return response

    # -- conversation ----------------------------------------------------------------------------------------------

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        try:
            body = json.loads(await request.text())
        except json.JSONDecodeError as error:
            return _error(400, str(error))
        if refused := self._refusal(body):
            return refused
        self._load(body)
        if not body.get("messages"):
            self.loads.append(body)
            reason = "unload" if body.get("keep_alive") == 0 else "load"
            return web.json_response(_line(body, {"content": ""}, done=True, done_reason=reason))
        self.requests.append(body)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self._answer(request, body, self._next_reply(body))
        except (asyncio.CancelledError, ConnectionError):
            self.hung_up += 1
            raise
        finally:
            self.at_once -= 1

    def _refusal(self, body: Json) -> web.Response | None:
        model = body.get("model")
        if not model:
            return _error(400, "model is required")
        if model not in self.models:
            return _error(404, f"model '{model}' not found")
        if body.get("think") not in THINK_VALUES:
            return _error(400, f"invalid think value: {body['think']!r}")
        if body.get("tools") and "tools" not in self.models[model].capabilities:
            return _error(400, f'"{model}" does not support tools')
        return None

    def _load(self, body: Json) -> None:
        if body.get("keep_alive") == 0:
            self.loaded.pop(body["model"], None)
            return
        wanted = body.get("options", {}).get("num_ctx", 4096)
        self.loaded[body["model"]] = min(wanted, self.context_limit or wanted)

    def _next_reply(self, body: Json) -> Reply:
        if self._answerer is not None:
            return self._answerer(body)
        if not self._script:
            return Reply(status=500, error="the script of the stand-in is at its end")
        return self._script.popleft()

    async def _answer(self, request: web.Request, body: Json, reply: Reply) -> web.StreamResponse:
        if reply.held_until is not None:
            await reply.held_until.wait()
        if reply.delay_s:
            await asyncio.sleep(reply.delay_s)
        if reply.status >= 400:
            return _error(reply.status, reply.error)
        lines = list(_lines(body, reply))
        if body.get("stream") is False:
            return web.json_response(_whole(body, reply))
        response = await _ndjson(request)
        for number, line in enumerate(lines):
            if reply.drip_s:
                await asyncio.sleep(reply.drip_s)
            await response.write(line)
            if reply.is_reset and number == 1 and request.transport is not None:
                await asyncio.sleep(0)
                request.transport.abort()
                break
        return response

    async def _embed(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.embeds.append(body)
        name, texts = body.get("model"), body.get("input", [])
        if name not in self.models:
            return _error(404, f'model "{name}" not found, try pulling it first')
        texts = [texts] if isinstance(texts, str) else texts
        if not isinstance(texts, list) or not all(isinstance(item, str) for item in texts):
            return _error(400, "invalid input type")
        vectors = [unit_vector(item, self.models[name].dims) for item in texts]
        return web.json_response(
            {"model": name, "embeddings": vectors, "total_duration": 1, "load_duration": 1, "prompt_eval_count": 4}
        )


def unit_vector(content: str, dims: int) -> list[float]:
    """A vector of length 1 that depends on the text alone."""
    raw = [byte - 127.5 for byte in hashlib.shake_256(content.encode()).digest(dims)]
    length = math.sqrt(sum(value * value for value in raw))
    return [value / length for value in raw]


def _lines(body: Json, reply: Reply) -> Iterable[bytes]:
    if reply.raw is not None:
        yield reply.raw.encode()
        return
    if reply.thinking:
        yield _encoded(_line(body, {"content": "", "thinking": reply.thinking}))
    for number, piece in enumerate(_split(reply.content, reply.pieces)):
        if reply.error and number == 1:
            break
        yield _encoded(_line(body, {"content": piece}))
    if reply.error:
        yield _encoded({"error": reply.error})
    elif reply.is_done_sent:
        yield _encoded(_whole(body, reply, content=""))


def _whole(body: Json, reply: Reply, content: str | None = None) -> Json:
    message: Json = {"content": reply.content if content is None else content}
    if content is None and reply.thinking:
        message["thinking"] = reply.thinking
    if reply.calls:
        message["tool_calls"] = [
            {"id": f"call_a1b2c3d{index}", "function": {"index": index, "name": name, "arguments": arguments}}
            for index, (name, arguments) in enumerate(reply.calls)
        ]
    return _line(
        body,
        message,
        done=True,
        done_reason=reply.done_reason,
        total_duration=1,
        load_duration=1,
        prompt_eval_count=reply.prompt_tokens,
        prompt_eval_duration=1,
        eval_count=reply.output_tokens,
        eval_duration=1,
    )


def _line(body: Json, message: Json, *, done: bool = False, **more: Any) -> Json:
    return {
        "model": body["model"],
        "created_at": CREATED_AT,
        "message": {"role": "assistant", **message},
        "done": done,
        **more,
    }


def _split(content: str, pieces: int) -> list[str]:
    if not content:
        return []
    size = max(math.ceil(len(content) / pieces), 1)
    return [content[start : start + size] for start in range(0, len(content), size)]


def _encoded(line: Json) -> bytes:
    return json.dumps(line).encode() + b"\n"


async def _ndjson(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    return response


def _error(status: int, problem: str) -> web.Response:
    return web.json_response({"error": problem}, status=status)
