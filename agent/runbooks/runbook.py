"""Runbooks as data, read from their files and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from agent.runbooks.conditions import Condition, FactLookup
from core.actions.catalog import JsonObject
from core.incidents.alert_kinds import AlertKind


@dataclass(frozen=True, kw_only=True)
class BilingualSentence:
    """A sentence in both languages, with `${…}` references where the format allows them."""

    en: str
    es: str


class RunbookScope(StrEnum):
    """Kind of containers a runbook is for."""

    ANY = "any"
    DOCKER_COMPOSE = "docker_compose"
    """Only services of a Compose project."""


@dataclass(frozen=True, kw_only=True)
class RunbookTrigger:
    """Alerts that make the runbook a candidate."""

    events: tuple[AlertKind, ...]
    scope: RunbookScope = RunbookScope.ANY


@dataclass(frozen=True, kw_only=True)
class ConditionList:
    """Conditions that must all hold, or of which one must."""

    members: tuple[Condition | ConditionList, ...]
    is_any: bool = False

    def met(self, lookup: FactLookup) -> int:
        """Count the conditions that hold, 0 when the whole does not; an `any` counts once."""
        counts = [
            member.met(lookup) if isinstance(member, ConditionList) else int(member.holds(lookup))
            for member in self.members
        ]
        if self.is_any:
            return max(counts, default=0)
        return sum(counts) if all(counts) else 0

    def holds(self, lookup: FactLookup) -> bool:
        """Return whether the whole holds; an empty list of conditions holds."""
        return not self.members or self.met(lookup) > 0

    def names_used(self) -> frozenset[str]:
        """Return every fact its conditions use."""
        return frozenset(name for member in self.members for name in member.names_used())


@dataclass(frozen=True, kw_only=True)
class DiagnosisRemark:
    """A further sentence of the diagnosis, shown only when its conditions hold."""

    when: ConditionList
    message: BilingualSentence


@dataclass(frozen=True, kw_only=True)
class GatherStep:
    """A READ action to run before the cause is explained and a solution chosen."""

    id: str
    action: str
    params: JsonObject


@dataclass(frozen=True, kw_only=True)
class UndoStep:
    """A call that undoes a step, in place of the action's own undo."""

    action: str
    params: JsonObject


@dataclass(frozen=True, kw_only=True)
class StepTemplate:
    """One step of a solution, its parameters not yet filled."""

    id: str
    action: str
    params: JsonObject
    message: BilingualSentence | None = None
    needs: tuple[str, ...] = ()
    retries: int = 0
    wait_s: float = 0.0
    """Seconds between two tries."""
    wait_for_completion: bool = False
    """True when the action only begins something and the step is done once that is over."""
    undo: UndoStep | None = None
    can_undo: bool = True
    """False for `undo: false`: the step is kept when the plan is undone."""


@dataclass(frozen=True, kw_only=True)
class RepairConditions:
    """Conditions after a solution, besides the quiet detector."""

    window_s: float | None = None
    """Minimum window; None leaves it to the settings and the service's learnt start time."""
    containers: tuple[str, ...] = ()
    """Further containers (`host/name`) and services (`stack/service`) that must run and not be unhealthy."""


@dataclass(frozen=True, kw_only=True)
class Solution:
    """One way to repair the problem, tried in the order of the file."""

    name: BilingualSentence
    confidence_threshold: float
    conditions: ConditionList
    steps: tuple[StepTemplate, ...]
    verify: RepairConditions = RepairConditions()


class EscalationTrigger(StrEnum):
    """Condition under which a person is always paged."""

    ALL_SOLUTIONS_FAILED = "all_solutions_failed"
    CRITICAL_SERVICE = "critical_service"
    FLAPPING = "flapping"
    NO_SOLUTION = "no_solution"


@dataclass(frozen=True, kw_only=True)
class EscalationRule:
    """Conditions under which a person is paged."""

    triggers: tuple[EscalationTrigger, ...] = (EscalationTrigger.ALL_SOLUTIONS_FAILED,)
    confidence_below: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Runbook:
    """A known problem: its conditions, its cause and its solutions."""

    id: str
    """The file's name without its ending; the actor's id of its calls."""
    name: BilingualSentence
    trigger: RunbookTrigger
    when: ConditionList
    cause: str
    confidence: float
    """Confidence in the cause when every clause holds, 0–1."""
    message: BilingualSentence
    also: tuple[DiagnosisRemark, ...] = ()
    culprit: str
    """Template of the service that is the root, `stack/service`."""
    llm_prompt: str
    gathering: tuple[GatherStep, ...]
    solutions: tuple[Solution, ...]
    forbidden: frozenset[str]
    escalation: EscalationRule
    hash: str
    """Fingerprint of the file's content."""
    path: str


@dataclass(frozen=True)
class Runbooks:
    """All runbooks by id."""

    by_id: Mapping[str, Runbook] = field(default_factory=dict)

    def get(self, runbook_id: str) -> Runbook | None:
        """Return the runbook of that id, or None."""
        return self.by_id.get(runbook_id)

    def for_kind(self, kind: str) -> list[Runbook]:
        """Return the runbooks whose trigger names that kind of alert, in the order of their ids."""
        return [one for one in self.by_id.values() if kind in one.trigger.events]

    def names(self) -> list[str]:
        """Return all ids, sorted."""
        return sorted(self.by_id)
