"""The stage of the engine contract on the simulated engine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from integrations.docker_engine.engine import Engine
from integrations.docker_engine.simulated.container_spec import ContainerSpec, HealthCheck, ProgramExit
from integrations.docker_engine.simulated.simulated_engine import SimulatedEngine
from tests.integrations.docker_engine.stage import Stream

PROJECT = "shop"
QUICK_CHECK = HealthCheck(interval_s=0.1, retries=2)


class SimulatedStage:
    """See `Stage`."""

    def __init__(self, engine: SimulatedEngine) -> None:
        self._engine = engine

    @property
    def engine(self) -> Engine:
        return self._engine

    @property
    def project(self) -> str:
        return PROJECT

    async def runs(
        self,
        service: str = "api",
        *,
        memory_mb: int | None = None,
        has_health_check: bool = False,
        restart: str = "no",
        depends_on: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> str:
        return await self._make(
            ContainerSpec(
                stack=PROJECT,
                service=service,
                memory_mb=memory_mb,
                health=QUICK_CHECK if has_health_check else None,
                restart=restart,
                depends_on=tuple(depends_on),
                env=env or {},
                labels=labels or {},
            )
        )

    async def crashes(self, service: str = "api", *, exit_code: int = 1, restart: str = "no") -> str:
        return await self._make(
            ContainerSpec(stack=PROJECT, service=service, restart=restart, ends=ProgramExit(exit_code=exit_code))
        )

    async def ignores_sigterm(self, service: str = "worker") -> str:
        return await self._make(ContainerSpec(stack=PROJECT, service=service, is_stubborn=True))

    async def prints(self, lines: Sequence[tuple[Stream, bytes]], service: str = "chat") -> str:
        name = await self._make(ContainerSpec(stack=PROJECT, service=service, greeting=()))
        for stream, line in lines:
            self._engine.say(name, stream, line)
        return name

    async def cannot_start(self, service: str = "api") -> str:
        problem = 'exec: "/no/such/program": stat /no/such/program: no such file or directory: unknown'
        return await self._make(ContainerSpec(stack=PROJECT, service=service, start_problem=problem))

    async def eat_memory(self, name: str) -> None:
        await asyncio.sleep(0.01)
        self._engine.oom(name, over_s=0.2)

    async def eat_memory_in_child(self, name: str) -> None:
        await asyncio.sleep(0.01)
        self._engine.child_oom(name)

    async def set_health(self, name: str, *, is_healthy: bool) -> None:
        await asyncio.sleep(0.01)
        if is_healthy:
            self._engine.mend(name)
        else:
            self._engine.unhealthy(name)

    async def kill(self, name: str, signal: int = 9) -> None:
        await asyncio.sleep(0.01)
        self._engine.kill(name, signal)

    async def pause(self, name: str) -> None:
        await asyncio.sleep(0.01)
        self._engine.pause(name)

    async def remove(self, name: str) -> None:
        await asyncio.sleep(0.01)
        self._engine.remove(name)

    async def _make(self, recipe: ContainerSpec) -> str:
        await asyncio.sleep(0.01)  # as on a real engine, nothing happens before who listens has begun to
        return self._engine.create(recipe)
