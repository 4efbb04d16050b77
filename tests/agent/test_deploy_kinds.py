"""Deploys of other kinds than a raw compose: from git, a stack, an application, with a key of few rights."""

import subprocess
from pathlib import Path

import pytest

from core.deployments.deploys import DeployPhase
from core.deployments.platform import ManagedKind
from tests.agent.deploy_world import FOREVER, DeployWorld, compose_file, say
from tests.testbed.world import eventually

AUTHOR = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
CRASH = "import time,sys; time.sleep(0.7); sys.exit(3)"


def commit(folder: Path, file: str, message: str) -> str:
    """Commit the file in a repository, new or known; the commit's hash."""
    folder.mkdir(exist_ok=True)
    (folder / "docker-compose.yml").write_text(file)
    for arguments in (
        ("init", "-q", "-b", "main"),
        ("add", "docker-compose.yml"),
        (*AUTHOR, "commit", "-q", "-m", message),
    ):
        subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, timeout=30)
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, timeout=30)
    return done.stdout.decode().strip()


async def test_a_deploy_from_git_keeps_its_commit_and_what_held_stays(world: DeployWorld, tmp_path: Path) -> None:
    repository = tmp_path / "granada.git"
    first = commit(repository, compose_file(world.image, api=FOREVER), "feat: first\n\nDB_PASSWORD=hunter2hunter2")
    granada = world.add("granada", git_url=f"file://{repository}")
    async with world.running():
        good = await world.deploy("granada", key="k0")
        assert (good.phase, good.commit, good.commit_message) == (DeployPhase.GOOD, first, "feat: first")
        second = commit(repository, compose_file(world.image, api=CRASH), "feat: second")
        bad = await world.deploy("granada")
        assert (bad.phase, bad.commit) == (DeployPhase.CRASHED, second)
        newest, older = await world.knowledge.versions.of(granada.id)
        assert (newest.verdict, newest.commit, newest.id) == ("bad", second, bad.version_id)
        assert (older.verdict, older.commit, older.id) == ("good", first, good.version_id)


async def test_a_clone_that_fails_is_reported_by_gits_own_word(world: DeployWorld, tmp_path: Path) -> None:
    repository = tmp_path / "granada.git"
    commit(repository, compose_file(world.image, api=FOREVER), "feat: first")
    world.add("granada", git_url=f"file://{repository}", git_branch="nowhere")
    async with world.running():
        deploy = await world.deploy("granada")
        assert (deploy.phase, deploy.error_class) == (DeployPhase.FAILED, "git_failed")
        assert deploy.error_line == "fatal: Remote branch nowhere not found in upstream origin"


@pytest.mark.parametrize(("program", "phase"), [(FOREVER, DeployPhase.GOOD), (CRASH, DeployPhase.CRASHED)])
async def test_a_stack_is_judged_by_its_tasks(world: DeployWorld, program: str, phase: DeployPhase) -> None:
    world.add("granada", compose_file(world.image, api=program), compose_type="stack")
    async with world.running():
        deploy = await world.deploy("granada", key="k0")
        assert deploy.phase is phase
        assert ("api exited (code 3)" in say(deploy.message)) is (phase is DeployPhase.CRASHED)
        if phase is DeployPhase.GOOD:
            assert (await world.deploy("granada")).phase is phase, "its tasks were replaced"


async def test_a_key_that_may_not_inspect_still_sees_a_crash(world: DeployWorld) -> None:
    granada = world.add("granada", compose_file(world.image, api=CRASH))
    rights = {"service"}
    world.api_key = world.dokploy.add_key(role="member", services=(granada,), rights=rights, rate_limit=None)
    world.is_watched = False
    async with world.running():
        deploy = await world.deploy("granada", key="k0")
        assert deploy.phase is DeployPhase.CRASHED
        assert "api exited (code 3)" in say(deploy.message)
        assert all(one.status == 401 for one in world.dokploy.asked("docker.getConfig"))
        deploy = await world.deploy("granada", compose_file(world.image, api=FOREVER))
        assert deploy.phase is DeployPhase.GOOD


async def test_a_deploy_without_containers_is_not_called_good(world: DeployWorld) -> None:
    file = compose_file(world.image, api=FOREVER).replace("    init: true\n", "    init: true\n    scale: 0\n")
    world.add("granada", file)
    async with world.running():
        deploy = await world.deploy("granada")
        assert deploy.phase is DeployPhase.FAILED
        assert say(deploy.message) == "Dokploy says granada is deployed, but it has no container."


async def test_a_stack_that_is_gone_from_dokploy_is_not_followed_for_ever(world: DeployWorld) -> None:
    granada = world.add("granada")
    world.dokploy.hold_queue()
    world.dokploy_settings["deploy_limit_s"] = 1.5
    async with world.running():
        await world.order("granada")
        await eventually(lambda: world.is_in_line("k1"))
        world.dokploy.state.composes.pop(granada.id)
        deploy = await world.verdict()
        assert deploy.phase is DeployPhase.UNKNOWN
        assert "I can't see" in say(deploy.message)


@pytest.mark.parametrize(("program", "phase"), [(FOREVER, DeployPhase.GOOD), (CRASH, DeployPhase.CRASHED)])
async def test_an_application_is_followed_by_its_own_deployments(
    world: DeployWorld, program: str, phase: DeployPhase
) -> None:
    world.add_application("api", program)
    async with world.running():
        deploy = await world.deploy("api")
        assert deploy.managed_kind is ManagedKind.APPLICATION
        assert deploy.phase is phase, say(deploy.message)
        assert ("exited (code 3)" in say(deploy.message)) is (phase is DeployPhase.CRASHED)
        assert world.dokploy.asked("deployment.all")
