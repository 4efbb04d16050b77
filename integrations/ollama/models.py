"""Replies of Ollama's other endpoints, limited to the fields that are used."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Payload(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ServerVersion(_Payload):
    """GET /api/version"""

    version: str


class InstalledModel(_Payload):
    """One of GET /api/tags"""

    name: str
    digest: str = ""
    size: int = 0


class InstalledModels(_Payload):
    """GET /api/tags"""

    models: tuple[InstalledModel, ...] = ()


class ModelDetails(_Payload):
    """POST /api/show"""

    capabilities: tuple[str, ...] = ()


class LoadedModel(_Payload):
    """One of GET /api/ps"""

    name: str
    size: int = 0
    size_vram: int = 0
    context_length: int | None = None
    """Context size it really runs with; the server lowers it if memory is short. None from older servers."""


class LoadedModels(_Payload):
    """GET /api/ps"""

    models: tuple[LoadedModel, ...] = ()


class LoadReply(_Payload):
    """POST /api/chat without messages"""

    done: bool
    done_reason: str = ""


class EmbedReply(_Payload):
    """POST /api/embed"""

    embeddings: tuple[tuple[float, ...], ...] = Field(default=())


def name_with_tag(model: str) -> str:
    """Return the name as the server lists it: without a tag it is `:latest`."""
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"
