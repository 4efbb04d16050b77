"""Checks each configured engine: that it answers, the API version, and the permission to list containers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from core.errors import GuardianError
from core.integration import CheckLine
from core.settings import EngineSettings
from core.text import text
from integrations.docker_engine.client.real_engine import RealEngine

ENGINE_CHECK_LIMIT_S = 10.0


async def check_engines(settings: Mapping[str, EngineSettings]) -> AsyncIterator[CheckLine]:
    """Yield one line per engine; never raises."""
    for name, one in settings.items():
        engine = RealEngine(name, one)
        try:
            async with asyncio.timeout(ENGINE_CHECK_LIMIT_S):
                info = await engine.info()
                count = len(await engine.containers())
        except (GuardianError, TimeoutError) as error:
            problem = str(error) or f"no answer within {ENGINE_CHECK_LIMIT_S:.0f} s"
            yield CheckLine(
                name=text("check.engine_down", name=name),
                ok=False,
                problem=text("check.problem", problem=problem),
                next_step=text("check.next.engine", name=name, url=one.url),
            )
        else:
            said = text("check.engine", name=name, version=info.version, api=info.api_version, count=count)
            yield CheckLine(name=said, ok=True)
        finally:
            await engine.close()
