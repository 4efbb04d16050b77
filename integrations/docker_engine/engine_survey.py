"""Checks at start which engines answer; when none does, the simulated host takes their place, with a notice."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import GuardianError
from core.text import Text, text
from integrations.docker_engine.engine import Engine
from integrations.docker_engine.simulated.demo_host import demo_engine

ENGINE_ANSWER_LIMIT_S = 3.0
"""An engine that takes longer to answer counts as absent."""
SIMULATED_HOST = "simulated"


@dataclass(frozen=True, kw_only=True)
class EngineSurvey:
    """Engines found at start, and the notices for people about them."""

    engines: Mapping[str, Engine]
    is_simulated: bool
    notices: tuple[Text, ...]


async def survey_engines(engines: Mapping[str, Engine], *, simulated: bool) -> EngineSurvey:
    """Return these engines, even if some do not answer now; when none does, the simulated host instead."""
    found = {} if simulated else await _problems(engines)
    if not simulated and len(found) < len(engines):
        notices = tuple(text("start.engine_down", name=name, problem=problem) for name, problem in found.items())
        return EngineSurvey(engines=engines, is_simulated=False, notices=notices)
    for engine in engines.values():
        await engine.close()
    if simulated:
        return _simulated(text("start.simulated"))
    return _simulated(text("start.no_engine", problem="; ".join(found.values()) or "no engine is configured"))


async def _problems(engines: Mapping[str, Engine]) -> dict[str, str]:
    """Return the problems of the engines that do not answer, by name."""
    found = await asyncio.gather(*(_problem(engine) for engine in engines.values()))
    return {name: problem for name, problem in zip(engines, found, strict=True) if problem is not None}


def _simulated(notice: Text) -> EngineSurvey:
    return EngineSurvey(engines={SIMULATED_HOST: demo_engine(SIMULATED_HOST)}, is_simulated=True, notices=(notice,))


async def _problem(engine: Engine) -> str | None:
    try:
        async with asyncio.timeout(ENGINE_ANSWER_LIMIT_S):
            await engine.info()
    except GuardianError as error:
        return str(error)
    except TimeoutError:
        return f"{engine.name}: no answer within {ENGINE_ANSWER_LIMIT_S:.0f} s"
    return None
