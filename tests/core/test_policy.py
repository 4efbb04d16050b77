"""The whole policy matrix, and the facts that bend it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from core.actions.catalog import Risk, Role
from core.actions.policy import Actor, ActorKind, Decision, Facts, decide
from core.settings import Autonomy, PolicySettings
from knowledge.config.text_files import load_texts

POLICY = PolicySettings()
PROVEN = Facts(is_proven=True)
PLAIN = Facts()
MATRIX = {
    # who: READ, SAFE, DISRUPTIVE, CHANGE, DESTRUCTIVE
    "person": "allow allow allow ask ask2",
    "runbook observe": "allow deny deny deny deny",
    "runbook propose": "allow ask ask ask ask2",
    "runbook guarded": "allow allow ask ask ask2",
    "runbook guarded, proven": "allow allow allow ask ask2",
    "runbook guarded, proven, critical": "allow allow ask ask ask2",
    "runbook auto": "allow allow allow allow ask2",
    "runbook auto, critical": "allow allow allow allow ask2",
    "model": "allow ask ask ask deny",
}


def actor(who: str) -> Actor:
    kind = ActorKind(who.split()[0])
    return Actor(kind=kind, id="x", name="x", role=Role.ADMIN if kind is ActorKind.PERSON else None)


def facts(who: str) -> Facts:
    autonomy = next((one for one in Autonomy if one in who), Autonomy.GUARDED)
    return Facts(autonomy=autonomy, is_proven="proven" in who, is_critical="critical" in who)


@pytest.mark.parametrize(("who", "column"), list(product(MATRIX, range(5))))
def test_every_cell_of_the_policy_table_holds(who: str, column: int) -> None:
    risk = list(Risk)[column]
    given = decide(risk, Role.VIEWER, actor(who), facts(who), POLICY)
    expected = MATRIX[who].split()[column]
    assert given.decision == expected.removesuffix("2")
    if expected.startswith("ask"):
        assert given.confirmations == (2 if expected == "ask2" else 1)
    texts = load_texts()
    assert texts.has(given.reason.key)
    assert "{" not in texts.render(given.reason, "es")


@pytest.mark.parametrize(("role", "needed"), list(product([None, *Role], Role)))
def test_a_person_needs_the_role(role: Role | None, needed: Role) -> None:
    person = Actor(kind=ActorKind.PERSON, id="tg:1", name="Ada", role=role)
    given = decide(Risk.SAFE, needed, person, PLAIN, POLICY)
    may = role is not None and list(Role).index(role) >= list(Role).index(needed)
    assert given.decision == (Decision.ALLOW if may else Decision.DENY)


@pytest.mark.parametrize("bent", [replace(PLAIN, is_frozen=True), replace(PLAIN, is_with_a_person=True)])
@pytest.mark.parametrize("risk", Risk)
@pytest.mark.parametrize("who", ["runbook auto", "model"])
def test_automation_only_reads_while_frozen_or_acknowledged(bent: Facts, risk: Risk, who: str) -> None:
    given = decide(risk, Role.VIEWER, actor(who), replace(bent, autonomy=Autonomy.AUTO, is_proven=True), POLICY)
    assert given.decision == (Decision.ALLOW if risk is Risk.READ else Decision.DENY)


@pytest.mark.parametrize("risk", Risk)
def test_people_may_act_while_automation_is_frozen(risk: Risk) -> None:
    frozen = replace(PLAIN, is_frozen=True, is_with_a_person=True)
    assert decide(risk, Role.VIEWER, actor("person"), frozen, POLICY).decision is not Decision.DENY


@pytest.mark.parametrize(
    ("used", "expected"), [(0, Decision.ALLOW), (2, Decision.ALLOW), (3, Decision.ASK), (9, Decision.ASK)]
)
def test_the_budget_of_interruptions(used: int, expected: Decision) -> None:
    for autonomy in (Autonomy.GUARDED, Autonomy.AUTO):
        spent = replace(PROVEN, autonomy=autonomy, disruptive_last_hour=used)
        assert decide(Risk.DISRUPTIVE, Role.VIEWER, actor("runbook"), spent, POLICY).decision is expected
    assert decide(Risk.SAFE, Role.VIEWER, actor("runbook"), spent, POLICY).decision is Decision.ALLOW


@pytest.mark.parametrize(("used", "expected"), [(5, Decision.ALLOW), (6, Decision.ASK)])
def test_the_budget_of_changes(used: int, expected: Decision) -> None:
    spent = Facts(autonomy=Autonomy.AUTO, changes_today=used)
    assert decide(Risk.CHANGE, Role.VIEWER, actor("runbook"), spent, POLICY).decision is expected


@pytest.mark.parametrize(("attempts", "is_denied"), [(0, False), (2, False), (3, True)])
@pytest.mark.parametrize("risk", [Risk.SAFE, Risk.DISRUPTIVE, Risk.CHANGE, Risk.DESTRUCTIVE])
def test_attempts_per_incident_are_limited(attempts: int, is_denied: bool, risk: Risk) -> None:
    tried = replace(PROVEN, autonomy=Autonomy.AUTO, attempts=attempts)
    given = decide(risk, Role.VIEWER, actor("runbook"), tried, POLICY)
    assert (given.decision is Decision.DENY) is is_denied


def test_a_destructive_action_can_require_a_second_person() -> None:
    strict = PolicySettings(second_person_for_destructive=True)
    for who in ("person", "runbook auto"):
        given = decide(Risk.DESTRUCTIVE, Role.VIEWER, actor(who), facts(who), strict)
        assert (given.confirmations, given.needs_second_person) == (2, True)
    assert not decide(Risk.CHANGE, Role.VIEWER, actor("person"), PLAIN, strict).needs_second_person
