"""Ollama behind the integration protocol: the language model, and the embeddings of the incident memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing

from core.errors import ModelFailed
from core.integration import CheckLine, EmbeddingModel, Integration, IntegrationDeps
from core.language_model import LanguageModel
from core.settings import OllamaSettings
from core.text import Text, text
from integrations.ollama.client import OllamaModel
from integrations.ollama.embeddings import OllamaEmbeddings
from integrations.ollama.health import check


def install(deps: IntegrationDeps) -> Integration:
    """Return the integration with a model, or without one if the settings want none."""
    settings = deps.settings.ollama
    return NoModel(deps) if settings is None else OllamaIntegration(deps, settings)


class NoModel(Integration):
    """Integration without a model: rules alone."""

    def health(self) -> Mapping[str, object]:
        """Return no facts: there is no model to be up."""
        return {"model": None}

    async def greeting(self) -> Sequence[Text]:
        """Say that the model is off."""
        return [text("start.model_off")]


class MemoryEmbeddings:
    """Embeddings from a model that may be down; implements `core.integration.Embeddings`."""

    def __init__(self, embeddings: OllamaEmbeddings) -> None:
        self._embeddings = embeddings

    async def current(self) -> str | None:
        """Return `name@digest` of the model; None while it is down."""
        try:
            found = await self._embeddings.identity()
        except ModelFailed:
            return None
        return f"{found.model}@{found.digest}"

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return one vector per text. Raises ModelFailed."""
        return await self._embeddings.embed(texts)


class OllamaIntegration(Integration):
    """Integration with a model server that may come and go."""

    def __init__(self, deps: IntegrationDeps, settings: OllamaSettings) -> None:
        super().__init__(deps)
        self._settings = settings
        self._model = OllamaModel(settings, clock=deps.clock)

    async def open(self, stack: AsyncExitStack) -> None:
        """Close the client at the end; it connects on the first request."""
        stack.push_async_callback(self._model.aclose)

    def model(self) -> LanguageModel:
        """Return the model, up or down."""
        return self._model

    def embeddings(self) -> EmbeddingModel | None:
        """Return the embeddings of the model that the settings name; None if they name none."""
        name = self._settings.embedding_model
        return MemoryEmbeddings(OllamaEmbeddings(self._model.api, name)) if name is not None else None

    async def preload(self) -> None:
        """Import LangChain ahead of the first question, if the server answers."""
        if await self._model.probe():
            await self._model.preload()

    def health(self) -> Mapping[str, object]:
        """Return whether the server answered the last request."""
        return {"model": self._model.is_up}

    async def greeting(self) -> Sequence[Text]:
        """Say that the server does not answer, if so."""
        return [] if await self._model.probe() else [text("start.no_model")]

    async def checks(self, *, quick: bool) -> AsyncIterator[CheckLine]:
        """Check server, model and embedder; the running model only where there is time to load it."""
        async with aclosing(OllamaModel(self._settings, clock=self.deps.clock)) as model:
            async for line in check(model, load=not quick):
                yield line
