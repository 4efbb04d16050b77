"""Turns one runbook file into a Runbook and names every mistake in it with its line and what to write instead."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from pydantic import JsonValue

from agent.incident.evidence.incident_context import FIXED_ROOTS
from agent.incident.evidence.known_evidence import HOST_NAMES, INCIDENT_NAMES, KNOWN_VALUES, known_evidence
from agent.runbooks.conditions import Condition, compile_condition
from agent.runbooks.runbook import (
    BilingualSentence,
    ConditionList,
    DiagnosisRemark,
    EscalationRule,
    EscalationTrigger,
    GatherStep,
    RepairConditions,
    Runbook,
    RunbookScope,
    RunbookTrigger,
    Solution,
)
from agent.runbooks.step_checker import StepChecker
from agent.runbooks.templates import is_fact_name, template_references
from agent.runbooks.yaml_positions import Mistake, Mistakes, YamlSpot, read_yaml_file
from core.actions.catalog import Catalog, Risk
from core.errors import RunbookError, closest
from core.incidents.alert_kinds import AlertKind

WORD_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,40}")
DEFAULT_CONFIDENCE = 0.9
DEFAULT_THRESHOLD = 0.6


def check_runbook_file(path: Path, shown_path: str, catalog: Catalog) -> tuple[Runbook | None, list[Mistake]]:
    """Return the runbook of a file, or None with all its mistakes."""
    root, content, mistakes = read_yaml_file(path, shown_path)
    runbook = _Check(catalog, mistakes).runbook(path.stem, root, content) if root else None
    if root and not WORD_PATTERN.fullmatch(path.stem):
        mistakes.add(1, f"the file's name {path.name!r} must be small letters, digits and _: it is the runbook's id")
    return (None, sorted(mistakes.found)) if mistakes.found else (runbook, [])


class FactNames:
    """Fact names allowed at a place of the file, and the complaints about other names."""

    def __init__(self, gather_ids: Collection[str] = ()) -> None:
        self.gather_ids = frozenset(gather_ids)
        self.roots = FIXED_ROOTS | self.gather_ids
        self._known: Mapping[str, Collection[str]] = {
            "evidence": known_evidence().keys(),
            "incident": INCIDENT_NAMES.keys(),
            "host": HOST_NAMES.keys(),
        }

    def problem(self, name: str) -> str | None:
        """Return the mistake in a name such as `evidence.exit_code`, or None."""
        root, _, rest = name.partition(".")
        if root not in self.roots:
            return f"there is no {root!r} here{_hint(root, self.roots)}"
        known = self._known.get(root)
        if known is not None and rest not in known:
            nearest = closest(rest, known)
            hint = f"; did you mean '{root}.{nearest}'?" if nearest else "; the list is in runbooks/README.md"
            return f"there is no {name!r}{hint}"
        return None

    def check_templates(self, spot: YamlSpot, value: JsonValue) -> None:
        """Complain about every `${…}` in a value that names nothing."""
        for reference in template_references(value):
            problem = self.problem(reference) if is_fact_name(reference) else f"'${{{reference}}}' isn't a name"
            if problem:
                spot.wrong(
                    f"{problem}" if is_fact_name(reference) else f"{problem}; write ${{evidence.<name>}} and the like"
                )
        for text in _texts(value):
            if text.count("${") != len(list(template_references(text))):
                spot.wrong("a '${' is not closed with '}'")


@dataclass(frozen=True, kw_only=True)
class _Explanation:
    message: BilingualSentence
    also: tuple[DiagnosisRemark, ...]
    culprit: str
    llm_prompt: str


class _Check:
    def __init__(self, catalog: Catalog, mistakes: Mistakes) -> None:
        self._catalog = catalog
        self._mistakes = mistakes

    def runbook(self, runbook_id: str, root: YamlSpot, content: str) -> Runbook:
        keys = root.keys(
            "a runbook",
            required=("name", "trigger", "when", "cause", "diagnosis"),
            optional=("confidence", "context_gathering", "solutions", "forbidden", "escalation"),
        )
        base = FactNames()
        gathering = self._gathering(keys.get("context_gathering"), base)
        names = FactNames([step.id for step in gathering])
        diagnosis = self._diagnosis(keys.get("diagnosis"), names)
        forbidden = self._forbidden(keys.get("forbidden"))
        confidence = keys.get("confidence")
        return Runbook(
            id=runbook_id,
            name=read_sentence(keys.get("name"), "name"),
            trigger=self._trigger(keys.get("trigger")),
            when=self._when(keys.get("when"), base),
            cause=self._cause(keys.get("cause")),
            confidence=confidence.number("confidence", least=0, most=1, default=0)
            if confidence
            else DEFAULT_CONFIDENCE,
            message=diagnosis.message,
            also=diagnosis.also,
            culprit=diagnosis.culprit,
            llm_prompt=diagnosis.llm_prompt,
            gathering=gathering,
            solutions=self._solutions(keys.get("solutions"), names, forbidden),
            forbidden=forbidden,
            escalation=self._escalation(keys.get("escalation")),
            hash=hashlib.sha256(content.encode()).hexdigest()[:32],
            path=self._mistakes.path,
        )

    def _trigger(self, spot: YamlSpot | None) -> RunbookTrigger:
        keys = spot.keys("trigger", required=("event",), optional=("scope",)) if spot else {}
        event, scope = keys.get("event"), keys.get("scope")
        places = [] if event is None else event.items("event") if event.is_sequence else [event]
        kinds = {kind.value: kind for kind in AlertKind}
        words = [place.choice("event", kinds) for place in places]
        word = scope.choice("scope", [one.value for one in RunbookScope]) if scope else None
        return RunbookTrigger(
            events=tuple(kinds[one] for one in words if one), scope=RunbookScope(word) if word else RunbookScope.ANY
        )

    def _when(self, spot: YamlSpot | None, names: FactNames) -> ConditionList:
        if spot and spot.is_sequence and not spot.items("when"):
            spot.wrong("'when' is empty, so it would match every alert of its kind; write at least one condition")
        return read_clauses(spot, "when", names)

    def _cause(self, spot: YamlSpot | None) -> str:
        word = spot.text("cause") if spot else ""
        if spot and word and not WORD_PATTERN.fullmatch(word):
            spot.wrong(f"cause must be one word of small letters, digits and _, not {word!r}")
        return word

    def _gathering(self, spot: YamlSpot | None, names: FactNames) -> tuple[GatherStep, ...]:
        found: dict[str, GatherStep] = {}
        check = StepChecker(self._catalog, names)
        for item in spot.items("context_gathering") if spot else []:
            keys = item.keys("a gathering step", required=("id", "action"), optional=("params",))
            step_id = self._id(keys.get("id"), found, "gathering step")
            if step_id in FIXED_ROOTS:
                keys["id"].wrong(
                    f"{step_id!r} is taken: evidence, incident and host are there already; take another id"
                )
            action, params = check.action(keys, item)
            known = check.known(action)
            if known is not None and known.risk is not Risk.READ:
                keys["action"].wrong(f"{action!r} changes something ({known.risk}); gathering may only read")
            found[step_id] = GatherStep(id=step_id, action=action, params=params)
        return tuple(found.values())

    def _id(self, spot: YamlSpot | None, taken: Collection[str], what: str) -> str:
        step_id = spot.text("id") if spot else ""
        if spot and step_id and not WORD_PATTERN.fullmatch(step_id):
            spot.wrong(f"an id must be small letters, digits and _, not {step_id!r}")
        if spot and step_id in taken:
            spot.wrong(f"the id {step_id!r} appears twice; each {what} needs its own")
        return step_id

    def _diagnosis(self, spot: YamlSpot | None, names: FactNames) -> _Explanation:
        keys = spot.keys("diagnosis", required=("says",), optional=("also", "llm_prompt", "culprit")) if spot else {}
        culprit, prompt, also = (keys.get(one) for one in ("culprit", "llm_prompt", "also"))
        if culprit:
            names.check_templates(culprit, culprit.plain())
        return _Explanation(
            message=read_sentence(keys.get("says"), "says", names),
            also=tuple(self._remark(item, names) for item in also.items("also")) if also else (),
            culprit=culprit.text("culprit") if culprit else "${incident.target}",
            llm_prompt=prompt.text("llm_prompt") if prompt else "",
        )

    def _remark(self, spot: YamlSpot, names: FactNames) -> DiagnosisRemark:
        keys = spot.keys("a sentence of 'also'", required=("when", "says"))
        return DiagnosisRemark(
            when=read_clauses(keys.get("when"), "when", names), message=read_sentence(keys.get("says"), "says", names)
        )

    def _forbidden(self, spot: YamlSpot | None) -> frozenset[str]:
        found = [item.text("forbidden") for item in spot.items("forbidden")] if spot else []
        return frozenset(found)

    def _solutions(self, spot: YamlSpot | None, names: FactNames, forbidden: frozenset[str]) -> tuple[Solution, ...]:
        return tuple(self._solution(item, names, forbidden) for item in spot.items("solutions")) if spot else ()

    def _solution(self, spot: YamlSpot, names: FactNames, forbidden: frozenset[str]) -> Solution:
        keys = spot.keys(
            "a solution", required=("name", "actions"), optional=("confidence_threshold", "conditions", "verify")
        )
        check = StepChecker(self._catalog, names, forbidden)
        threshold = keys.get("confidence_threshold")
        steps = []
        places: dict[str, YamlSpot] = {}
        for item in keys["actions"].items("actions") if "actions" in keys else []:
            step = check.step(item, self._id, places)
            places[step.id] = item
            steps.append(step)
        if "actions" in keys and keys["actions"].is_sequence and not steps:
            keys["actions"].wrong("a solution needs at least one action")
        _check_needs({step.id: step.needs for step in steps}, places)
        return Solution(
            name=read_sentence(keys.get("name"), "name"),
            confidence_threshold=threshold.number("confidence_threshold", least=0, most=1, default=1)
            if threshold
            else DEFAULT_THRESHOLD,
            conditions=read_clauses(keys.get("conditions"), "conditions", names),
            steps=tuple(steps),
            verify=self._verify(keys.get("verify"), names),
        )

    def _verify(self, spot: YamlSpot | None, names: FactNames) -> RepairConditions:
        keys = spot.keys("verify", optional=("window_s", "containers")) if spot else {}
        window, containers = keys.get("window_s"), keys.get("containers")
        if containers:
            names.check_templates(containers, containers.plain())
        return RepairConditions(
            window_s=window.number("window_s", least=1, most=3600, default=1) if window else None,
            containers=tuple(item.text("containers") for item in containers.items("containers")) if containers else (),
        )

    def _escalation(self, spot: YamlSpot | None) -> EscalationRule:
        keys = spot.keys("escalation", optional=("triggers", "confidence_below")) if spot else {}
        triggers, below = keys.get("triggers"), keys.get("confidence_below")
        known = [one.value for one in EscalationTrigger]
        words = [item.choice("an escalation trigger", known) for item in triggers.items("triggers")] if triggers else []
        return EscalationRule(
            triggers=tuple(EscalationTrigger(one) for one in words if one) if triggers else EscalationRule().triggers,
            confidence_below=below.number("confidence_below", least=0, most=1, default=0) if below else 0.0,
        )


def read_sentence(spot: YamlSpot | None, what: str, names: FactNames | None = None) -> BilingualSentence:
    """Read a sentence in both languages; without `names` it may hold no `${…}`."""
    keys = spot.keys(f"{what!r} (English and Spanish)", required=("en", "es")) if spot else {}
    found = {language: place.text(f"{what}.{language}") for language, place in keys.items()}
    for language, place in keys.items():
        if names is not None:
            names.check_templates(place, place.plain())
        elif "${" in found[language]:
            place.wrong(f"{what!r} is fixed text: it may not hold ${{…}}")
    return BilingualSentence(en=found.get("en", ""), es=found.get("es", ""))


def read_clauses(spot: YamlSpot | None, what: str, names: FactNames) -> ConditionList:
    """Read a list of conditions, which may hold `any:` and `all:`."""
    members: list[Condition | ConditionList] = []
    for item in spot.items(what) if spot else []:
        if not item.is_mapping:
            found = _condition(item, what, names)
            members.extend([found] if found else [])
            continue
        for word, place in item.keys(f"a group in {what!r}", optional=("any", "all")).items():
            inner = read_clauses(place, word, names)
            if not inner.members:
                place.wrong(f"{word!r} is empty")
            members.append(ConditionList(members=inner.members, is_any=word == "any"))
    return ConditionList(members=tuple(members))


def _condition(spot: YamlSpot, what: str, names: FactNames) -> Condition | None:
    source = spot.text(f"a condition in {what!r}")
    if not source:
        return None
    try:
        condition = compile_condition(source, names.roots)
    except RunbookError as error:
        spot.wrong(str(error))
        return None
    for name in sorted(condition.names_used()):
        problem = names.problem(name)
        if problem:
            spot.wrong(problem)
    for path, word in sorted(condition.compared):
        name = ".".join(path)
        known = KNOWN_VALUES.get(name)
        if known is not None and word not in known:
            spot.wrong(f"{name!r} is never {word!r}{_hint(word, known)}")
    return condition


def _check_needs(needs: Mapping[str, tuple[str, ...]], places: Mapping[str, YamlSpot]) -> None:
    for step_id, wanted in needs.items():
        for name in wanted:
            if name not in needs:
                places[step_id].wrong(f"step {step_id!r} needs {name!r}, which isn't a step here{_hint(name, needs)}")
    graph = {step_id: [name for name in wanted if name in needs] for step_id, wanted in needs.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = error.args[1]
        places[circle[0]].wrong(f"these steps wait for each other: {' → '.join(circle)}; remove one 'needs'")


def _hint(name: str, known: Collection[str]) -> str:
    nearest = closest(name, known)
    return f"; did you mean {nearest!r}?" if nearest else f"; known are {', '.join(sorted(known))}"


def _texts(value: JsonValue) -> list[str]:
    if isinstance(value, str):
        return [value]
    members = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
    return [text for member in members for text in _texts(member)]
