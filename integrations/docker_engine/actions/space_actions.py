"""Actions on disk space and published ports."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import UTC, datetime

from pydantic import JsonValue

from core.actions.catalog import JsonObject, Outcome, Preview, Result, Risk, Role, Toolset, action
from core.text import Text, text
from integrations.docker_engine.actions import container_facts, prune_selection, published_ports
from integrations.docker_engine.actions.container_facts import RedactText
from integrations.docker_engine.actions.container_lookup import EngineLookup
from integrations.docker_engine.actions.container_params import PortsParams, PruneParams
from integrations.docker_engine.actions.prune_selection import PruneRequest, PruneSelection, PruneTarget
from integrations.docker_engine.actions.refusal_results import refusals_as_results
from integrations.docker_engine.engine import Engine
from integrations.docker_engine.image_store import PortBinding
from integrations.docker_engine.refusals import EngineNotFound, RefusalReason
from integrations.docker_engine.registry_lookup import RegistryLookup

PRUNE_LIMIT_S = 300.0
LINES_SHOWN = 30
ImagesToKeep = Callable[[], Awaitable[Collection[str]]]
"""Ids (sha256:…) and digest references of images that must stay."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


async def keep_no_images() -> Collection[str]:
    """Return nothing: no image must stay."""
    return ()


class SpaceToolset(Toolset):
    """Frees disk space, and lists published ports."""

    system = "docker"

    def __init__(
        self,
        engines: Mapping[str, Engine],
        redact: RedactText,
        *,
        now: Callable[[], datetime] = _utc_now,
        registries: RegistryLookup | None = None,
        keep: ImagesToKeep = keep_no_images,
    ) -> None:
        """`keep`: images that no prune may remove, such as those of versions to roll back to."""
        self._engines = EngineLookup(engines)
        self._redact = redact
        self._now = now
        self._registries = registries or RegistryLookup(now)
        self._keep = keep

    def unavailable(self) -> str | None:
        """Return the missing setting when no engine is configured."""
        return None if self._engines.names else "no Docker engine is configured (setting `engines`)"

    # -- pruning ---------------------------------------------------------------------------------------------------

    @action(
        Risk.DESTRUCTIVE,
        role=Role.ADMIN,
        preview="would_prune",
        outcome="is_pruned",
        time_limit_s=PRUNE_LIMIT_S,
    )
    @refusals_as_results
    async def prune(self, params: PruneParams) -> Result:
        """Free disk space: delete images without a name, unused images that their registry still
        has, build cache, unused networks of Compose. Never a volume, a container, or what a container needs.

        The next build or deploy takes longer. Check disk_usage first: it doesn't free logs or volumes.
        """
        engine, wish = self._engines.one(params.host), _wish(params)
        choice = await self._choose(engine, wish)
        if choice.is_empty:
            message = text("docker.prune_nothing", host=engine.name)
            return self._result(message, {"host": engine.name, **_choice_facts(choice)}, "docker system df")
        removed = await prune_selection.remove_selected(engine, choice, wish)
        freed_mb = container_facts.to_mb(removed.images_bytes + removed.cache_bytes)
        images_mb, cache_mb = container_facts.to_mb(removed.images_bytes), container_facts.to_mb(removed.cache_bytes)
        data: JsonObject = {
            "host": engine.name,
            "freed_mb": freed_mb,
            "images_mb": images_mb,
            "build_cache_mb": cache_mb,
            "images": [one.title for one in removed.images],
            "networks": [one.name for one in removed.networks],
            "left": list(removed.left),
        }
        message = text(
            "docker.pruned_but" if removed.left else "docker.pruned",
            host=engine.name,
            mb=freed_mb,
            images=len(removed.images),
            images_mb=images_mb,
            cache_mb=cache_mb,
            networks=len(removed.networks),
            left=len(removed.left),
        )
        return self._result(message, data, "; ".join(_commands(choice, wish)))

    async def would_prune(self, params: PruneParams) -> Preview:
        """Preview the selection and the least space freed; raises EngineNotFound when there is nothing to remove."""
        engine, wish = self._engines.one(params.host), _wish(params)
        choice = await self._choose(engine, wish)
        if choice.is_empty:
            problem = f"there is nothing on {engine.name!r} that could be removed and fetched or made again"
            raise EngineNotFound(problem, text("docker.prune_nothing", host=engine.name), RefusalReason.NOTHING_TO_DO)
        lines = _commands(choice, wish)
        shown = lines[:LINES_SHOWN] + ([f"… +{len(lines) - LINES_SHOWN}"] if len(lines) > LINES_SHOWN else [])
        warnings = [text("docker.prune_frees", host=engine.name, mb=container_facts.to_mb(choice.bytes))]
        if choice.cache or any(not one.digests for one in choice.dangling):
            warnings.append(text("docker.prune_slows"))
        if choice.kept:
            warnings.append(text("docker.prune_keeps", count=len(choice.kept)))
        return Preview(lines=tuple(map(self._redact, shown)), warnings=tuple(warnings), basis=choice.basis)

    async def is_pruned(self, params: PruneParams, started_at: datetime) -> Outcome:
        """Return OK if nothing is left to remove."""
        engine = self._engines.one(params.host)
        left = await self._choose(engine, _wish(params))
        return Outcome.OK if left.is_empty else Outcome.FAILED

    async def _choose(self, engine: Engine, wish: PruneRequest) -> PruneSelection:
        return await prune_selection.select_prunable(
            engine, wish, self._registries, now=self._now(), keep=await self._keep()
        )

    # -- ports -----------------------------------------------------------------------------------------------------

    @action(Risk.READ)
    @refusals_as_results
    async def ports(self, params: PortsParams) -> Result:
        """List the ports that containers publish on their host, stopped ones too, with collisions and with
        databases that are open to every network. Ports routed by a swarm are not included.
        """
        engines = [self._engines.one(params.host)] if params.host else self._engines.all
        found = [one for held in await asyncio.gather(*(one.store.bindings() for one in engines)) for one in held]
        found.sort(key=lambda one: (one.container.partition("/")[0], one.port, one.container, one.address))
        clashes, exposed = published_ports.port_conflicts(found), published_ports.exposed_databases(found)
        rows: list[JsonValue] = [_binding_row(one) for one in found]
        data: JsonObject = {
            "ports": rows,
            "conflicts": [
                {
                    "port": one.port,
                    "protocol": one.protocol,
                    "containers": [one.container, other.container],
                    "states": [one.state, other.state],
                }
                for one, other in clashes
            ],
            "exposed": [
                {"container": one.container, "port": one.port, "address": one.address, "program": program}
                for one, program in exposed
            ],
        }
        message = text("docker.ports", count=len(found), conflicts=len(clashes), exposed=len(exposed))
        query = "docker ps --all --format '{{.Names}}: {{.Ports}}'"
        return self._result(message, data, query, Outcome.OK if found else Outcome.NO_DATA)

    def _result(self, message: Text, data: JsonObject, query: str, outcome: Outcome = Outcome.OK) -> Result:
        clean = {name: container_facts.redact_json_strings(value, self._redact) for name, value in data.items()}
        return Result(outcome=outcome, message=message, data=clean, query=self._redact(query))


def _wish(params: PruneParams) -> PruneRequest:
    parts = frozenset(params.parts) if params.parts else frozenset(PruneTarget)
    return PruneRequest(parts=parts, older_than_h=params.older_than_h, label=params.label or "")


def _choice_facts(choice: PruneSelection) -> JsonObject:
    return {part.value: container_facts.to_mb(choice.bytes_of(part)) for part in PruneTarget} | {
        "kept": [one.title for one in choice.kept],
    }


def _commands(choice: PruneSelection, wish: PruneRequest) -> list[str]:
    """Return the equivalent shell commands, largest first."""
    images = sorted(choice.images, key=lambda one: -(one.unique_bytes or 0))
    lines = [
        f"docker image rm {shlex.quote(one.title)}  # {container_facts.to_mb(one.unique_bytes or 0)} MB"
        for one in images
    ]
    if choice.cache:
        hours = wish.span(PruneTarget.CACHE).total_seconds() / 3600
        size = container_facts.to_mb(choice.bytes_of(PruneTarget.CACHE))
        lines.insert(0, f"docker builder prune --all --filter until={hours:g}h  # {size} MB")
    return lines + [f"docker network rm {shlex.quote(one.name)}" for one in choice.networks]


def _binding_row(one: PortBinding) -> JsonObject:
    return {
        "container": one.container,
        "stack": one.stack,
        "service": one.service,
        "image": one.image,
        "state": one.state,
        "address": one.address,
        "port": one.port or None,
        "inside": one.inside,
        "protocol": one.protocol,
        "is_open": one.is_open,
    }
