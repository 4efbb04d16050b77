"""A plan is rendered once: its hash names exactly what was approved, and nothing can change it afterwards."""

import json
from pathlib import Path

import pytest

from agent.runbooks.loader import load_runbooks
from agent.runbooks.plans import ChosenSolution, NoSolution, Plan, choose_solution, plan_calls, render_plan
from agent.runbooks.runbook import Runbook
from core.actions.policy import ActorKind
from core.errors import RunbookError
from tests.agent.rules.fakes import context, incident, small_catalog

BOOK = """\
name: {en: Test, es: Prueba}
trigger: {event: container_died}
when: [evidence.oom_killed]
cause: memory_limit
diagnosis: {says: {en: Killed., es: Terminado.}}
solutions:
  - name: {en: Deploy again, es: Desplegar de nuevo}
    actions: [{id: deploy, action: dokploy.redeploy, params: {service: "${incident.service}"}}]
  - name: {en: "Set the limit", es: "Fijar el límite"}
    confidence_threshold: 0.8
    conditions: [evidence.memory_shape == 'peak']
    actions:
      - id: restart
        action: docker.restart
        params: {container: "${incident.container}"}
        needs: [limit]
        retry: 2
        wait_s: 10
        undo: false
      - id: limit
        action: docker.update_memory
        params: {container: "${incident.container}", limit_mb: "${evidence.memory_peak_mb}"}
        says: {en: "Set ${evidence.memory_peak_mb} MiB", es: "Fijar ${evidence.memory_peak_mb} MiB"}
        undo: {action: docker.update_memory, params: {container: "${incident.container}", limit_mb: 64}}
    verify: {window_s: 45, containers: ["${incident.container}"]}
  - name: {en: Restart, es: Reiniciar}
    actions: [{id: restart, action: docker.restart, params: {container: "${incident.container}"}}]
"""
CATALOG = small_catalog()
FACTS = context(oom_killed=True, memory_shape="peak", memory_peak_mb=512)


def book(folder: Path, content: str = BOOK) -> Runbook:
    folder.mkdir(exist_ok=True)
    (folder / "test.yml").write_text(content, encoding="utf-8")
    found = load_runbooks(folder, None, CATALOG).get("test")
    assert found is not None
    return found


def test_the_first_solution_that_can_be_tried_is_chosen(tmp_path: Path) -> None:
    runbook = book(tmp_path)
    first = choose_solution(runbook, FACTS, 0.9, set(), CATALOG)
    assert isinstance(first, ChosenSolution)
    assert first.index == 1
    assert "no API key" in str(first.skipped[0].to_json())  # the system of the first one is not configured
    second = choose_solution(runbook, FACTS, 0.9, {1}, CATALOG)
    assert isinstance(second, ChosenSolution)
    assert second.index == 2
    assert isinstance(choose_solution(runbook, FACTS, 0.9, {1, 2}, CATALOG), NoSolution)


def test_a_solution_needs_confidence_conditions_and_facts(tmp_path: Path) -> None:
    runbook = book(tmp_path)
    unsure = choose_solution(runbook, FACTS, 0.7, set(), CATALOG)
    leak = choose_solution(runbook, context(oom_killed=True, memory_shape="ramp"), 0.9, set(), CATALOG)
    unmeasured = choose_solution(runbook, context(oom_killed=True, memory_shape="peak"), 0.9, set(), CATALOG)
    for choice, reason in ((unsure, "plan.unsure"), (leak, "plan.conditions"), (unmeasured, "plan.missing")):
        assert isinstance(choice, ChosenSolution)
        assert choice.index == 2
        assert reason in str(choice.skipped[1].to_json())
    assert isinstance(choose_solution(runbook, FACTS, 0.5, set(), CATALOG), NoSolution)


def test_values_keep_their_types_and_steps_their_order(tmp_path: Path) -> None:
    plan = render_plan(book(tmp_path), 1, FACTS, attempt=1, catalog=CATALOG)
    assert [step.id for step in plan.steps] == ["limit", "restart"]
    assert plan.steps[0].params == {"container": "local/granada-api-1", "limit_mb": 512}
    assert plan.sentences[0].values == {"en": "Set 512 MiB", "es": "Fijar 512 MiB"}
    assert plan.sentences[1].key == "action.docker.restart"
    assert plan.steps[0].undo is not None
    assert plan.steps[0].undo.params["limit_mb"] == 64
    assert not plan.steps[1].can_undo
    assert (plan.verify.window_s, plan.verify.containers) == (45, ("local/granada-api-1",))


def test_the_calls_of_a_plan_are_the_same_wish_every_time(tmp_path: Path) -> None:
    plan = render_plan(book(tmp_path), 1, FACTS, attempt=2, catalog=CATALOG)
    calls = plan_calls(plan, incident())
    assert calls == plan_calls(Plan.from_json(json.loads(json.dumps(plan.to_json()))), incident())
    limit, restart = calls
    assert limit.key == f"inc-7:{plan.hash[:8]}:limit"
    assert restart.needs == (limit.key,)
    assert (restart.retries, restart.retry_wait_s, restart.attempt) == (2, 10.0, 2)
    assert (restart.plan_hash, restart.cause, restart.incident_id) == (plan.hash, "memory_limit", 7)
    assert (restart.actor.kind, restart.actor.id) == (ActorKind.RUNBOOK, "test")


def test_the_hash_is_stable_and_moves_with_anything_that_matters(tmp_path: Path) -> None:
    runbook = book(tmp_path)
    plan = render_plan(runbook, 1, FACTS, attempt=1, catalog=CATALOG)
    assert render_plan(runbook, 1, FACTS, attempt=1, catalog=CATALOG).hash == plan.hash
    others = [
        render_plan(runbook, 1, FACTS, attempt=2, catalog=CATALOG),
        render_plan(runbook, 2, FACTS, attempt=1, catalog=CATALOG),
        render_plan(
            runbook,
            1,
            context(oom_killed=True, memory_shape="peak", memory_peak_mb=513),
            attempt=1,
            catalog=CATALOG,
        ),
        render_plan(book(tmp_path, BOOK + "# changed\n"), 1, FACTS, attempt=1, catalog=CATALOG),
    ]
    assert len({plan.hash, *(other.hash for other in others)}) == 5


def test_a_changed_file_cannot_change_an_approved_plan(tmp_path: Path) -> None:
    approved = json.dumps(render_plan(book(tmp_path), 1, FACTS, attempt=1, catalog=CATALOG).to_json())
    book(tmp_path, BOOK.replace('limit_mb: "${evidence.memory_peak_mb}"', "limit_mb: 99999"))
    calls = plan_calls(Plan.from_json(json.loads(approved)), incident())
    assert calls[0].params["limit_mb"] == 512


def test_a_stored_plan_that_was_tampered_with_is_refused(tmp_path: Path) -> None:
    stored = render_plan(book(tmp_path), 1, FACTS, attempt=1, catalog=CATALOG).to_json()
    changed = json.loads(json.dumps(stored).replace("512", "9999"))
    with pytest.raises(RunbookError, match="was changed after it was made"):
        Plan.from_json(changed)


def test_a_missing_or_unfit_value_stops_the_rendering(tmp_path: Path) -> None:
    runbook = book(tmp_path)
    with pytest.raises(RunbookError, match=r"step 'limit' needs evidence\.memory_peak_mb"):
        render_plan(runbook, 1, context(oom_killed=True), attempt=1, catalog=CATALOG)
    with pytest.raises(RunbookError, match=r"step 'limit'.*limit_mb"):
        render_plan(runbook, 1, context(memory_peak_mb="a lot"), attempt=1, catalog=CATALOG)
