"""Plans with every value fixed: rendered once, hashed and stored, so that an approved plan cannot change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from pydantic import JsonValue

from agent.incident.evidence.incident_context import IncidentContext
from agent.runbooks.runbook import (
    BilingualSentence,
    RepairConditions,
    Runbook,
    Solution,
    StepTemplate,
    UndoStep,
)
from agent.runbooks.templates import fill_sentences, fill_template, missing_references
from core.actions.calls import Call
from core.actions.catalog import Catalog, JsonObject
from core.actions.policy import Actor, ActorKind
from core.errors import InvalidParams, RunbookError
from core.incidents.incident import Incident
from core.text import Text, bilingual, text

HASH_IN_KEY = 8


@dataclass(frozen=True, kw_only=True)
class PlannedStep:
    """One call of a plan."""

    id: str
    action: str
    params: JsonObject
    message: Text
    needs: tuple[str, ...] = ()
    retries: int = 0
    wait_s: float = 0.0
    wait_for_completion: bool = False
    undo: UndoStep | None = None
    can_undo: bool = True


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A repair, fixed in every detail."""

    source: str
    """The runbook's id, or the model's name."""
    source_hash: str = ""
    """The runbook's hash when it was rendered."""
    made_by: ActorKind = ActorKind.RUNBOOK
    solution: int = 0
    """Index in the runbook."""
    name: Text
    cause: str
    steps: tuple[PlannedStep, ...]
    """Ordered so that every step comes after those it needs."""
    verify: RepairConditions = field(default_factory=RepairConditions)
    attempt: int = 1
    hash: str = ""
    """Hash of all the above."""

    @property
    def sentences(self) -> tuple[Text, ...]:
        """Return one line for each step."""
        return tuple(step.message for step in self.steps)

    @property
    def tried_key(self) -> str:
        """Return the key of this solution among those tried: `container_oom#0`."""
        return f"{self.source}#{self.solution}"

    @property
    def actor(self) -> Actor:
        """Return the actor of its calls."""
        return Actor(kind=self.made_by, id=self.source, name=self.source)

    def step(self, step_id: str) -> PlannedStep | None:
        """Return the step of that id, or None."""
        return next((one for one in self.steps if one.id == step_id), None)

    def to_json(self) -> JsonObject:
        """Return plain JSON, read back by `from_json`."""
        return {**_content(self), "hash": self.hash}

    @classmethod
    def from_json(cls, data: Mapping[str, JsonValue]) -> Plan:
        """Return the Plan that `to_json` wrote; raises RunbookError when its hash does not match."""
        verify = cast("JsonObject", data["verify"])
        window = verify["window_s"]
        plan = cls(
            source=str(data["source"]),
            source_hash=str(data["source_hash"]),
            made_by=ActorKind(str(data["made_by"])),
            solution=int(cast("int", data["solution"])),
            name=Text.from_json(cast("JsonObject", data["name"])),
            cause=str(data["cause"]),
            steps=tuple(_step_from_json(step) for step in cast("list[JsonObject]", data["steps"])),
            verify=RepairConditions(
                window_s=float(cast("float", window)) if window is not None else None,
                containers=tuple(cast("list[str]", verify["containers"])),
            ),
            attempt=int(cast("int", data["attempt"])),
            hash=str(data["hash"]),
        )
        if _hash(plan) != plan.hash:
            raise RunbookError(
                f"the stored plan {plan.hash[:HASH_IN_KEY]!r} was changed after it was made; make a new one"
            )
        return plan


def seal_plan(plan: Plan) -> Plan:
    """Return the plan with its hash, which completes it."""
    return replace(plan, hash=_hash(plan))


@dataclass(frozen=True, kw_only=True)
class ChosenSolution:
    """The solution to try, and the reasons against those before it."""

    index: int
    solution: Solution
    skipped: tuple[Text, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NoSolution:
    """No solution fits; `reasons` has one line for each."""

    reasons: tuple[Text, ...]


def choose_solution(
    runbook: Runbook, context: IncidentContext, confidence: float, tried: Collection[int], catalog: Catalog
) -> ChosenSolution | NoSolution:
    """Return the first solution in the file that is untried, sure enough, possible, and whose conditions hold."""
    skipped: list[Text] = []
    for index, solution in enumerate(runbook.solutions):
        is_tried = index in tried
        reason = text("plan.tried") if is_tried else _obstacle(runbook, solution, context, confidence, catalog)
        if reason is None:
            return ChosenSolution(index=index, solution=solution, skipped=tuple(skipped))
        skipped.append(text("plan.skipped", solution=_bilingual(solution.name), reason=reason))
    return NoSolution(reasons=tuple(skipped))


def _obstacle(
    runbook: Runbook, solution: Solution, context: IncidentContext, confidence: float, catalog: Catalog
) -> Text | None:
    if confidence < solution.confidence_threshold:
        return text("plan.unsure", confidence=round(confidence, 2), needed=solution.confidence_threshold)
    if not solution.conditions.holds(context.lookup):
        return text("plan.conditions")
    for step in solution.steps:
        if step.action in runbook.forbidden:
            return text("plan.forbidden", action=step.action)
        problem = catalog.get(step.action).unavailable()
        if problem is not None:
            return text("gateway.unavailable", system=step.action.split(".")[0], problem=problem)
        gaps = missing_references(cast("JsonValue", step.params), context.lookup)
        if gaps:
            return text("plan.missing", names=", ".join(gaps))
    return None


def render_plan(runbook: Runbook, index: int, context: IncidentContext, *, attempt: int, catalog: Catalog) -> Plan:
    """Render a runbook's solution into a plan: every `${…}` filled, every parameter checked by its action.

    Raises RunbookError naming the step and the fact or parameter that does not fit.
    """
    solution = runbook.solutions[index]
    verify = solution.verify
    containers = [name for one in verify.containers for name in _listed(fill_template(one, context.lookup))]
    plan = Plan(
        source=runbook.id,
        source_hash=runbook.hash,
        solution=index,
        name=_filled(solution.name, context),
        cause=runbook.cause,
        steps=tuple(_render(runbook, step, context, catalog) for step in steps_in_order(solution.steps)),
        verify=RepairConditions(window_s=verify.window_s, containers=tuple(dict.fromkeys(containers))),
        attempt=attempt,
    )
    return seal_plan(plan)


def steps_in_order(steps: tuple[StepTemplate, ...]) -> list[StepTemplate]:
    """Return the steps, each after those it needs, otherwise as written; the loader has refused circles."""
    placed: list[StepTemplate] = []
    waiting = list(steps)
    while waiting:
        done = {step.id for step in placed}
        ready = next(step for step in waiting if done.issuperset(step.needs))
        placed.append(ready)
        waiting.remove(ready)
    return placed


def plan_calls(plan: Plan, incident: Incident, actor: Actor | None = None) -> list[Call]:
    """Return the calls of a plan, in order; with fixed keys, so that submitting twice is harmless."""
    keys = {step.id: plan_call_key(plan, incident, step.id) for step in plan.steps}
    return [
        Call(
            key=keys[step.id],
            action=step.action,
            params=step.params,
            actor=actor or plan.actor,
            incident_id=incident.id,
            plan_hash=plan.hash,
            cause=plan.cause,
            attempt=plan.attempt,
            needs=tuple(keys[name] for name in step.needs),
            retries=step.retries,
            retry_wait_s=step.wait_s,
            message=step.message,
        )
        for step in plan.steps
    ]


def plan_call_key(plan: Plan, incident: Incident, step_id: str) -> str:
    """Return the key of a step's call: `inc-7:1a2b3c4d:restart`."""
    return f"{incident.key}:{plan.hash[:HASH_IN_KEY]}:{step_id}"


def _render(runbook: Runbook, step: StepTemplate, context: IncidentContext, catalog: Catalog) -> PlannedStep:
    params = _params(runbook, step.id, step.action, step.params, context, catalog)
    undo = step.undo and UndoStep(
        action=step.undo.action,
        params=_params(runbook, f"{step.id} (undo)", step.undo.action, step.undo.params, context, catalog),
    )
    return PlannedStep(
        id=step.id,
        action=step.action,
        params=params,
        message=_filled(step.message, context) if step.message else describe_step(step.action, params, context.names()),
        needs=step.needs,
        retries=step.retries,
        wait_s=step.wait_s,
        wait_for_completion=step.wait_for_completion,
        undo=undo,
        can_undo=step.can_undo,
    )


def _params(
    runbook: Runbook, step_id: str, action: str, template: JsonObject, context: IncidentContext, catalog: Catalog
) -> JsonObject:
    gaps = missing_references(cast("JsonValue", template), context.lookup)
    if gaps:
        raise RunbookError(f"{runbook.path}: step {step_id!r} needs {', '.join(gaps)}, which is not known here")
    params = cast("JsonObject", fill_template(cast("JsonValue", template), context.lookup))
    try:
        catalog.get(action).parse(params)
    except InvalidParams as error:
        raise RunbookError(f"{runbook.path}: step {step_id!r}: {error}") from error
    return params


def _listed(value: JsonValue) -> list[str]:
    members = value if isinstance(value, list) else [value]
    return [str(one) for one in members if one]


def _filled(sentence: BilingualSentence, context: IncidentContext) -> Text:
    return bilingual(fill_sentences(sentence.en, context.lookup), fill_sentences(sentence.es, context.lookup))


def _bilingual(sentence: BilingualSentence) -> Text:
    return bilingual(sentence.en, sentence.es)


def describe_step(action: str, params: JsonObject, names: Mapping[str, str]) -> Text:
    """Describe a step in its action's words; `names` holds the display names of containers by `host/name`."""
    values = {name: value for name, value in params.items() if isinstance(value, str | int | float)}
    container = values.get("container")
    if isinstance(container, str):
        values["container"] = names.get(container, container)
    return Text(f"action.{action}", values)


def _content(plan: Plan) -> JsonObject:
    return {
        "source": plan.source,
        "source_hash": plan.source_hash,
        "made_by": str(plan.made_by),
        "solution": plan.solution,
        "name": plan.name.to_json(),
        "cause": plan.cause,
        "steps": [_step_to_json(step) for step in plan.steps],
        "verify": {"window_s": plan.verify.window_s, "containers": list(plan.verify.containers)},
        "attempt": plan.attempt,
    }


def _hash(plan: Plan) -> str:
    exact = json.dumps(_canonical(_content(plan)), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(exact.encode()).hexdigest()[:32]


def _canonical(value: JsonValue) -> JsonValue:
    """Return a value that is the same after any store: some return 45 for 45.0."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, dict):
        return {name: _canonical(item) for name, item in value.items()}
    return value


def _step_to_json(step: PlannedStep) -> JsonObject:
    return {
        "id": step.id,
        "action": step.action,
        "params": step.params,
        "message": step.message.to_json(),
        "needs": list(step.needs),
        "retries": step.retries,
        "wait_s": step.wait_s,
        "wait_for_completion": step.wait_for_completion,
        "undo": {"action": step.undo.action, "params": step.undo.params} if step.undo else None,
        "can_undo": step.can_undo,
    }


def _step_from_json(data: JsonObject) -> PlannedStep:
    undo = cast("JsonObject | None", data["undo"])
    return PlannedStep(
        id=str(data["id"]),
        action=str(data["action"]),
        params=cast("JsonObject", data["params"]),
        message=Text.from_json(cast("JsonObject", data["message"])),
        needs=tuple(cast("list[str]", data["needs"])),
        retries=int(cast("int", data["retries"])),
        wait_s=float(cast("float", data["wait_s"])),
        wait_for_completion=bool(data["wait_for_completion"]),
        undo=UndoStep(action=str(undo["action"]), params=cast("JsonObject", undo["params"])) if undo else None,
        can_undo=bool(data["can_undo"]),
    )
