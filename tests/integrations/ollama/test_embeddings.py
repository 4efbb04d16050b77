"""Embeddings: unit vectors in order, in batches, with the identity of what made them."""

import math

import pytest

from core.errors import ModelFailed, ModelFailure
from integrations.ollama.client import OllamaModel
from integrations.ollama.embeddings import BATCH, OllamaEmbeddings
from tests.standins.ollama import OllamaStandIn, unit_vector


@pytest.fixture
def embeddings(model: OllamaModel) -> OllamaEmbeddings:
    return OllamaEmbeddings(model.api, "qwen3-embedding:0.6b")


async def test_order_is_kept_over_batches(ollama: OllamaStandIn, embeddings: OllamaEmbeddings) -> None:
    texts = [f"incident {number}" for number in range(2 * BATCH + 3)]
    vectors = await embeddings.embed(texts)
    assert [len(body["input"]) for body in ollama.embeds] == [BATCH, BATCH, 3]
    assert all(body["truncate"] is True for body in ollama.embeds)
    for content, vector in zip(texts, vectors, strict=True):
        assert math.isclose(math.hypot(*vector), 1.0)
        assert vector == pytest.approx(unit_vector(content, 8))


async def test_nothing_to_embed_asks_nobody(ollama: OllamaStandIn, embeddings: OllamaEmbeddings) -> None:
    assert await embeddings.embed([]) == []
    assert ollama.embeds == []


async def test_a_blank_text_has_a_vector_too(embeddings: OllamaEmbeddings) -> None:
    [vector] = await embeddings.embed(["  "])
    assert math.isclose(math.hypot(*vector), 1.0)


async def test_a_query_carries_its_instruction(ollama: OllamaStandIn, embeddings: OllamaEmbeddings) -> None:
    await embeddings.embed(["api ran out of memory"], as_query=True)
    [sent] = ollama.embeds[0]["input"]
    assert sent.startswith("Instruct: ")
    assert sent.endswith("Query: api ran out of memory")


async def test_the_identity_names_model_digest_and_dimensions(
    ollama: OllamaStandIn, embeddings: OllamaEmbeddings
) -> None:
    before = await embeddings.identity()
    assert (before.model, before.dims) == ("qwen3-embedding:0.6b", 8)
    assert str(before).startswith("qwen3-embedding:0.6b@ac6da0dfba84")
    ollama.models["qwen3-embedding:0.6b"].digest = "other"
    assert await embeddings.identity() != before


async def test_a_missing_embedder_is_said(ollama: OllamaStandIn, embeddings: OllamaEmbeddings) -> None:
    ollama.models.clear()
    for wish in (embeddings.embed(["x"]), embeddings.identity()):
        with pytest.raises(ModelFailed, match="ollama pull qwen3-embedding") as caught:
            await wish
        assert caught.value.kind is ModelFailure.MISSING


async def test_an_embedder_that_is_away_is_said(ollama: OllamaStandIn, embeddings: OllamaEmbeddings) -> None:
    await ollama.stop()
    with pytest.raises(ModelFailed) as caught:
        await embeddings.embed(["x"])
    assert caught.value.kind is ModelFailure.UNREACHABLE


async def test_a_model_without_dimensions_is_refused(ollama: OllamaStandIn, embeddings: OllamaEmbeddings) -> None:
    ollama.models["qwen3-embedding:0.6b"].dims = 0
    with pytest.raises(ModelFailed, match="without a direction"):
        await embeddings.embed(["x"])
