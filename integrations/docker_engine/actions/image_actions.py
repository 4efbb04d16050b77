"""Actions on images: list them, find newer ones, pull them."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from pydantic import JsonValue

from core.actions.catalog import JsonObject, Outcome, Result, Risk, Toolset, action
from core.errors import SystemUnavailable
from core.monitoring.inventory import Container
from core.text import Text, text
from integrations.docker_engine import image_references
from integrations.docker_engine.actions import container_facts
from integrations.docker_engine.actions.container_facts import RedactText
from integrations.docker_engine.actions.container_lookup import EngineLookup
from integrations.docker_engine.actions.container_params import ImagesParams, PullParams, UpdatesParams
from integrations.docker_engine.actions.image_updates import ImageFreshness, check_freshness, outdated_first
from integrations.docker_engine.actions.refusal_results import refusals_as_results
from integrations.docker_engine.engine import Engine
from integrations.docker_engine.image_store import PULL_LIMIT_S, Image
from integrations.docker_engine.registry_lookup import RegistryLookup


def _utc_now() -> datetime:
    return datetime.now(UTC)


class ImageToolset(Toolset):
    """Images on all engines, and newer ones in their registries."""

    system = "docker"

    def __init__(
        self,
        engines: Mapping[str, Engine],
        redact: RedactText,
        *,
        now: Callable[[], datetime] = _utc_now,
        registries: RegistryLookup | None = None,
    ) -> None:
        self._engines = EngineLookup(engines)
        self._redact = redact
        self._now = now
        self._registries = registries or RegistryLookup(now)

    def unavailable(self) -> str | None:
        """Return the missing setting when no engine is configured."""
        return None if self._engines.names else "no Docker engine is configured (setting `engines`)"

    @action(Risk.READ)
    @refusals_as_results
    async def images(self, params: ImagesParams) -> Result:
        """List the images on a host, or on all: names, size, age, and which containers use each."""
        engines = [self._engines.one(params.host)] if params.host else self._engines.all
        found = [one for held in await asyncio.gather(*(one.store.images() for one in engines)) for one in held]
        found.sort(key=lambda one: (one.host, -one.size_bytes))
        message = text(
            "docker.images",
            count=len(found),
            unused=sum(not one.used_by for one in found),
            mb=container_facts.to_mb(sum(one.size_bytes for one in found)),
        )
        rows: list[JsonValue] = [_row(one) for one in found]
        return self._result(message, {"images": rows}, "docker image ls", Outcome.OK if found else Outcome.NO_DATA)

    @action(Risk.READ, time_limit_s=120.0)
    @refusals_as_results
    async def updates(self, params: UpdatesParams) -> Result:
        """Show which running containers have a newer image in their registry, and why some can't be checked.

        Compares digests: a tag such as 16 or latest moves. It does not look for newer tags. Answers of registries
        are remembered for ten minutes.
        """
        found, away = await self._engines.everything(params.host)
        wanted: dict[str, list[Container]] = {}
        for one in found:
            if one.is_running and params.stack in (None, one.stack) and params.service in (None, one.service):
                wanted.setdefault(one.host, []).append(one)
        looks = await asyncio.gather(*(self._look(host, ones, params.fresh) for host, ones in sorted(wanted.items())))
        images = outdated_first([one for host_images in looks if host_images is not None for one in host_images])
        away += [host for host, seen in zip(sorted(wanted), looks, strict=True) if seen is None]
        newer = sum(one.is_newer is True for one in images)
        untold = sum(one.is_newer is None for one in images)
        rows: list[JsonValue] = [one.facts(self._now()) for one in images]
        data: JsonObject = {"images": rows, "unreachable_hosts": list(away)}
        key = "docker.updates" if newer else "docker.updates_none"
        message = text(key, count=len(images), newer=newer, untold=untold)
        query = "docker buildx imagetools inspect <image>"
        return self._result(message, data, query, Outcome.OK if images else Outcome.NO_DATA)

    async def _look(self, host: str, containers: list[Container], fresh: bool) -> list[ImageFreshness] | None:
        try:
            return await check_freshness(self._engines.one(host), containers, self._registries, fresh=fresh)
        except SystemUnavailable:
            return None

    @action(Risk.SAFE, outcome="is_pulled", time_limit_s=PULL_LIMIT_S + 20)
    @refusals_as_results
    async def pull(self, params: PullParams) -> Result:
        """Pull what the registry has under this name now. Running containers don't change: redeploy for that."""
        engine, name = self._engines.one(params.host), image_references.parse_image_reference(params.image).full
        before = await engine.store.image(name)
        now = await engine.store.pull(name)
        is_new = before is None or before.id != now.id
        data: JsonObject = {
            "host": engine.name,
            "image": name,
            "image_id": now.id,
            "image_id_before": before.id if before else None,
            "is_new": is_new,
            "digests": list(now.digests),
            "size_mb": container_facts.to_mb(now.size_bytes),
        }
        key = "docker.pulled" if is_new else "docker.pulled_same"
        message = text(key, image=name, host=engine.name, mb=container_facts.to_mb(now.size_bytes))
        return self._result(message, data, f"docker pull {shlex.quote(name)}")

    async def is_pulled(self, params: PullParams, started_at: datetime) -> Outcome:
        """Return OK if the name means the same image on the host as in the registry."""
        engine, name = self._engines.one(params.host), image_references.parse_image_reference(params.image)
        found = await engine.store.image(name.full)
        answer = await self._registries.ask(engine, name.full, fresh=True)
        if found is None:
            return Outcome.FAILED
        if answer.trouble is not None:
            return Outcome.UNKNOWN
        return Outcome.OK if f"{name.name}@{answer.digest}" in found.digests else Outcome.FAILED

    def _result(self, message: Text, data: JsonObject, query: str, outcome: Outcome = Outcome.OK) -> Result:
        clean = {name: container_facts.redact_json_strings(value, self._redact) for name, value in data.items()}
        return Result(outcome=outcome, message=message, data=clean, query=self._redact(query))


def _row(image: Image) -> JsonObject:
    return {
        "host": image.host,
        "id": image.id,
        "tags": list(image.tags),
        "digests": list(image.digests),
        "size_mb": container_facts.to_mb(image.size_bytes),
        "created_at": image.created_at.isoformat() if image.created_at else None,
        "used_by": list(image.used_by),
    }
