"""Collected evidence, and the READ calls that gather it within a time limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import JsonValue

from core.actions.catalog import JsonObject, Result
from core.errors import GuardianError, UnknownAction
from core.incidents.alerts import Evidence

ReadAction = Callable[[str, dict[str, object]], Awaitable[Result]]
READ_LIMIT_S = 4.0
VALUE_LIMIT = 4_000


@dataclass
class Findings:
    """Evidence found so far, and names of what could not be found."""

    at: datetime
    evidence: list[Evidence] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def add(self, facts: Mapping[str, JsonValue], source: str) -> None:
        """Add facts by name; a value of None counts as not found."""
        for name, value in facts.items():
            if value is not None:
                self.evidence.append(Evidence(name=name, value=bounded_value(value), at=self.at, source=source))

    def value(self, name: str) -> JsonValue:
        """Return the newest value of that name, or None."""
        return next((item.value for item in reversed(self.evidence) if item.name == name), None)


@dataclass(frozen=True, kw_only=True)
class ReadResult:
    """The data of a READ call, or the reason why there is none."""

    data: JsonObject = field(default_factory=dict)
    problem: str = ""

    def rows(self, name: str) -> list[JsonObject]:
        """Return the objects of a list in the data, or an empty list."""
        found = self.data.get(name)
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


@dataclass(frozen=True)
class EvidenceReader:
    """Runs READ actions within a time limit and turns every failure into a result."""

    read: ReadAction
    limit_s: float = READ_LIMIT_S

    async def ask(self, name: str, params: Mapping[str, object], *, at_most_s: float = READ_LIMIT_S) -> ReadResult:
        """Return the data of one READ action."""
        limit_s = min(self.limit_s, at_most_s)
        try:
            async with asyncio.timeout(limit_s):
                result = await self.read(name, dict(params))
        except UnknownAction:
            return ReadResult()  # that system is not installed: nothing was to be expected of it
        except TimeoutError:
            return ReadResult(problem=f"no answer within {limit_s:g} s")
        except (GuardianError, OSError, ValueError) as error:
            return ReadResult(problem=str(error)[:200] or type(error).__name__)
        if not result.is_ok:
            return ReadResult(problem=str(result.message.values.get("problem") or result.message.key)[:200])
        return ReadResult(data=result.data)


def bounded_value(value: JsonValue, limit: int = VALUE_LIMIT) -> JsonValue:
    """Cut a value to a size fit for records and prompts: long texts and lists lose their end."""
    if isinstance(value, str):
        return value if len(value) <= limit else value[: limit - 1] + "…"
    if isinstance(value, list):
        return [bounded_value(item, max(limit // 4, 100)) for item in value[:50]]
    if isinstance(value, dict):
        return {name: bounded_value(item, max(limit // 4, 100)) for name, item in list(value.items())[:50]}
    return value
