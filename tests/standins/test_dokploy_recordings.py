"""The stand-in answers the recorded calls as the real Dokploy did."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.standins.dokploy import DokployStandin
from tests.standins.dokploy.caller import Caller
from tests.standins.hookbox import hookbox
from tests.standins.lab import APP, GIT, ISOLATED, NEVER, STACK, Lab
from tests.standins.recorded import RECORDINGS, replay
from tests.standins.test_dokploy_sources import Repository
from tests.testbed.world import eventually

MAKING = "made the laboratory; the stand-in is filled by its own methods"
NOT_REPLAYED = {
    "compose.deploy-2": "the same call as compose.deploy",
    "compose.deploy-rollback": "the same call as compose.deploy",
    "registry.create": MAKING,
    "server.create": MAKING,
    "server.remove": MAKING,
    "user.assignPermissions": MAKING,
    "user.createUserWithCredentials": MAKING,
}
FAMILIES = ("error-", "member-", "memberwith-", "membercreate-")
"""Replayed by what their names begin with."""


def test_every_recorded_call_is_replayed_or_has_a_reason() -> None:
    source = Path(__file__).read_text(encoding="utf-8").partition("MAKING = ")[2].partition("FAMILIES = ")[2]
    named = {name for name in RECORDINGS if f'"{name}"' in source or name.startswith(FAMILIES)}
    assert named | NOT_REPLAYED.keys() == RECORDINGS.keys()
    assert not named & NOT_REPLAYED.keys()
    assert len(named) >= 250


@pytest.fixture
def lab(dokploy: DokployStandin, testbed_image: str) -> Lab:
    """An empty laboratory."""
    return Lab(dokploy=dokploy, image=testbed_image)


async def test_transport(lab: Lab) -> None:
    lab.stack()
    lab.simple(NEVER, "lab-never", lab.sleeper())
    await lab.check(*(name for name in RECORDINGS if name.startswith("error-") and "-401-" not in name))
    await lab.check("api-head-warmup", "compose.deploy-with-commitHash")
    keyless = Caller(url=lab.dokploy.url, key=None)
    await lab.check("error-401-no-key", "error-401-bearer", "settings.health-noauth", by=keyless)
    await lab.check("health", "trpc-settings.health-noauth", by=keyless)
    await lab.check("error-401-bad-key", by=Caller(url=lab.dokploy.url, key="nobody's"))
    limited = Caller(url=lab.dokploy.url, key=lab.dokploy.add_key(rate_limit=6))
    await lab.check(*(f"error-401-ratelimited-call{number}" for number in range(1, 6)), by=limited)
    lab.end()


async def test_recorded_reads_match_the_stand_in(lab: Lab) -> None:
    lab.stack()
    lab.application()
    lab.database()
    lab.names.add("8V9E34hVV5-KHoJsLTn85", lab.dokploy.add_server("lab-remote")["serverId"])
    lab.dokploy.add_notification("http://127.0.0.1:18080/hook", headers={"X-Lab": "1"})
    ill = {"status": "unhealthy", "message": "no such service"}
    lab.dokploy.stage.infrastructure.update(postgres=ill, traefik=ill)
    await lab.check(
        *("project.all", "project.one", "project.search", "project.homeStats", "environment.byProjectId"),
        *("environment.one", "environment.search", "server.all", "server.one", "server.getServerTime"),
        *("settings.getDokployVersion", "settings.getReleaseTag", "settings.isCloud", "settings.health"),
        *("settings.getIp", "settings.getUpdateData", "settings.getWebServerSettings", "settings.checkGPUStatus"),
        *("settings.getDockerDiskUsage", "settings.checkInfrastructureHealth", "server.getServerMetrics"),
        *("settings.haveTraefikDashboardPortEnabled", "user.get", "user.session", "user.getPermissions"),
        *("user.getContainerMetrics", "notification.all", "auditLog.all", "backup.one-unknown"),
        *("volumeBackups.list", "swarm.getNodes", "docker.getServerHealth", "compose.search", "trpc-compose.one"),
    )
    lab.dokploy.state.servers.clear()
    await lab.check("server.count")
    lab.end()


async def test_recorded_creations_and_changes_match_the_stand_in(lab: Lab) -> None:
    lab.simple(NEVER, "lab-never", lab.sleeper())
    stack = lab.stack()
    await lab.check(
        "project.create", "environment.create", "compose.create", "compose.create-git", "compose.create-stack"
    )
    await lab.check("compose.one-before-first-deploy", "compose.loadServices-cache-before-deploy")
    await lab.check("deployment.allByCompose-empty", "compose.getConvertedCompose", "compose.getDefaultCommand")
    await lab.check("compose.start-never-deployed", "compose.stop-never-deployed", "compose.refreshToken")
    await lab.check("compose.update-appName", "compose.update-status-running", "compose.saveEnvironment")
    await lab.check(
        "compose.update-bad-image", "compose.update-slow", "compose.update-rollback", "compose.update-rollback2"
    )
    await lab.check("compose.update-status", "compose.update", "compose.update-autodeploy-off")
    await lab.check("compose.update-bad-yaml", "compose.getConvertedCompose-bad-yaml")
    await lab.check("compose.cancelDeployment", "compose.cleanQueues", "compose.killBuild", "compose.delete")
    await lab.check("domain.create-compose", "domain.byComposeId", "domain.validateDomain-as-GET")
    await lab.check("domain.validateDomain", "domain.validateDomain-localhost")
    await lab.check("schedule.create", "deployment.readLogs-unknown", "rollback.rollback-unknown")
    assert stack.row["composeFile"].endswith("[unclosed\n")
    lab.end()


async def test_converting(lab: Lab) -> None:
    alone = lab.simple(
        ISOLATED,
        "lab-iso",
        f'services:\n  job:\n    image: {lab.image}\n    command: [sleep, "3600"]\n    volumes: ["data:/data"]\n'
        "volumes:\n  data: {}\n",
    )
    await lab.check("compose.update-isolated", "compose.getConvertedCompose-isolated", "compose.deploy-isolated")
    await lab.idle()
    lab.names.add("-uaY08iH4At9Imm-IyFp9", lab.dokploy.deployments(alone)[0]["deploymentId"])
    await lab.check("deployment.readLogs-isolated", is_text_free=True)
    await lab.check("docker.getContainersByAppNameMatch-isolated", "compose.loadMountsByService")
    await lab.check("compose.one-isolated")
    lab.stack()
    await lab.check("compose.update", "domain.create-compose", "compose.getConvertedCompose-with-domain")
    lab.stack("compose.create-stack", "rm08tfhqR6Zd3k_SINXFa")
    await lab.check("compose.getDefaultCommand-stack", "compose.one-stack")
    lab.end()


async def test_a_deployed_stack(lab: Lab) -> None:
    stack = lab.stack(compose_file=lab.sleeper() + lab.sleeper("worker").removeprefix("services:\n"))
    lab.dokploy.hold_running()
    await lab.check("compose.deploy", "deployment.queueList-during-deploy")
    lab.dokploy.release_running()
    await lab.idle()
    deployment = lab.dokploy.deployments(stack)[0]["deploymentId"]
    lab.names.add("NQz5Byq_hWa6qzMJcAHnS", deployment)
    lab.names.add("61zDVQaX7Ifmn63OsuHZW", deployment)
    await lab.container("9854b6d2c058", stack)
    await lab.check("compose.one-after-deploy", "deployment.allByCompose", "deployment.allByType-compose")
    await lab.check("deployment.allCentralized", "deployment.killProcess-no-pid")
    lab.names.add("CkFEw3D2DH1GmX7t8hrrR", deployment)
    await lab.check("deployment.killProcess")
    await lab.check("compose.loadServices-default", "compose.loadServices-fetch")
    await lab.check("docker.getContainersByAppNameMatch", "docker.getContainersByAppNameMatch-notype")
    await lab.check("docker.getContainersByAppNameMatch-unknown", "docker.getContainers", "docker.getEvents")
    await lab.check("docker.getContainersByAppLabel-standalone", "docker.getConfig-unknown", "swarm.getContainerStats")
    await lab.check("compose.readLogs", "compose.readLogs-since-search", "deployment.readLogs", is_text_free=True)
    await lab.check("compose.readLogs-no-match", "application.readAppMonitoring")
    await lab.check("docker.restartContainer", "docker.stopContainer", "docker.startContainer")
    await lab.check("docker.restartContainer-unknown", is_text_free=True)
    await lab.check("schedule.create")
    schedule = next(iter(lab.dokploy.state.schedules))
    lab.names.add("Vjvo2uqBXjbpK79RQzX54", schedule)
    lab.dokploy.state.schedules[schedule]["command"] = "echo hello"
    await lab.check("schedule.list", "schedule.runManually")
    await lab.check("deployment.allByType-schedule-after", "deployment.allByType-schedule")
    await lab.check("compose.stop", "docker.getContainersByAppNameMatch-after-stop", "compose.one-after-stop")
    await lab.check("compose.start", "compose.one-after-start", "deployment.removeDeployment")
    lab.end()


async def test_more_of_a_stack(lab: Lab) -> None:
    stack = lab.stack(compose_file=lab.sleeper())
    lab.dokploy.add_domain(stack, "web.lab.local", service_name="web")
    await lab.check("compose.deploy-with-domain")
    await lab.idle()
    await lab.check("compose.redeploy")
    await lab.idle()
    await lab.check("compose.stop-before-deploy")
    lab.dokploy.hold_running()
    await lab.check("compose.deploy")
    await eventually(lambda: stack.status == "running")
    await lab.check("compose.stop-during-deploy")
    assert stack.status == "idle"
    lab.dokploy.release_running()
    await lab.idle()
    assert stack.status == "done"
    await lab.check("compose.stop", "docker.getContainersByAppNameMatch-after-slow")
    stack.row["composeFile"] = "services:\n  web:\n    image: 127.0.0.1:9/nosuch:v9\n"
    await lab.check("compose.deploy-bad-image")
    await lab.idle()
    lab.names.add("1gI-26vBK0xz9FszhHRhF", lab.dokploy.deployments(stack)[0]["deploymentId"])
    await lab.check("deployment.readLogs-error", is_text_free=True)
    lab.end()


async def test_what_the_engine_says_of_a_container(lab: Lab) -> None:
    """The engines differ in age: what Dokploy passes on must have what the product reads, not every key."""
    stack = lab.stack(compose_file=lab.sleeper())
    await lab.deployed(stack)
    container = await lab.container("9854b6d2c058", stack)
    for old in ("2a83f2b1b8cf", "45504c929c53", "b161d5765b1d"):
        lab.names.add(old, container)
    recorded = (
        "docker.getConfig",
        "docker.getConfig-isolated",
        "docker.getConfig-stack",
        "docker.getConfig-with-domain",
    )
    for name in recorded:
        answer = await replay(lab.owner, name, lab.names)
        assert (answer.status, answer.content_type) == (200, "application/json")
        for part in ("Id", "Name", "Created", "Image", "RestartCount", "State", "Config", "HostConfig", "Mounts"):
            assert type(answer.body[part]) is type(RECORDINGS[name].answer[part])
        assert RECORDINGS[name].answer["State"].keys() - answer.body["State"].keys() <= {"Health"}
        assert {"Env", "Image", "Labels"} <= answer.body["Config"].keys()


async def test_deploy_webhooks(lab: Lab) -> None:
    stack = lab.stack(compose_file="services: [\n")
    lab.names.add("<refreshToken>", stack.row["refreshToken"])
    anybody = Caller(url=lab.dokploy.url, key=None)
    for name in ("webhook-in-compose-raw-empty", "webhook-in-compose-github-push", "webhook-in-compose-GET"):
        await lab.check(name, by=anybody)
    await lab.idle()
    titles = [(row["title"], row["description"]) for row in lab.dokploy.deployments(stack)]
    recorded = RECORDINGS["deployment.allByCompose-after-webhooks"].answer[:3]
    assert titles == [(row["title"], row["description"]) for row in recorded]
    await lab.check("deployment.allByCompose-after-webhooks")
    stack.row["autoDeploy"] = False
    await lab.check("webhook-in-compose-autodeploy-off", by=anybody)
    lab.names.add("<refreshToken>", "nobody's")
    await lab.check("webhook-in-compose-bad-token", by=anybody)
    lab.end()


async def test_channels(lab: Lab) -> None:
    async with hookbox() as box:
        lab.names.add("http://127.0.0.1:18080/hook", box.url)
        lab.names.add("labtoken2", "token-of-the-remote-agent")
        lab.names.add("labtoken", "token-of-the-own-agent")
        lab.dokploy.state.settings["metricsConfig"]["server"]["token"] = "token-of-the-own-agent"
        server = lab.dokploy.add_server("lab-remote")
        server["metricsConfig"]["server"]["token"] = "token-of-the-remote-agent"
        await lab.check("notification.testCustomConnection", "notification.createCustom")
        await lab.check("notification.receiveNotification-bad-token", "notification.receiveNotification-dokploy-host")
        assert [one["title"] for one in box.received] == ["Test Notification"]
        await lab.check("notification.receiveNotification-remote")
        assert (await box.titled("Server CPU Alert"))["serverName"] == "lab-remote"
    lab.end()


async def test_the_queue(lab: Lab) -> None:
    stack = lab.stack(compose_file=lab.sleeper())
    lab.dokploy.hold_running()
    await lab.check("compose.deploy-queued-1", "compose.deploy-queued-2", "compose.deploy-queued-3")
    await eventually(lambda: lab.dokploy.deployments(stack))
    await lab.check("deployment.queueList", "deployment.allByCompose-while-queued")
    await lab.check("compose.cleanQueues-with-waiting", "deployment.queueList-after-clean")
    listed = (await lab.owner.get("deployment.queueList")).body
    assert [(job["state"], job["data"]["titleLog"]) for job in listed] == [("active", "queued 1")]
    lab.dokploy.release_running()
    await lab.idle()
    lab.end()


async def test_recorded_failures_match_the_stand_in(lab: Lab) -> None:
    stack = lab.stack(compose_file=lab.sleeper())
    await lab.deployed(stack)
    await lab.check("compose.update-bad-yaml", "compose.deploy-bad-yaml")
    await lab.idle()
    lab.names.add("0FZw2TrbPtRi2tgMtJTlu", lab.dokploy.deployments(stack)[0]["deploymentId"])
    await lab.check("deployment.readLogs-bad-yaml", is_text_free=True)
    await lab.check("deployment.allByCompose-after-error", "docker.getContainersByAppNameMatch-after-error")
    await lab.check("compose.start-bad-file", is_text_free=True)
    await lab.check("compose.one-after-start-bad-file", "compose.redeploy-failing")
    await lab.idle()
    lab.names.add("medzQ5beO19Aovl4V43_c", stack.id)
    lab.dokploy.hold_running()
    await lab.owner.post("compose.deploy", composeId=stack.id)
    await eventually(lambda: lab.dokploy.deployments(stack)[0]["status"] == "running")
    lab.dokploy.restart(marks_leftovers=False)
    await lab.check("compose.one-after-server-restart")
    assert stack.status == "running"
    lab.dokploy.restart()
    await lab.check("compose.one-after-startup-cleanup")
    assert (stack.status, lab.dokploy.deployments(stack)[0]["status"]) == ("idle", "cancelled")
    lab.end()


async def test_git(lab: Lab, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "stack.git")
    first = repository.commit(lab.sleeper("app"), "feat: first version", tag="v1")
    repository.commit(lab.sleeper("app") + "# second\n", "feat: second version")
    stack = lab.simple(GIT, "lab-git", "")
    lab.names.add("http://127.0.0.1:18081/stack.git", repository.url)
    lab.names.add("938fe80259e65016f3677b04cd5a25c82f84c22b", first)
    await lab.check("compose.update-git-source", "compose.loadServices-git-cache", "compose.loadServices-git-fetch")
    for update, deploy, after in (
        ("compose.update-git-main", "compose.deploy-git-main", "deployment.allByCompose-git-main"),
        ("compose.update-git-tag", "compose.deploy-git-tag", "deployment.allByCompose-git-tag"),
        ("compose.update-git-sha", "compose.deploy-git-sha", "deployment.allByCompose-git-sha"),
    ):
        await lab.check(update, deploy)
        await lab.idle()
        await lab.check(after)
    lab.names.add("9j2w2VhqpEbkkceRlRFGv", lab.dokploy.deployments(stack)[0]["deploymentId"])
    await lab.check("deployment.readLogs-git-sha")
    await lab.check("docker.getContainersByAppNameMatch-git-after-failed-clone")
    await lab.check("compose.start-git-after-failed-clone", is_text_free=True)
    await lab.check("compose.redeploy-git-after-failed-clone", "compose.update-git-main", "compose.deploy-git-back")
    await lab.idle()
    await lab.check("deployment.allByCompose-git-back")
    lab.end()


async def test_swarm_services(lab: Lab) -> None:
    swarm = lab.stack("compose.create-stack", "rm08tfhqR6Zd3k_SINXFa")
    swarm.row["composeFile"] = (
        f"services: {{api: {{image: '{lab.image}', command: [sleep, '3600'], deploy: {{replicas: 2}}}}}}"
    )
    await lab.check("compose.deploy-stack")
    await lab.idle()
    await lab.check("docker.getContainersByAppNameMatch-stack", "docker.getStackContainersByAppName")
    await lab.check("docker.getServiceContainersByAppName-stack", "compose.stop-stack", "compose.start-stack")
    await lab.check("compose.one-stack-after-start", "docker.getContainersByAppNameMatch-stack-after-stop-start")
    lab.names.add("M_hzLtWyEWC8MnWw7sL5A", lab.dokploy.deployments(swarm)[0]["deploymentId"])
    await lab.check("deployment.readLogs-stack", is_text_free=True)
    lab.end()


async def test_applications(lab: Lab) -> None:
    app = lab.application()
    lab.names.add("o71YFsWMFTDvrBSTuuYyj", "a-registry")
    await lab.check("application.create", "application.saveDockerProvider", "application.deploy")
    await lab.idle()
    lab.names.add("zUYhMGr3pyFyIbynDB7sa", lab.dokploy.deployments(app)[0]["deploymentId"])
    await lab.check(
        "deployment.all", "deployment.allByType-application", "deployment.readLogs-application", is_text_free=True
    )
    await lab.check(
        "application.saveDockerProvider-2", "application.update", "application.deploy-2", "application.redeploy"
    )
    await lab.idle()
    await lab.check("application.one", "application.cancelDeployment", "application.reload")
    await lab.check("docker.getServiceContainersByAppName", "docker.getContainersByAppLabel-swarm")
    await lab.check("application.readLogs", "application.update-rollback", "application.deploy")
    await lab.idle()
    (kept,) = lab.dokploy.state.rollbacks.values()
    lab.names.add("LHjZKugcQhuZeWF49vR89", kept["rollbackId"])
    lab.names.add("bI9mIck7Opi1ussg8ukEc", kept["rollbackId"])
    await lab.check(
        "deployment.allByType-application-with-rollback", "rollback.rollback", "application.one-after-rollback"
    )
    await lab.check("rollback.delete", "application.stop", "application.start")
    assert lab.names.here(APP) == app.id
    lab.end()


async def test_databases(lab: Lab) -> None:
    lab.database(command="sleep 3600")
    await lab.check("postgres.create", "postgres.update", "postgres.deploy", "postgres.one", "postgres.stop")
    await lab.check("postgres.start", "postgres.reload", "postgres.reload-missing-appName", "postgres.restart")
    await lab.check("deployment.all-postgres")
    lab.end()


async def test_members(lab: Lab) -> None:
    stack = lab.stack(compose_file=lab.sleeper())
    await lab.deployed(stack)
    lab.names.add("labiso-mfbxvz-job-1", stack.container("web"))
    lab.dokploy.add_domain(stack, "web.lab.local", service_name="web")
    keys = {
        "member": lab.dokploy.add_key(role="member", rate_limit=None),
        "memberwith": lab.dokploy.add_key(role="member", rights={"docker"}, services=(stack,), rate_limit=None),
        "membercreate": lab.dokploy.add_key(
            role="member", rights={"docker", "service"}, services=(stack,), rate_limit=None
        ),
    }
    for prefix, key in keys.items():
        caller = Caller(url=lab.dokploy.url, key=key)
        names = sorted(name for name in RECORDINGS if name.startswith(f"{prefix}-"))
        last = [name for name in names if name.endswith(("compose.stop", "compose.start"))]
        for name in names:
            if name not in last:
                await lab.check(name, by=caller, is_text_free=name == "membercreate-compose.getConvertedCompose")
                await lab.idle()
        await lab.check(*reversed(last), by=caller)
    assert lab.names.here(STACK) == stack.id
    lab.end()
