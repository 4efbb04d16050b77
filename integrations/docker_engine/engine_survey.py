"""Looks at the start which engines answer; where none does, the simulated host is guarded, and said to be simulated."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import GuardianError
from core.text import Text, text
from integrations.docker_engine.engine import Engine
from integrations.docker_engine.simulated.demo_host import demo_engine

PATIENCE_S = 3.0
"""How long an engine may take to answer before it counts as absent."""
SIMULATED = "simulated"


@dataclass(frozen=True, kw_only=True)
class EngineSurvey:
    """What was found at the start, and what is to be said about it."""

    engines: Mapping[str, Engine]
    is_simulated: bool
    notices: tuple[Text, ...]


async def survey(engines: Mapping[str, Engine], *, simulated: bool) -> EngineSurvey:
    """These engines, also those that do not answer now; the simulated host instead where none does."""
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
    """Of those that do not answer, by name."""
    found = await asyncio.gather(*(_problem(engine) for engine in engines.values()))
    return {name: problem for name, problem in zip(engines, found, strict=True) if problem is not None}


def _simulated(notice: Text) -> EngineSurvey:
    return EngineSurvey(engines={SIMULATED: demo_engine(SIMULATED)}, is_simulated=True, notices=(notice,))


async def _problem(engine: Engine) -> str | None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            await engine.info()
    except GuardianError as error:
        return str(error)
    except TimeoutError:
        return f"{engine.name}: no answer within {PATIENCE_S:.0f} s"
    return None
