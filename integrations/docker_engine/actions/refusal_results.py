"""Lets a refusal that has a name reach people in their own language, as the failed Result of an action."""

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


def told(method: Callable[[S, P], Awaitable[Result]]) -> Callable[[S, P], Awaitable[Result]]:
    """Turn such an error of an action's method into its failed Result; the engine's own words go to `data`."""

    @wraps(method)
    async def run(self: S, params: P) -> Result:
        try:
            return await method(self, params)
        except (EngineRefused, EngineNotFound) as error:
            data = {"trouble": str(error.trouble), "error": self._redact(str(error))}
            return Result(outcome=Outcome.FAILED, message=error.says, data={**data})

    return run
