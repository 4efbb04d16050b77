"""The `history` actions: measurements, past incidents and lessons, for the model, the rules and people."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Annotated, Protocol

from pydantic import Field, JsonValue, field_validator

from core.actions.catalog import JsonObject, Outcome, Params, Result, Risk, Toolset, action
from core.clock import Clock
from core.incidents.incident import Incident
from core.incidents.lessons import Lesson
from core.monitoring.inventory import Inventory
from core.monitoring.memory_trend import memory_shape, slope_per_hour
from core.monitoring.usage_series import Series, SeriesPoint
from core.text import text
from knowledge.records.incident_records import IncidentRecords

MEGABYTE = 1024 * 1024
WINDOW_PATTERN = re.compile(r"(\d{1,4})\s*([smhd])")
WINDOW_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
LONGEST_WINDOW = timedelta(days=30)


def parse_window(window: str) -> timedelta:
    """Parse `90s`, `30m`, `2h` or `7d`; raises ValueError naming the expected form."""
    match = WINDOW_PATTERN.fullmatch(window.strip().lower())
    if match is None or int(match[1]) == 0:
        raise ValueError(f"{window!r} is not a time window; write a number and s, m, h or d, like 30m or 2h")
    return min(timedelta(**{WINDOW_UNITS[match[2]]: int(match[1])}), LONGEST_WINDOW)


class StatsHistoryParams(Params):
    """Parameters of `history.stats`: a container and a window."""

    container: str
    """Container as `host/name`, or its name alone."""
    window: str = "2h"
    """Length of the window up to now: 30m, 2h, 7d."""

    @field_validator("window")
    @classmethod
    def _is_window(cls, value: str) -> str:
        parse_window(value)
        return value

    def target(self) -> str | None:
        """The container."""
        return self.container


class IncidentsParams(Params):
    """Parameters of `history.incidents`: a stack or service, and a window."""

    stack: str | None = None
    service: str | None = None
    window: str = "30d"
    limit: Annotated[int, Field(ge=1, le=50)] = 10

    @field_validator("window")
    @classmethod
    def _is_window(cls, value: str) -> str:
        parse_window(value)
        return value


class SimilarParams(Params):
    """Parameters of `history.similar`: a description to compare with."""

    text: Annotated[str, Field(min_length=1, max_length=4000)]
    stack: str | None = None
    limit: Annotated[int, Field(ge=1, le=10)] = 3


class LessonSearch(Protocol):
    """The part of the incident memory that these actions need."""

    async def recall(self, text: str, k: int = 3, *, stack: str | None = None) -> Sequence[LessonMatch]:
        """The lessons most like the text, best first."""
        ...


class LessonMatch(Protocol):
    """A lesson found in the memory."""

    @property
    def lesson(self) -> Lesson:
        """The lesson itself."""
        ...

    @property
    def score(self) -> float:
        """Likeness, 0–1."""
        ...


class HistoryToolset(Toolset):
    """Reads what the guardian itself recorded; asks no outside system."""

    system = "history"

    def __init__(
        self,
        series: Series,
        incidents: IncidentRecords,
        memory: LessonSearch,
        clock: Clock,
        inventory: Callable[[], Inventory],
    ) -> None:
        self._series = series
        self._incidents = incidents
        self._memory = memory
        self._clock = clock
        self._inventory = inventory

    @action(Risk.READ)
    async def stats(self, params: StatsHistoryParams) -> Result:
        """Show CPU and memory of a container over a window: lowest, mean, highest, last, and the memory's shape.

        The shape tells a single `peak` from a steady `ramp` (a leak) and from `flat`; `unknown` when there are fewer
        than 5 samples. `memory_slope_mb_per_hour` is the slope of a line through them. Says nothing about causes.
        """
        now = self._clock.now()
        ref = self._ref(params.container)
        points = await self._series.read(ref, now - parse_window(params.window), now)
        query = f"series {ref} since {params.window}"
        if not points:
            message = text("history.stats.none", container=_name(ref), window=params.window)
            return Result(outcome=Outcome.NO_DATA, message=message, query=query, data={"container": ref, "samples": 0})
        data = _stats(points, self._limit_bytes(ref, points))
        message = text(
            "history.stats.found",
            container=_name(ref),
            window=params.window,
            samples=len(points),
            memory=round(float(str(data["memory_last_mb"]))),
            peak=round(float(str(data["memory_peak_mb"]))),
            cpu=float(str(data["cpu_avg_pct"])),
            shape=text(f"history.shape.{data['memory_shape']}"),
        )
        return Result(message=message, data={"container": ref, "window": params.window, **data}, query=query)

    @action(Risk.READ)
    async def incidents(self, params: IncidentsParams) -> Result:
        """List recent incidents of a stack, a service or everything, newest first: cause, state, outcome."""
        since = self._clock.now() - parse_window(params.window)
        found = await self._incidents.recent(params.limit, stack=params.stack, service=params.service, since=since)
        query = f"incidents of {params.stack or '*'}/{params.service or '*'} since {params.window}"
        where = "/".join(part for part in (params.stack, params.service) if part)
        if not found:
            key = "history.incidents.none_of" if where else "history.incidents.none"
            return Result(outcome=Outcome.NO_DATA, message=text(key, target=where, window=params.window), query=query)
        rows: list[JsonValue] = [_incident(one) for one in found]
        message = text("history.incidents.found", count=len(rows), window=params.window)
        return Result(message=message, data={"incidents": rows}, query=query)

    @action(Risk.READ, time_limit_s=15.0)
    async def similar(self, params: SimilarParams) -> Result:
        """Find past incidents like a description, what was done and whether it helped. Use it before planning."""
        found = await self._memory.recall(params.text, params.limit, stack=params.stack)
        query = f"memory {params.text[:80]!r}"
        if not found:
            return Result(outcome=Outcome.NO_DATA, message=text("history.similar.none"), query=query)
        rows: list[JsonValue] = [_lesson(one.lesson, one.score) for one in found]
        return Result(message=text("history.similar.found", count=len(rows)), data={"lessons": rows}, query=query)

    def _limit_bytes(self, ref: str, points: Sequence[SeriesPoint]) -> float:
        """Memory limit of a container, 0: none; of one that is gone its last, which may be the host's whole memory."""
        known = self._inventory().container(ref)
        return known.memory_limit_bytes if known else points[-1].memory_limit_bytes

    def _ref(self, container: str) -> str:
        if "/" in container:
            return container
        known = self._inventory().container(container)
        return known.ref if known else container


def _name(ref: str) -> str:
    return ref.rpartition("/")[2]


def _stats(points: Sequence[SeriesPoint], limit_bytes: float) -> JsonObject:
    cpu = [point.cpu_pct for point in points]
    memory = [point.memory_bytes / MEGABYTE for point in points]
    highest = [point.memory_max_bytes / MEGABYTE for point in points]
    curve = [(point.at.timestamp(), float(point.memory_bytes)) for point in points]
    last = points[-1]
    return {
        "samples": len(points),
        "from": points[0].at.isoformat(),
        "to": last.at.isoformat(),
        "cpu_min_pct": round(min(cpu), 1),
        "cpu_avg_pct": round(sum(cpu) / len(cpu), 1),
        "cpu_max_pct": round(max(cpu), 1),
        "cpu_last_pct": round(cpu[-1], 1),
        "memory_min_mb": round(min(memory), 1),
        "memory_avg_mb": round(sum(memory) / len(memory), 1),
        "memory_peak_mb": round(max(highest), 1),
        "memory_last_mb": round(memory[-1], 1),
        "memory_limit_mb": round(last.memory_limit_bytes / MEGABYTE, 1),
        "memory_slope_mb_per_hour": round(slope_per_hour(curve) / MEGABYTE, 2),
        "memory_shape": memory_shape(curve, limit_bytes, highest=max(highest) * MEGABYTE),
    }


def _incident(incident: Incident) -> JsonObject:
    return {
        "id": incident.id,
        "state": incident.state,
        "target": incident.target,
        "kind": incident.kind,
        "opened_at": incident.opened_at.isoformat(),
        "closed_at": incident.closed_at.isoformat() if incident.closed_at else None,
        "cause": incident.diagnosis.cause if incident.diagnosis else None,
        "culprit": incident.diagnosis.culprit if incident.diagnosis else None,
        "repeats": incident.repeats,
    }


def _lesson(lesson: Lesson, score: float) -> JsonObject:
    return {
        "incident_id": lesson.incident_id,
        "target": lesson.target,
        "at": lesson.at.isoformat(),
        "kind": lesson.kind,
        "cause": lesson.cause,
        "what": lesson.text[:600],
        "runbook": lesson.runbook,
        "actions": list(lesson.actions),
        "helped": lesson.held,
        "score": round(score, 3),
    }
