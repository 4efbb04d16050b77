"""Checks the steps of runbooks against the catalogue: the action exists, and the parameters fit it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from pydantic import JsonValue, ValidationError

from agent.runbooks.runbook import BilingualSentence, StepTemplate, UndoStep
from agent.runbooks.templates import template_references
from agent.runbooks.yaml_positions import YamlSpot
from core.actions.catalog import Action, Catalog, JsonObject
from core.errors import UnknownAction, closest

RETRY_LIMIT = 5
WAIT_LIMIT_S = 600
ReadId = Callable[[YamlSpot | None, Collection[str], str], str]


class FactNameCheck(Protocol):
    """Checks the names of facts."""

    def check_templates(self, spot: YamlSpot, value: JsonValue) -> None:
        """Report every `${…}` that names nothing."""
        ...


class StepChecker:
    """Reads the steps of one solution (or of gathering) and reports mistakes."""

    def __init__(self, catalog: Catalog, names: FactNameCheck, forbidden: Collection[str] = ()) -> None:
        self._catalog = catalog
        self._names = names
        self._forbidden = forbidden

    def step(self, spot: YamlSpot, take_id: ReadId, taken: Collection[str]) -> StepTemplate:
        """Read one step of a solution."""
        keys = spot.keys(
            "an action",
            required=("id", "action"),
            optional=("params", "says", "needs", "retry", "wait_s", "wait_for_completion", "undo"),
        )
        step_id = take_id(keys.get("id"), taken, "step of a solution")
        action, params = self.action(keys, spot)
        retry, wait, needs, completion = (keys.get(one) for one in ("retry", "wait_s", "needs", "wait_for_completion"))
        undo, can_undo = self._undo(keys.get("undo"))
        return StepTemplate(
            id=step_id,
            action=action,
            params=params,
            message=self._says(keys.get("says")),
            needs=tuple(item.text("needs") for item in needs.items("needs")) if needs else (),
            retries=int(retry.number("retry", least=0, most=RETRY_LIMIT, default=0)) if retry else 0,
            wait_s=wait.number("wait_s", least=0, most=WAIT_LIMIT_S, default=0) if wait else 0.0,
            wait_for_completion=completion.truth("wait_for_completion") if completion else False,
            undo=undo,
            can_undo=can_undo,
        )

    def action(self, keys: Mapping[str, YamlSpot], spot: YamlSpot) -> tuple[str, JsonObject]:
        """Read the name and raw parameters of the action that a step calls."""
        place = keys.get("action")
        name = place.text("action") if place else ""
        params = keys.get("params")
        raw = self._params(params)
        if name and place:
            self._check_action(name, place)
            found = self.known(name)
            if found is not None:
                self._check_params(found, raw, params or spot, _pairs(params))
        return name, raw

    def known(self, name: str) -> Action | None:
        """Return the action of that name, or None."""
        return self._catalog.get(name) if name in self._catalog else None

    def _check_action(self, name: str, place: YamlSpot) -> None:
        if name not in self._catalog:
            place.wrong(str(UnknownAction(name, self._catalog.names())))
        if name in self._forbidden:
            place.wrong(f"{name!r} is listed under 'forbidden' in this same runbook; remove it from one of the two")

    def _params(self, spot: YamlSpot | None) -> JsonObject:
        if spot is None:
            return {}
        spot.keys("params", optional=None)
        value = spot.plain()
        self._names.check_templates(spot, value)
        return value if isinstance(value, dict) else {}

    def _check_params(self, action: Action, raw: JsonObject, spot: YamlSpot, places: Mapping[str, YamlSpot]) -> None:
        """Check parameters by the action's model; a value with `${…}` is checked when the plan is rendered."""
        try:
            action.params.model_validate(raw)
        except ValidationError as error:
            has_gaps = any(True for _ in template_references(raw))
            for item in error.errors():
                field = str(item["loc"][0]) if item["loc"] else ""
                if field in raw and any(True for _ in template_references(raw[field])):
                    continue
                if not field and has_gaps:
                    continue
                places.get(field, spot).wrong(_param_problem(action, field, item["type"], item["msg"]))

    def _says(self, spot: YamlSpot | None) -> BilingualSentence | None:
        if spot is None:
            return None
        keys = spot.keys("'says' (English and Spanish)", required=("en", "es"))
        for place in keys.values():
            self._names.check_templates(place, place.plain())
        found = {language: place.text(f"says.{language}") for language, place in keys.items()}
        return BilingualSentence(en=found.get("en", ""), es=found.get("es", ""))

    def _undo(self, spot: YamlSpot | None) -> tuple[UndoStep | None, bool]:
        if spot is None:
            return None, True
        if not spot.is_mapping:
            if spot.truth("undo"):
                spot.wrong(
                    "undo is 'false' (leave it as it is) or an action with its params; without it the action's own"
                )
            return None, False
        keys = spot.keys("undo", required=("action",), optional=("params",))
        name, params = self.action(keys, spot)
        return UndoStep(action=name, params=params), True


def _pairs(spot: YamlSpot | None) -> dict[str, YamlSpot]:
    if spot is None or not spot.is_mapping:
        return {}
    return {str(getattr(key, "value", "")): YamlSpot(key, spot.mistakes) for key, _ in spot.node.value}


def _param_problem(action: Action, field: str, kind: str, message: str) -> str:
    known = action.params.names()
    takes = f"it takes {', '.join(known)}" if known else "it takes none"
    if kind == "extra_forbidden":
        nearest = closest(field, known)
        return f"{action.name!r} has no parameter {field!r}; " + (f"did you mean {nearest!r}?" if nearest else takes)
    if kind == "missing":
        return f"{action.name!r} lacks its parameter {field!r}; {takes}"
    return f"the parameter {field!r} of {action.name!r} does not fit: {message.lower()}; {takes}"
