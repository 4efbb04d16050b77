"""Finds the engine and the container for a reference."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from core.errors import SystemUnavailable, closest
from core.monitoring.inventory import Container
from core.monitoring.snapshot import Sample
from core.text import text
from integrations.docker_engine.engine import Engine
from integrations.docker_engine.refusals import EngineNotFound, RefusalReason


class EngineLookup:
    """All engines by host name."""

    def __init__(self, engines: Mapping[str, Engine]) -> None:
        self._engines = engines

    @property
    def names(self) -> list[str]:
        """Host names, sorted."""
        return sorted(self._engines)

    @property
    def all(self) -> list[Engine]:
        """Every engine, sorted by host name."""
        return [self._engines[name] for name in self.names]

    def one(self, host: str | None) -> Engine:
        """Return the engine of a host, or the only one; raises NotFound naming those that exist."""
        if host is None and len(self._engines) == 1:
            return next(iter(self._engines.values()))
        known = ", ".join(self.names)
        if host is None:
            message = text("docker.trouble.which_host", known=known)
            raise EngineNotFound(f"there are several hosts; name one of: {known}", message, RefusalReason.WHICH)
        if host not in self._engines:
            near = closest(host, self.names)
            hint = f"did you mean {near!r}?" if near else f"known are: {known}"
            message = text("docker.trouble.no_host", host=host, known=known)
            raise EngineNotFound(f"there is no host {host!r}; {hint}", message, RefusalReason.NO_HOST)
        return self._engines[host]

    async def find(self, reference: str) -> tuple[Engine, Container]:
        """Return engine and container for `host/name`, or for a name that exists on only one host.

        Raises NotFound (with the nearest name), or SystemUnavailable when an engine that might know it is silent.
        """
        host, slash, name = reference.partition("/")
        candidates = [self.one(host)] if slash else list(self._engines.values())
        name = name if slash else reference
        answers = await asyncio.gather(*(_ask(engine, name) for engine in candidates))
        found = [(engine, one) for engine, one in zip(candidates, answers, strict=True) if isinstance(one, Container)]
        if len(found) == 1:
            return found[0]
        if found:
            both = " or ".join(repr(one.ref) for _, one in found)
            message = text(
                "docker.trouble.which_container", container=reference, known=", ".join(one.ref for _, one in found)
            )
            raise EngineNotFound(f"{reference!r} exists on several hosts; say {both}", message, RefusalReason.WHICH)
        for answer in answers:
            if isinstance(answer, SystemUnavailable):
                raise answer
        near = closest(name, await _names(candidates))
        hint = f"did you mean {near!r}?" if near else "list the containers to see which exist"
        key = "docker.trouble.unknown_container_near" if near else "docker.trouble.unknown_container"
        message = text(key, container=reference, near=near)
        raise EngineNotFound(f"there is no container {reference!r}; {hint}", message)

    async def everything(self, host: str | None) -> tuple[list[Container], list[str]]:
        """Return all containers, sorted by reference, and the hosts that did not answer; raises when none answered."""
        engines = [self.one(host)] if host else list(self._engines.values())
        answers = await asyncio.gather(*(_all(engine) for engine in engines))
        away = [engine.name for engine, one in zip(engines, answers, strict=True) if isinstance(one, SystemUnavailable)]
        for answer in answers:
            if isinstance(answer, SystemUnavailable) and len(away) == len(engines):
                raise answer
        found = [one for answer in answers if not isinstance(answer, SystemUnavailable) for one in answer]
        return sorted(found, key=lambda one: one.ref), away

    async def samples(self, host: str | None) -> list[tuple[str, Sample]]:
        """Return one sample per running container, by reference, largest memory first."""
        engines = [self.one(host)] if host else list(self._engines.values())
        rounds = await asyncio.gather(*(engine.sample() for engine in engines))
        pairs = [
            (f"{engine.name}/{name}", sample)
            for engine, taken in zip(engines, rounds, strict=True)
            for name, sample in taken.items()
        ]
        return sorted(pairs, key=lambda pair: -pair[1].memory_bytes)


async def _ask(engine: Engine, name: str) -> Container | SystemUnavailable | None:
    try:
        found = await engine.containers(only=[name])
    except SystemUnavailable as error:
        return error
    return found[0] if found else None


async def _all(engine: Engine) -> Sequence[Container] | SystemUnavailable:
    try:
        return await engine.containers()
    except SystemUnavailable as error:
        return error


async def _names(engines: Sequence[Engine]) -> list[str]:
    answers = await asyncio.gather(*(_all(engine) for engine in engines))
    return [one.name for answer in answers if not isinstance(answer, SystemUnavailable) for one in answer]
