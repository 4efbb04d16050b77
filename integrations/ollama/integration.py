"""Ollama behind the integration protocol: the language model, and the embeddings of the incident memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing

from core.checks import CheckLine
from core.errors import ModelFailed
from core.integration import Embeddings, Integration, IntegrationDeps
from core.language_model import LanguageModel
from core.settings import OllamaSettings
from core.text import Text, text
from integrations.ollama.client import OllamaModel
from integrations.ollama.embeddings import OllamaEmbeddings
from integrations.ollama.health import check


def install(deps: IntegrationDeps) -> Integration:
    """With a model, or without where the settings want none."""
    settings = deps.settings.ollama
    return NoModel(deps) if settings is None else OllamaIntegration(deps, settings)


class NoModel(Integration):
    """Rules alone."""

    def health(self) -> Mapping[str, object]:
        """There is none to be up."""
        return {"model": None}

    async def greeting(self) -> Sequence[Text]:
        """That the model is off."""
        return [text("start.model_off")]


class MemoryEmbeddings:
    """core.integration.Embeddings over a model that may be down."""

    def __init__(self, embeddings: OllamaEmbeddings) -> None:
        self._embeddings = embeddings

    async def current(self) -> str | None:
        """`name@digest`; None: it is down."""
        try:
            found = await self._embeddings.identity()
        except ModelFailed:
            return None
        return f"{found.model}@{found.digest}"

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text. Raises ModelFailed."""
        return await self._embeddings.embed(texts)


class OllamaIntegration(Integration):
    """A model server that may come and go."""

    def __init__(self, deps: IntegrationDeps, settings: OllamaSettings) -> None:
        super().__init__(deps)
        self._settings = settings
        self._model = OllamaModel(settings, clock=deps.clock)

    async def open(self, stack: AsyncExitStack) -> None:
        """Close it at the end; it connects when it is asked."""
        stack.push_async_callback(self._model.aclose)

    def model(self) -> LanguageModel:
        """The model, up or down."""
        return self._model

    def embeddings(self) -> Embeddings | None:
        """With the model that the settings name for it."""
        name = self._settings.embedding_model
        return MemoryEmbeddings(OllamaEmbeddings(self._model.api, name)) if name is not None else None

    async def preload(self) -> None:
        """Have the server load the model, where it answers."""
        if await self._model.probe():
            await self._model.preload()

    def health(self) -> Mapping[str, object]:
        """Whether it answered when it was last talked to."""
        return {"model": self._model.is_up}

    async def greeting(self) -> Sequence[Text]:
        """That it does not answer."""
        return [] if await self._model.probe() else [text("start.no_model")]

    async def checks(self, *, quick: bool) -> AsyncIterator[CheckLine]:
        """Server, model and embedder; how it runs only where there is time to load it."""
        async with aclosing(OllamaModel(self._settings, clock=self.deps.clock)) as model:
            async for line in check(model, load=not quick):
                yield line
