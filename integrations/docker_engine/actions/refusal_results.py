"""Turns a known refusal by an engine into the failed Result of an action, in people's language."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Protocol, TypeVar

from core.actions.catalog import Outcome, Params, Result
from integrations.docker_engine.actions.container_facts import RedactText
from integrations.docker_engine.refusals import EngineNotFound, EngineRefused


class HasRedactor(Protocol):
    """A toolset that has a redactor."""

    _redact: RedactText


S = TypeVar("S", bound=HasRedactor)
P = TypeVar("P", bound=Params)


def refusals_as_results(method: Callable[[S, P], Awaitable[Result]]) -> Callable[[S, P], Awaitable[Result]]:
    """Return the method with known refusals turned into failed Results; the engine's message goes to `data`."""

    @wraps(method)
    async def run(self: S, params: P) -> Result:
        try:
            return await method(self, params)
        except (EngineRefused, EngineNotFound) as error:
            data = {"trouble": str(error.trouble), "error": self._redact(str(error))}
            return Result(outcome=Outcome.FAILED, message=error.message, data={**data})

    return run
