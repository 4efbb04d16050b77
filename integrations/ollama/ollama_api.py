"""Ollama's endpoints other than chat; faults are raised as ModelFailed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError

from core.errors import ModelFailed, ModelFailure, plain_reason
from core.settings import OllamaSettings
from integrations.ollama.model_errors import failure_from_status
from integrations.ollama.models import (
    EmbedReply,
    InstalledModel,
    InstalledModels,
    LoadedModel,
    LoadedModels,
    LoadReply,
    ModelDetails,
    ServerVersion,
    name_with_tag,
)
from integrations.ollama.ollama_address import shown_address
from integrations.ollama.presence import ServerPresence

M = TypeVar("M", bound=BaseModel)
ANSWER_BYTES_LIMIT = 32 * 1024 * 1024
LOOKUP_LIMIT_S = 15.0
"""Time limit of the endpoints that only look something up."""
SLOW_PATHS = ("/api/chat", "/api/embed")
"""Endpoints that load or embed and may take long: a timeout there does not mean that the server is down."""


class OllamaApi:
    """Client of the endpoints; connects on first use, close with `aclose`."""

    def __init__(self, settings: OllamaSettings, presence: ServerPresence) -> None:
        self._settings = settings
        self._presence = presence
        self._look_s = min(LOOKUP_LIMIT_S, settings.timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def version(self) -> str:
        """Return the server's version."""
        return (await self._get("/api/version", ServerVersion)).version

    async def installed(self, model: str) -> InstalledModel | None:
        """Return the model as installed on the server; None if it is not there."""
        wanted = name_with_tag(model)
        tags = await self._get("/api/tags", InstalledModels)
        return next((found for found in tags.models if name_with_tag(found.name) == wanted), None)

    async def capabilities(self, model: str) -> tuple[str, ...]:
        """Return the model's capabilities: completion, tools, thinking, embedding …"""
        return (
            await self._post("/api/show", {"model": model}, ModelDetails, model=model, time_limit_s=self._look_s)
        ).capabilities

    async def loaded(self, model: str) -> LoadedModel | None:
        """Return the model as loaded now; None if it is not loaded."""
        wanted = name_with_tag(model)
        found = await self._get("/api/ps", LoadedModels)
        return next((running for running in found.models if name_with_tag(running.name) == wanted), None)

    async def load(self) -> None:
        """Load the chat model with the same context size as every question."""
        settings = self._settings
        body = {
            "model": settings.model,
            "messages": [],
            "stream": False,
            "keep_alive": settings.keep_alive,
            "options": {"num_ctx": settings.num_ctx},
        }
        await self._post("/api/chat", body, LoadReply, model=settings.model, time_limit_s=settings.timeout_s)

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """Return one vector per text, as the server sends them."""
        body = {
            "model": model,
            "input": list(texts),
            # A text that is too long is shortened, not refused: a memory that is nearly right beats none.
            "truncate": True,
            "keep_alive": self._settings.keep_alive,
        }
        reply = await self._post("/api/embed", body, EmbedReply, model=model, time_limit_s=self._settings.timeout_s)
        return [list(vector) for vector in reply.embeddings]

    async def _get(self, path: str, shape: type[M]) -> M:
        return await self._request("GET", path, None, shape, model=self._settings.model, time_limit_s=self._look_s)

    async def _post(self, path: str, body: dict[str, Any], shape: type[M], *, model: str, time_limit_s: float) -> M:
        return await self._request("POST", path, body, shape, model=model, time_limit_s=time_limit_s)

    async def _request(
        self, method: str, path: str, body: dict[str, Any] | None, shape: type[M], *, model: str, time_limit_s: float
    ) -> M:
        address = shown_address(self._settings)
        try:
            async with asyncio.timeout(time_limit_s):
                status, content = await self._exchange(method, path, body)
        except aiohttp.ClientError as error:
            problem = f"Ollama at {address} cannot be reached: {plain_reason(error)}"
            self._presence.missed(problem)
            raise ModelFailed(ModelFailure.UNREACHABLE, problem) from error
        except TimeoutError as error:
            problem = f"Ollama at {address} did not answer {path} within {time_limit_s:g} s"
            if path not in SLOW_PATHS:
                self._presence.missed(problem)
            raise ModelFailed(ModelFailure.TIMED_OUT, problem) from error
        self._presence.seen()
        if status >= 400:
            raise failure_from_status(status, _error_in(content), model)
        try:
            return shape.model_validate_json(content)
        except ValidationError as error:
            raise ModelFailed(
                ModelFailure.SERVER_ERROR, f"what answers {path} at {address} isn't Ollama; check `ollama.url`"
            ) from error

    async def _exchange(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, bytes]:
        session = self._opened()
        url = self._settings.url.rstrip("/") + path
        async with session.request(method, url, json=body) as response:
            content = bytearray()
            async for chunk in response.content.iter_chunked(65536):
                content += chunk
                if len(content) > ANSWER_BYTES_LIMIT:
                    raise aiohttp.ClientPayloadError(f"more than {ANSWER_BYTES_LIMIT} bytes")
            return response.status, bytes(content)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._settings.connect_timeout_s)
            self._session = aiohttp.ClientSession(timeout=timeout)
        return self._session


class _OllamaErrorBody(BaseModel):
    error: str = ""


def _error_in(content: bytes) -> str:
    try:
        return _OllamaErrorBody.model_validate_json(content).error
    except ValidationError:
        return content[:200].decode(errors="replace")
