"""Verifying and offering for a stack as a whole: which containers count, and what a model may choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from agent.incident.verification import VerificationState, check_repair, containers_to_verify
from agent.llm.diagnosis import OfferedAction, offered_actions
from core.deployments.platform import ManagedKind
from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert
from core.incidents.incident import Incident
from core.monitoring.inventory import ContainerState, Health, Inventory
from core.settings import VerificationSettings
from core.text import Text, text
from tests.agent.rules.fakes import NOW, incident, inventory
from tests.agent.rules.platform_scenes import GRANADA, of_domain, of_stack
from tests.agent.rules.scenes import api, container, db

SETTINGS = VerificationSettings(window_s=30)
STACK_ACTIONS = ("dokploy.compose.redeploy", "dokploy.compose.rollback")


@dataclass
class Seen:
    """What the watchers say."""

    around: Inventory
    unrest: Text | None = None

    def inventory(self) -> Inventory:
        return self.around

    def why_not_quiet(self, fingerprint: str, since: datetime) -> Text | None:
        return self.unrest

    def recurred(self, fingerprint: str, since: datetime) -> bool:
        return False

    def firing(self) -> Sequence[Alert]:
        return ()


def looked(trouble: Incident, seen: Seen, *, further: tuple[str, ...] = ()) -> str:
    held_since = NOW - timedelta(seconds=31)
    progress = VerificationState(
        acted_at=held_since, good_since=held_since, restarts={}, window_s=30.0, containers=further
    )
    return check_repair(trouble, seen, progress, NOW, SETTINGS).verdict


DONE = container("migrate", ContainerState.EXITED, exit_code=0)


@pytest.mark.parametrize(
    ("trouble", "wanted"),
    [
        (of_stack(AlertKind.DEPLOY_FAILED), {"api", "db"}),
        (of_stack(AlertKind.DEPLOY_CRASHED), {"api", "db"}),
        (of_stack(AlertKind.STATUS_CONTRADICTS), {"api", "db"}),
        (of_stack(AlertKind.BACKUP_FAILED), set()),
        (of_domain(domain_problem="router"), {"api"}),
        (incident(exit_code=1), {"api"}),
    ],
    ids=lambda given: str(given.kind) if isinstance(given, Incident) else "",
)
def test_which_containers_must_be_well(trouble: Incident, wanted: set[str]) -> None:
    found = containers_to_verify(trouble, inventory(api(ContainerState.RUNNING), db(), DONE))
    assert {one.service for one in found} == wanted


def test_victims_are_named_by_their_service_and_finished_jobs_are_not_waited_for() -> None:
    further = ("granada/db", "granada/migrate")
    found = containers_to_verify(incident(exit_code=1), inventory(api(ContainerState.RUNNING), db(), DONE), further)
    assert {one.service for one in found} == {"api", "db"}


def test_what_was_down_before_the_trouble_is_not_its_victim() -> None:
    before = db(ContainerState.EXITED, exit_code=1, finished_at=NOW - timedelta(hours=3))
    after = container("queue", ContainerState.EXITED, exit_code=1, finished_at=NOW + timedelta(seconds=2))
    further = ("granada/db", "granada/queue")
    found = containers_to_verify(incident(exit_code=1), inventory(api(ContainerState.RUNNING), before, after), further)
    assert {one.service for one in found} == {"api", "queue"}


@pytest.mark.parametrize(
    ("below", "unrest", "verdict"),
    [
        (db(), None, "held"),
        (db(ContainerState.EXITED, exit_code=1), None, "pending"),
        (db(health=Health.UNHEALTHY), None, "pending"),
        (db(), text("watch.quiet.fires"), "pending"),
    ],
)
def test_a_stack_is_well_when_its_containers_are_and_the_alarm_is_quiet(
    below: object, unrest: Text | None, verdict: str
) -> None:
    seen = Seen(inventory(api(ContainerState.RUNNING), below), unrest)  # type: ignore[arg-type]
    assert looked(of_stack(AlertKind.DEPLOY_CRASHED), seen) == verdict


def test_a_container_made_anew_by_a_deploy_has_not_restarted() -> None:
    """Its RestartCount falls, and its id is another one."""
    seen = Seen(inventory(api(ContainerState.RUNNING, id="ffff0123456789", restart_count=0), db()))
    held_since = NOW - timedelta(seconds=31)
    restarts = {"local/granada-api-1": 7}
    progress = VerificationState(acted_at=held_since, good_since=held_since, restarts=restarts, window_s=30.0)
    assert check_repair(incident(exit_code=1), seen, progress, NOW, SETTINGS).verdict == "held"


# -- what a model may choose -------------------------------------------------------------------------------------------


def managed_offers(*known: str, kind: ManagedKind = ManagedKind.COMPOSE, **facts: Any) -> list[OfferedAction]:
    around = replace(inventory(api(ContainerState.RUNNING), db()), managed=(replace(GRANADA, kind=kind),))
    return offered_actions(incident(AlertKind.CRASH_LOOP, **facts), around, known)


def test_a_managed_stack_can_be_brought_up_again_and_taken_back() -> None:
    found = managed_offers(*STACK_ACTIONS, good_version=7)
    assert [(one.action, one.params) for one in found[-2:]] == [(name, {"stack": "granada"}) for name in STACK_ACTIONS]
    assert found[0].params == {"container": "local/granada-api-1"}


@pytest.mark.parametrize(
    ("known", "facts", "wanted"),
    [
        (STACK_ACTIONS, {}, {"dokploy.compose.redeploy"}),
        (STACK_ACTIONS, {"good_version": 7, "migration_since": True}, {"dokploy.compose.redeploy"}),
        ((), {"good_version": 7}, set()),
    ],
)
def test_no_way_back_is_offered_that_is_not_known_or_not_safe(
    known: tuple[str, ...], facts: dict[str, Any], wanted: set[str]
) -> None:
    found = {one.action for one in managed_offers(*known, **facts)}
    assert {name for name in found if name.startswith("dokploy.")} == wanted


def test_a_database_of_the_platform_is_not_redeployed() -> None:
    found = managed_offers(*STACK_ACTIONS, kind=ManagedKind.DATABASE, good_version=7)
    assert {one.action for one in found} == {"docker.restart"}


def test_a_plain_project_is_offered_containers_only() -> None:
    found = offered_actions(incident(good_version=7), inventory(api(), db()), STACK_ACTIONS)
    assert all("container" in one.params for one in found)
