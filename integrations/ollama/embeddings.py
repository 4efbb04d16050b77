"""Embeddings through Ollama: unit vectors, and the identity of the model that made them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import ModelFailed, ModelFailure
from integrations.ollama.ollama_api import OllamaApi

BATCH = 16
_QUERY_PREFIXES = {
    # The model's card: documents go in bare, queries with their task.
    "qwen3-embedding": "Instruct: Given an incident, find past incidents and notes like it\nQuery: ",
    "nomic-embed-text": "search_query: ",
}
_DOCUMENT_PREFIXES = {"nomic-embed-text": "search_document: "}


@dataclass(frozen=True, kw_only=True)
class EmbeddingIdentity:
    """Identity of the model an index was made with; an index of another identity must be rebuilt."""

    model: str
    digest: str
    dims: int

    def __str__(self) -> str:
        return f"{self.model}@{self.digest[:19]}/{self.dims}"


class OllamaEmbeddings:
    """Turns texts into vectors with one model."""

    def __init__(self, api: OllamaApi, model: str) -> None:
        self._api = api
        self.model = model

    async def embed(self, texts: Sequence[str], *, as_query: bool = False) -> list[list[float]]:
        """Return a vector of length 1 per text, in order; a blank text is embedded as "-". Raises ModelFailed."""
        prefix = _prefix(self.model, _QUERY_PREFIXES if as_query else _DOCUMENT_PREFIXES)
        inputs = [prefix + (text.strip() or "-") for text in texts]
        vectors: list[list[float]] = []
        for start in range(0, len(inputs), BATCH):
            batch = inputs[start : start + BATCH]
            found = await self._api.embed(self.model, batch)
            if len(found) != len(batch):
                raise self._malformed(f"{len(found)} vectors for {len(batch)} texts")
            vectors += [self._unit(vector) for vector in found]
        if len({len(vector) for vector in vectors}) > 1:
            raise self._malformed("vectors of different lengths")
        return vectors

    async def identity(self) -> EmbeddingIdentity:
        """Return the model, its digest and its dimensions as the server has it now. Raises ModelFailed."""
        installed = await self._api.installed(self.model)
        if installed is None:
            raise ModelFailed(
                ModelFailure.MISSING,
                f"Ollama has no model {self.model!r}; run `ollama pull {self.model}` on its machine",
                model=self.model,
            )
        [vector] = await self.embed(["dimensions"])
        return EmbeddingIdentity(model=installed.name, digest=installed.digest, dims=len(vector))

    def _unit(self, vector: list[float]) -> list[float]:
        length = math.sqrt(sum(value * value for value in vector))
        if not math.isfinite(length) or length == 0:
            raise self._malformed("a vector without a direction")
        return [value / length for value in vector]

    def _malformed(self, problem: str) -> ModelFailed:
        return ModelFailed(ModelFailure.MALFORMED, f"the embedding model {self.model!r} gave {problem}")


def _prefix(model: str, prefixes: dict[str, str]) -> str:
    name = model.rpartition("/")[2]
    return next((prefix for stem, prefix in prefixes.items() if name.startswith(stem)), "")
