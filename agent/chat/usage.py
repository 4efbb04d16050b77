"""Measures the current usage of services through the gateway, or takes the last sample when the engine is silent."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Literal

from agent.chat import status_sentences
from agent.chat.chat_deps import QuestionContext
from core.actions.catalog import JsonObject
from core.errors import GuardianError
from core.monitoring.inventory import Container, Service
from core.text import Text, text

STATS_ACTION = "docker.stats"
SHOWN = 6
MB = 1024 * 1024
LAST_SAMPLE_AGE = timedelta(minutes=10)


async def usage_sentences(asked: QuestionContext, service: Service) -> list[Text]:
    """Return one sentence of usage for each container of a service."""
    return [await _one(asked, service, container) for container in service.containers[:SHOWN]]


async def heaviest_usage(
    asked: QuestionContext, titles: Collection[str], by: Literal["cpu_pct", "memory_mb"]
) -> list[Text]:
    """Return the heaviest running containers, heaviest first; `titles` limits the services unless empty."""
    try:
        result = await asked.parts.gateway.read(STATS_ACTION, {}, asked.question.actor)
    except GuardianError:
        return []
    rows = result.data.get("containers")
    by_ref = {str(row["container"]): row for row in rows if isinstance(row, dict)} if isinstance(rows, list) else {}
    seen = [one for one in asked.inventory.containers if one.ref in by_ref and (not titles or one.title in titles)]
    seen.sort(key=lambda one: _number(by_ref[one.ref], by), reverse=True)
    return [_sentence(one.title, one, by_ref[one.ref]) for one in seen[:SHOWN]]


async def _one(asked: QuestionContext, service: Service, container: Container) -> Text:
    name = service.title if len(service.containers) == 1 else container.name
    if not container.is_running:
        return status_sentences.not_running_sentence(asked, container)
    row = await _read(asked, container) or await _kept(asked, container)
    if row is None:
        return text("dialogue.nothing_measured", target=name)
    return _sentence(name, container, row)


def _sentence(name: str, container: Container, row: JsonObject) -> Text:
    cpu, memory = _number(row, "cpu_pct"), _number(row, "memory_mb")
    limit_mb = container.memory_limit_bytes / MB
    if not limit_mb:
        return text("dialogue.use_unlimited", target=name, cpu=cpu, memory=memory)
    share = round(100 * memory / limit_mb)
    return text("dialogue.use", target=name, cpu=cpu, memory=memory, limit=round(limit_mb), share=share)


async def _read(asked: QuestionContext, container: Container) -> JsonObject | None:
    try:
        result = await asked.parts.gateway.read(STATS_ACTION, {"container": container.ref}, asked.question.actor)
    except GuardianError:
        return None
    rows = result.data.get("containers")
    first = rows[0] if isinstance(rows, list) and rows else None
    return first if result.is_ok and isinstance(first, dict) else None


async def _kept(asked: QuestionContext, container: Container) -> JsonObject | None:
    if asked.parts.series is None:
        return None
    now = asked.parts.clock.now()
    points = await asked.parts.series.read(container.ref, now - LAST_SAMPLE_AGE, now)
    if not points:
        return None
    return {"cpu_pct": round(points[-1].cpu_pct, 1), "memory_mb": round(points[-1].memory_bytes / MB)}


def _number(row: JsonObject, name: str) -> float:
    value = row.get(name)
    return float(value) if isinstance(value, int | float) else 0.0
