"""Checks of the model server: it answers, has the right model with its abilities, and runs it as configured."""

from __future__ import annotations

from collections.abc import AsyncIterator

from core.errors import ModelFailed, ModelFailure, plain_reason
from core.integration import CheckLine
from core.settings import OllamaSettings
from core.text import Text, text
from integrations.ollama.client import OllamaModel
from integrations.ollama.models import InstalledModel, LoadedModel
from integrations.ollama.ollama_address import shown_address

NEEDED_CAPABILITIES = ("tools", "thinking")


async def check(model: OllamaModel, *, load: bool = True) -> AsyncIterator[CheckLine]:
    """Check server, model and digest, capabilities, with `load` (slow when cold) the loaded model, then the embedder.

    Stops at the first line that makes the rest pointless. Never raises ModelFailed.
    """
    settings = model.settings
    try:
        version = await model.api.version()
    except ModelFailed as failure:
        yield _server_down(settings, failure)
        return
    yield CheckLine(name=text("model.check.server", version=version, url=shown_address(settings)), ok=True)
    try:
        async for line in _model_lines(model, load=load):
            yield line
        if settings.embedding_model is not None:
            yield _present(
                text("model.check.embedding", model=settings.embedding_model),
                settings.embedding_model,
                await model.api.installed(settings.embedding_model),
            )
    except ModelFailed as failure:
        yield _server_down(settings, failure)


async def _model_lines(model: OllamaModel, *, load: bool) -> AsyncIterator[CheckLine]:
    settings = model.settings
    installed = await model.api.installed(settings.model)
    present = _present(text("model.check.model", model=settings.model), settings.model, installed)
    if installed is None:
        yield present
        return
    yield _digest(present, installed, settings)
    yield _capabilities(settings, await model.api.capabilities(settings.model))
    if not load:
        return
    name = text("model.check.loaded", model=settings.model)
    try:
        await model.warm_up()
    except ModelFailed as failure:
        yield CheckLine(
            name=name,
            ok=False,
            problem=text("model.check.not_loaded", problem=str(failure)),
            next_step=text("model.check.next.memory"),
        )
        return
    yield _running(name, settings, await model.api.loaded(settings.model))


def _server_down(settings: OllamaSettings, failure: ModelFailed) -> CheckLine:
    is_other = failure.kind is ModelFailure.SERVER_ERROR
    cause = failure.__cause__ or failure
    return CheckLine(
        name=text("model.check.server_down", url=shown_address(settings)),
        ok=False,
        problem=text("model.check.answers" if is_other else "model.check.no_answer", problem=plain_reason(cause)),
        next_step=text("model.check.next.address" if is_other else "model.check.next.start"),
    )


def _present(name: Text, wanted: str, installed: InstalledModel | None) -> CheckLine:
    if installed is not None:
        return CheckLine(name=name, ok=True)
    return CheckLine(
        name=name,
        ok=False,
        problem=text("model.check.absent"),
        next_step=text("model.check.next.pull", model=wanted),
    )


def _digest(present: CheckLine, installed: InstalledModel, settings: OllamaSettings) -> CheckLine:
    expected, found = settings.digest, installed.digest.removeprefix("sha256:")
    if expected is None or found.startswith(expected.removeprefix("sha256:")):
        return present
    return CheckLine(
        name=present.name,
        ok=False,
        problem=text("model.check.other_digest", found=found[:12], expected=expected[:19]),
        next_step=text("model.check.next.digest", found=found[:12]),
    )


def _capabilities(settings: OllamaSettings, found: tuple[str, ...]) -> CheckLine:
    name = text("model.check.capabilities", model=settings.model)
    missing = [needed for needed in NEEDED_CAPABILITIES if needed not in found]
    if not missing:
        return CheckLine(name=name, ok=True)
    return CheckLine(
        name=name,
        ok=False,
        problem=text("model.check.incapable", missing=", ".join(missing)),
        next_step=text("model.check.next.other_model"),
    )


def _running(name: Text, settings: OllamaSettings, running: LoadedModel | None) -> CheckLine:
    if running is None:
        problem = text("model.check.not_loaded", problem="/api/ps")
        return CheckLine(name=name, ok=False, problem=problem, next_step=text("model.check.next.memory"))
    if running.context_length is not None and running.context_length < settings.num_ctx:
        return CheckLine(
            name=name,
            ok=False,
            problem=text("model.check.small_context", found=running.context_length, expected=settings.num_ctx),
            next_step=text("model.check.next.context"),
        )
    if running.size_vram < running.size:
        return CheckLine(
            name=name,
            ok=False,
            problem=text("model.check.partly_on_cpu", percent=round(100 * running.size_vram / running.size)),
            next_step=text("model.check.next.graphics"),
        )
    return CheckLine(name=name, ok=True)
