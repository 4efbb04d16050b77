"""Our own deployment is found among others, by what a real Dokploy was recorded to say."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from core.deployments.deploys import Deploy
from core.deployments.platform import DeployStatus, ManagedKind
from core.errors import NotFound, SystemUnavailable
from core.monitoring.inventory import Container, ContainerState, Health
from core.redaction import redact
from integrations.docker_engine.models import parse_container
from integrations.dokploy.client.dokploy_client import Dokploy
from integrations.dokploy.deploys.deploy_follower import DokployFollower, find_deployment
from integrations.dokploy.models import DeploymentRow
from tests.integrations.dokploy.replay import ReplayServer, recordings

NOON = datetime(2026, 11, 20, 12, 37, 4, tzinfo=UTC)
FOLDER = Path(__file__).parent / "recordings"


def a_deploy(title: str = "chatops deploy 0001", **more: Any) -> Deploy:
    values: dict[str, Any] = {"managed_id": "c1", "stack": "shop", "app_name": "shop-x7", "type": "docker-compose"}
    values |= {"requested_by": "tg:1", "requested_name": "Ada", "ordered_at": NOON}
    return Deploy(key="k1", title=title, **{**values, **more})


def a_row(deployment_id: str, title: str, after_s: float = 1.0, **more: Any) -> dict[str, Any]:
    moment = (NOON + timedelta(seconds=after_s)).isoformat().replace("+00:00", "Z")
    row = {"deploymentId": deployment_id, "title": title, "status": "done", "createdAt": moment, "startedAt": moment}
    return {**row, "composeId": "c1", **more}


def a_job(number: int, compose_id: str, title: str, *, is_active: bool = False, **data: Any) -> dict[str, Any]:
    about = {"composeId": compose_id, "titleLog": title, "type": "deploy", "applicationType": "compose", **data}
    return {"id": f"job-{number}", "data": about, "timestamp": 7, "state": "active" if is_active else "waiting"}


class Answers:
    """What each procedure answers."""

    def __init__(self, server: ReplayServer, **answers: Any) -> None:
        self.answers: dict[str, Any] = {"queueList": [], "allByCompose": [], "all": [], "readLogs": "", **answers}
        server.answer = self._answer

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        name = request.path.rpartition(".")[2]
        said = self.answers[name]
        if isinstance(said, int):
            return web.json_response({"message": "no", "code": "UNAUTHORIZED"}, status=said)
        return web.json_response(said)


@pytest.fixture
def follower(dokploy: Dokploy) -> DokployFollower:
    return DokployFollower(dokploy, redact, parse_container)


def rows(*raw: dict[str, Any]) -> list[DeploymentRow]:
    return [DeploymentRow.model_validate(one) for one in raw]


def found(deploy: Deploy, *raw: dict[str, Any], is_waiting: bool = False) -> str | None:
    row = find_deployment(deploy, rows(*raw), is_waiting=is_waiting)
    return row.deployment_id if row else None


def test_the_title_decides_between_two_new_ones() -> None:
    ours, other = a_row("ours", "mine", 5), a_row("other", "Manual deployment", 1)
    assert found(a_deploy("mine"), ours, other) == "ours"
    assert found(a_deploy("mine"), other) is None
    assert found(a_deploy("mine", known_ids=("ours",)), ours, other) is None


def test_an_id_once_known_decides_whatever_the_title() -> None:
    known = a_deploy("mine", deployment_id="ours")
    assert found(known, a_row("other", "mine", 9), a_row("ours", "feat: x", 1)) == "ours"
    assert found(known, a_row("other", "mine", 9)) is None


def test_of_overwritten_titles_the_first_after_our_order_is_ours() -> None:
    commit = f"Commit: {'a' * 40}"
    early = a_row("early", "feat: pushed before", -60, description=commit)
    ours = a_row("ours", "feat: x", 1, description=commit)
    later = a_row("later", "feat: y", 9, description=commit)
    manual = a_row("manual", "Manual deployment", 0.5)
    assert found(a_deploy("mine"), later, ours, manual, early) == "ours"
    assert found(a_deploy("mine"), ours, is_waiting=True) is None, "ours waits: that one is another's"
    seen_in_line = a_deploy("mine", job_seen_at=NOON + timedelta(seconds=6))
    assert found(seen_in_line, later, ours, early) == "later", "ours had not begun when it was seen in the queue"


@pytest.mark.parametrize("name", ["timeline-compose.deploy-git-main", "timeline-compose.deploy-bad-image"])
def test_a_recorded_timeline_is_followed_to_its_end(name: str) -> None:
    steps = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    known = {one["id"] for one in steps[0]["state"]["deployments"][1:]}
    title = steps[0]["state"]["deployments"][0]["title"]
    deploy = a_deploy(title, known_ids=tuple(known))
    seen = []
    for step in steps:
        raw = [a_row(one["id"], one["title"], status=one["status"]) for one in step["state"]["deployments"]]
        row = find_deployment(deploy, rows(*raw))
        assert row is not None
        deploy = replace(deploy, deployment_id=row.deployment_id)
        seen.append(str(row.status))
    assert seen == ["running", "error" if "bad" in name else "done"]


async def test_the_recorded_queue_shows_our_job(server: ReplayServer, follower: DokployFollower) -> None:
    queue = recordings()["deployment.queueList-during-deploy"].answer
    Answers(server, queueList=queue)
    look = await follower.look(a_deploy(managed_id="3CwYjB6fsiwNDsecQATT2"))
    assert (look.job_seen, look.ahead, look.deployment_id) == (True, None, None)
    assert not (await follower.look(a_deploy("another title", managed_id="3CwYjB6fsiwNDsecQATT2"))).job_seen
    assert not (await follower.look(a_deploy())).job_seen


async def test_the_place_in_the_queue_counts_the_same_server_alone(
    server: ReplayServer, follower: DokployFollower
) -> None:
    queue = [
        a_job(11, "c9", "later"),
        a_job(10, "c1", "mine"),
        a_job(9, "c3", "second"),
        a_job(8, "c4", "elsewhere", serverId="s1"),
        a_job(7, "c2", "first", is_active=True),
    ]
    Answers(server, queueList=queue)
    look = await follower.look(a_deploy("mine"))
    assert (look.job_seen, look.ahead, look.ahead_ids) == (True, 2, ("c2", "c3"))


async def test_a_failure_carries_its_true_line(server: ReplayServer, follower: DokployFollower) -> None:
    log = recordings()["deployment.readLogs-error"].answer
    answers = Answers(server, allByCompose=[a_row("d1", "mine", status="error")], readLogs=log)
    look = await follower.look(a_deploy("mine"))
    assert look.status is DeployStatus.ERROR
    assert look.error_class == "image_not_found"
    assert look.error_line.startswith("manifest for 127.0.0.1:5000/nosuch:v9 not found")
    assert len(look.log_tail) <= 8
    answers.answers["allByCompose"][0]["status"] = "running"
    look = await follower.look(a_deploy("mine"))
    assert (look.status, look.error_line, look.error_class) == (DeployStatus.RUNNING, "", "")
    assert [one.query.get("tail") for one in server.asked if one.path.endswith("readLogs")] == ["200", "12"]


async def test_a_git_deployment_tells_its_commit(server: ReplayServer, follower: DokployFollower) -> None:
    recorded = recordings()["deployment.allByCompose-git-tag"].answer
    Answers(server, allByCompose=recorded)
    older = a_deploy("chatops 42", known_ids=("g0fkvgf7JY9iVjW_D6X2_",))
    look = await follower.look(older)
    assert look.deployment_id == "ivyVwqluTkwfPHTHdeF0x"
    assert look.commit == "93f3cd87e435699a2f635b48f55e80922be559a2"
    assert look.commit_message == "feat: second version"
    assert look.is_superseded
    assert look.finished_at is not None
    assert not (await follower.look(replace(older, known_ids=("ivyVwqluTkwfPHTHdeF0x",)))).is_superseded


async def test_an_application_has_its_own_list(server: ReplayServer, follower: DokployFollower) -> None:
    Answers(server, all=[a_row("d1", "mine", status="cancelled", composeId=None, applicationId="a1")])
    look = await follower.look(a_deploy("mine", managed_id="a1", managed_kind=ManagedKind.APPLICATION))
    assert (look.deployment_id, look.status) == ("d1", DeployStatus.CANCELLED)


async def test_a_log_that_may_not_be_read_is_an_empty_one(server: ReplayServer, follower: DokployFollower) -> None:
    Answers(server, allByCompose=[a_row("d1", "mine", status="error")], readLogs=401)
    look = await follower.look(a_deploy("mine"))
    assert (look.status, look.error_line, look.log_tail) == (DeployStatus.ERROR, "", ())


async def test_a_failed_query_is_not_taken_for_an_empty_result(server: ReplayServer, follower: DokployFollower) -> None:
    server.says(b"", status=502)
    with pytest.raises(SystemUnavailable):
        await follower.look(a_deploy())
    server.replay(recordings()["deployment.readLogs-unknown"])
    with pytest.raises(NotFound):
        await follower.look(a_deploy())


async def test_containers_are_those_of_the_stack_alone(server: ReplayServer, follower: DokployFollower) -> None:
    inspection = recordings()["docker.getConfig"].answer
    project = inspection["Config"]["Labels"]["com.docker.compose.project"]
    row = {"containerId": "abc", "name": "x", "state": "running", "status": "Up"}
    Answers(server, getContainersByAppNameMatch=[row], getConfig=inspection)
    (one,) = await follower.containers(a_deploy(app_name=project))
    assert (one.project, one.host, one.id) == (project, "dokploy", inspection["Id"])
    assert await follower.containers(a_deploy(app_name="another")) == []


async def test_a_key_without_docker_sees_states_and_health(server: ReplayServer, follower: DokployFollower) -> None:
    listed = [
        {"containerId": "1", "name": "shop-x7-web-1", "state": "running", "status": "Up 8 seconds (healthy)"},
        {"containerId": "2", "name": "shop-x7-api-two-1", "state": "exited", "status": "Exited (137) 2 seconds ago"},
        {"containerId": "3", "name": "shop-x7_job.1.abc", "state": "running", "status": "Up (health: starting)"},
    ]
    Answers(server, getContainersByAppNameMatch=listed, getConfig=401)
    whole = "2" + "f" * 63
    seen: list[Container] = list(await follower.containers(a_deploy(restarts={whole: 0})))
    assert [one.id for one in seen] == ["1", whole, "3"], "the same container as one that was inspected"
    assert [(one.service, one.state, one.health, one.exit_code) for one in seen] == [
        ("web", ContainerState.RUNNING, Health.HEALTHY, None),
        ("api-two", ContainerState.EXITED, Health.NONE, 137),
        ("job", ContainerState.RUNNING, Health.STARTING, None),
    ]
