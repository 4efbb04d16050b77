"""Every place that judges a container keeps to the table of statuses."""

from __future__ import annotations

from typing import Any

import pytest

from agent.deploys.deploy_verdict import deploy_health, is_container_up
from agent.incident.evidence.dependency_evidence import DependencyEvidence
from core.incidents.alert_kinds import AlertKind
from core.monitoring.inventory import Dependency, Inventory
from core.monitoring.recovery import not_recovered
from core.monitoring.status import ONE_OFF, Status
from integrations.dokploy.deploys.version_keeping import are_containers_healthy
from tests.agent.test_deploy_verdict import a_deploy
from tests.core.scripted_watcher import container, snapshot
from tests.core.test_status import TABLE
from tests.core.test_tracker import TrackerWorld, alert

CASES = [(status, facts) for status, facts in TABLE if not {"restart_count"} & facts.keys()]
IDS = [f"{status}-{place}" for place, (status, _) in enumerate(CASES)]


@pytest.mark.parametrize(("status", "facts"), CASES, ids=IDS)
def test_a_version_has_held_and_a_deploy_is_good_when_all_is_fine(status: Status, facts: dict[str, Any]) -> None:
    own = container(**facts)
    assert are_containers_healthy([own], [], must_fit=False) is status.is_fine
    assert is_container_up(own) is (status is Status.WELL)
    if ONE_OFF not in own.labels:
        assert deploy_health(a_deploy(), [own]).is_well is status.is_fine


@pytest.mark.parametrize(("status", "facts"), CASES, ids=IDS)
def test_an_alert_is_calm_only_while_its_target_runs_well(status: Status, facts: dict[str, Any]) -> None:
    own = container(**facts)
    why = not_recovered(alert(kind=AlertKind.CONTAINER_DIED), snapshot(9, [own]), own.started_at)  # type: ignore[arg-type]
    assert (why is None) is (status is Status.WELL)


@pytest.mark.parametrize("condition", ["service_started", "service_completed_successfully"])
@pytest.mark.parametrize(("status", "facts"), CASES, ids=IDS)
async def test_what_one_stands_on_is_suspected_unless_it_serves_or_its_job_is_done(
    status: Status, facts: dict[str, Any], condition: str
) -> None:
    api = container(depends_on=(Dependency(service="db", condition=condition),))
    below = DependencyEvidence(
        await TrackerWorld().raises(alert()), Inventory(containers=(api, container("shop-db-1", **facts)))
    )
    is_done = status is Status.FINISHED and condition == "service_completed_successfully"
    assert bool(below.suspects()) is not (status.is_serving or is_done)
