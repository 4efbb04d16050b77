"""Rolling composes back: to a kept file, a tag or branch, or the images of then; and the truth where it cannot be."""

from datetime import datetime
from pathlib import Path

import docker
import pytest

from core.deployments.deploys import Deploy, DeployKind, Deploys, VersionVerdict
from core.errors import ActionFailed, InvalidParams, Refused, SystemUnavailable
from tests.integrations.dokploy.action_fixtures import world
from tests.integrations.dokploy.action_world import ActionWorld, Done
from tests.standins.dokploy import Service
from tests.standins.test_dokploy_sources import Repository
from tests.testbed.registry import Registry

__all__ = ["world"]


def keys(warnings: object) -> list[str]:
    return [one.key for one in warnings]  # type: ignore[attr-defined]


async def edited(world: ActionWorld, granada: Service, limit_mb: int, *, verdict: VersionVerdict) -> Done:
    """Another limit, deployed and judged."""
    await world.do("compose.set_memory_limit", stack="granada", service="web", limit_mb=limit_mb)
    done = await world.do("compose.redeploy", stack="granada", why=f"{limit_mb} MB")
    await world.ended(granada, done.key, verdict=verdict)
    return done


async def test_a_file_goes_back_to_the_last_good_version_and_forward_again(world: ActionWorld) -> None:
    granada = await world.running(env="A=1\n")
    await edited(world, granada, 64, verdict=VersionVerdict.GOOD)
    await world.client.composes.save_environment(granada.id, "A=2\nB=1\n")
    await edited(world, granada, 96, verdict=VersionVerdict.BAD)

    shown = await world.preview("compose.rollback", stack="granada")
    assert {"- mem_limit: 96m", "+ mem_limit: 64m", "- B", "~ A"} <= set(shown.lines)
    said = next(one for one in shown.warnings if one.key == "dokploy.warn.version")
    assert (said.values["number"], said.values["by"]) == (2, "Ada")
    assert "dokploy.warn.volumes" in keys(shown.warnings)

    back = await world.do("compose.rollback", stack="granada", why="too slow")
    deploy = await world.ended(granada, back.key)
    assert deploy.what is DeployKind.ROLLBACK
    assert "64m" in granada.row["composeFile"]
    assert granada.row["env"] == "A=1\n"
    (container,) = [one for one in world.inventory.containers if one.stack == "granada"]
    assert container.memory_limit_bytes == 64 * 1024 * 1024

    forward = await world.undo(back)
    await world.ended(granada, forward.key)
    assert ("96m" in granada.row["composeFile"], granada.row["env"]) == (True, "A=2\nB=1\n")


async def test_a_rollback_of_a_rollback_goes_further_back(world: ActionWorld) -> None:
    granada = await world.running()
    await edited(world, granada, 64, verdict=VersionVerdict.GOOD)
    await edited(world, granada, 96, verdict=VersionVerdict.BAD)
    first = await world.do("compose.rollback", stack="granada")
    await world.ended(granada, first.key)
    assert "64m" in granada.row["composeFile"]
    second = await world.do("compose.rollback", stack="granada")
    await world.ended(granada, second.key)
    assert granada.row["composeFile"] == world.file()


async def test_a_version_is_chosen_by_its_number(world: ActionWorld) -> None:
    granada = await world.running()
    await edited(world, granada, 64, verdict=VersionVerdict.GOOD)
    await edited(world, granada, 96, verdict=VersionVerdict.GOOD)
    listed = await world.read("compose.versions", stack="granada")
    numbers = [one["version"] for one in listed.data["versions"]]  # type: ignore[index,union-attr,call-overload]
    assert numbers == [3, 2, 1]
    changed = await world.read("compose.changes", stack="granada", version=1)
    assert "+ mem_limit: 96m" in changed.data["lines"]  # type: ignore[operator]
    done = await world.do("compose.rollback", stack="granada", version=1)
    await world.ended(granada, done.key)
    assert granada.row["composeFile"] == world.file()
    with pytest.raises(Refused, match="what is deployed already"):
        await world.preview("compose.rollback", stack="granada", version=1)
    with pytest.raises(Refused, match="no kept version 99"):
        await world.preview("compose.rollback", stack="granada", version=99)


async def test_a_version_made_by_hand_is_saved_before_it_is_overwritten(world: ActionWorld) -> None:
    granada = await world.running()
    await edited(world, granada, 64, verdict=VersionVerdict.GOOD)
    by_hand = world.file(more="    mem_limit: 80m\n")
    await world.client.composes.update(granada.id, compose_file=by_hand)
    done = await world.do("compose.rollback", stack="granada", version=1)
    await world.ended(granada, done.key)
    kept = [await world.versions.content(one.id) for one in await world.versions.of(granada.id)]
    assert by_hand in [one.compose_file for one in kept if one is not None]


class LockedDeploys:
    """Records that cannot be written."""

    def __init__(self, kept: Deploys) -> None:
        self._kept = kept

    async def put(self, deploy: Deploy) -> None:
        raise SystemUnavailable("the database", "it is locked")

    async def get(self, key: str) -> Deploy | None:
        return await self._kept.get(key)

    async def unfinished(self) -> list[Deploy]:
        return await self._kept.unfinished()

    async def recent(
        self, limit: int = 10, *, managed_id: str | None = None, since: datetime | None = None
    ) -> list[Deploy]:
        return await self._kept.recent(limit, managed_id=managed_id, since=since)


async def test_a_change_that_cannot_be_deployed_is_undone(world: ActionWorld) -> None:
    granada = await world.running()
    await edited(world, granada, 64, verdict=VersionVerdict.GOOD)
    before = granada.row["composeFile"]
    catalog = world.catalog_with(world.client, deploys=LockedDeploys(world.deploys))
    for name, params in (("rollback", {}), ("change_image_tag", {"service": "web", "tag": "v9"})):
        action = catalog.get(f"dokploy.compose.{name}")
        with world.calling(), pytest.raises(ActionFailed, match="nothing was deployed"):
            await action.run(action.parse({"stack": "granada", **params}))
        assert granada.row["composeFile"] == before
    assert len(world.standin.deployments(granada)) == 2


async def test_a_failed_undo_is_reported(world: ActionWorld) -> None:
    granada = await world.running()
    await edited(world, granada, 64, verdict=VersionVerdict.GOOD)
    key = world.standin.add_key(rate_limit=8)
    action = world.catalog_with(world.client_of(key)).get("dokploy.compose.rollback")
    with world.calling(), pytest.raises(ActionFailed, match="could not be put back"):
        await action.run(action.parse({"stack": "granada"}))
    assert len(world.standin.deployments(granada)) == 2


async def test_a_rollback_without_a_saved_version_says_why(world: ActionWorld) -> None:
    await world.compose()
    with pytest.raises(Refused, match="from the first deploy or edit through here on"):
        await world.preview("compose.rollback", stack="granada")
    with pytest.raises(Refused, match="does not come from git"):
        await world.preview("compose.rollback", stack="granada", ref="v1")


async def test_a_migration_in_between_is_warned_of(world: ActionWorld) -> None:
    granada = await world.running()
    message = "echo 'INFO [alembic.runtime.migration] Running upgrade 1a -> 2b, add tables'; exec sleep 600"
    command = f'["sh", "-c", "{message}"]'
    migrates = f"services:\n  web:\n    image: {world.image}\n    command: {command}\n    stop_grace_period: 1s\n"
    await world.do("compose.set_memory_limit", stack="granada", service="web", limit_mb=64)
    await world.client.composes.update(granada.id, compose_file=migrates)
    done = await world.do("compose.deploy", stack="granada")
    await world.ended(granada, done.key, verdict=VersionVerdict.BAD)
    shown = await world.preview("compose.rollback", stack="granada")
    said = next(one for one in shown.warnings if one.key == "dokploy.warn.migration")
    assert said.values == {"tool": "alembic"}


async def test_a_mutable_tag_means_its_old_image_again(
    world: ActionWorld, registry: Registry, docker_client: docker.DockerClient
) -> None:
    reference = registry.push(docker_client, world.image, "granada/web", "stable")
    granada = await world.running(file=world.file(image=reference))
    old = str(docker_client.images.get(reference).id)
    made = docker_client.containers.create(world.image, ["true"])
    made.commit(f"{registry.host}/granada/web", "newer")
    made.remove()
    registry.push(docker_client, f"{registry.host}/granada/web:newer", "granada/web", "stable")
    registry.pushed.append(f"{registry.host}/granada/web:newer")
    docker_client.images.get(old).tag(f"{registry.host}/granada/web", "stable")

    done = await world.do("compose.update_images", stack="granada")
    new = docker_client.images.get(reference).id
    assert new != old
    await world.ended(granada, done.key, verdict=VersionVerdict.BAD)
    assert [one.image_id for one in world.inventory.containers] == [new]

    shown = await world.preview("compose.rollback", stack="granada")
    assert f"{reference} → {old.removeprefix('sha256:')[:12]}" in shown.lines
    assert "dokploy.warn.retagged" in keys(shown.warnings)

    undone = await world.undo(done)
    await world.ended(granada, undone.key)
    assert [one.image_id for one in world.inventory.containers] == [old]


async def test_without_a_newer_image_nothing_is_deployed(
    world: ActionWorld, registry: Registry, docker_client: docker.DockerClient
) -> None:
    reference = registry.push(docker_client, world.image, "granada/calm", "stable")
    granada = await world.running(file=world.file(image=reference))
    done = await world.do("compose.update_images", stack="granada")
    assert (done.result.message.key, done.result.ends_here) == ("dokploy.no_newer_images", True)
    assert len(world.standin.deployments(granada)) == 1


async def test_another_tag_is_deployed_and_taken_back(
    world: ActionWorld, registry: Registry, docker_client: docker.DockerClient
) -> None:
    reference = registry.push(docker_client, world.image, "granada/tagged", "v1")
    registry.push(docker_client, world.image, "granada/tagged", "v2")
    granada = await world.running(file=world.file(image=reference))
    shown = await world.preview("compose.change_image_tag", stack="granada", service="web", tag="v2")
    assert any(line.startswith("+") and "tagged:v2" in line for line in shown.lines)
    done = await world.do("compose.change_image_tag", stack="granada", service="web", tag="v2")
    await world.ended(granada, done.key)
    assert "granada/tagged:v2" in world.inventory.containers[0].image
    undone = await world.undo(done)
    await world.ended(granada, undone.key)
    assert "granada/tagged:v1" in world.inventory.containers[0].image


# -- git ---------------------------------------------------------------------------------------------------------------


class Folder(Repository):
    """A repository with more than the Compose file."""

    def add(self, name: str) -> None:
        """Let the next commit hold that file too."""
        self._git("add", name)


@pytest.fixture
def repository(tmp_path: Path) -> Folder:
    """Give an empty repository."""
    return Folder(tmp_path / "granada.git")


async def test_a_git_stack_rolls_back_to_a_tag_and_returns_to_its_branch(
    world: ActionWorld, repository: Folder
) -> None:
    first = repository.commit(world.file(), "first", tag="v1")
    second = repository.commit(world.file(more="    mem_limit: 64m\n"), "second")
    granada = await world.running(file="", git_url=repository.url)
    shown = await world.preview("compose.rollback", stack="granada", ref="v1")
    assert {"- custom_git_branch: main", "+ custom_git_branch: v1"} <= set(shown.lines)
    assert "dokploy.warn.branch" in keys(shown.warnings)

    done = await world.do("compose.rollback", stack="granada", ref="refs/tags/v1")
    await world.ended(granada, done.key)
    assert granada.row["customGitBranch"] == "v1"
    assert world.standin.deployments(granada)[0]["description"] == f"Commit: {first}"

    undone = await world.undo(done)
    await world.ended(granada, undone.key)
    assert granada.row["customGitBranch"] == "main"
    assert world.standin.deployments(granada)[0]["description"] == f"Commit: {second}"


async def test_a_bare_commit_is_refused_with_the_next_step(world: ActionWorld, repository: Folder) -> None:
    first = repository.commit(world.file(), "first")
    await world.running(file="", git_url=repository.url)
    for ref in (first, first[:7]):
        with pytest.raises(Refused, match=f"git tag rollback-{first[:7]}"):
            await world.do("compose.rollback", stack="granada", ref=ref)
    assert world.posts("compose.update") == 0


@pytest.mark.parametrize("ref", ["v1; rm -rf /", "--upload-pack=x", "$(id)", "a..b", "", "v1.lock"])
async def test_an_invalid_branch_name_is_refused(world: ActionWorld, ref: str) -> None:
    with pytest.raises(InvalidParams, match="ref"):
        world.action("compose.rollback").parse({"stack": "granada", "ref": ref})


async def test_a_date_may_be_a_tag(world: ActionWorld, repository: Folder) -> None:
    repository.commit(world.file(), "first", tag="20260314")
    await world.running(file="", git_url=repository.url)
    shown = await world.preview("compose.rollback", stack="granada", ref="20260314")
    assert "+ custom_git_branch: 20260314" in shown.lines


async def test_a_git_stack_rolls_back_to_its_earlier_images(
    world: ActionWorld, repository: Folder, registry: Registry, docker_client: docker.DockerClient
) -> None:
    name = f"{registry.host}/granada/git"
    repository.commit(world.file(image=registry.push(docker_client, world.image, "granada/git", "stable")), "first")
    granada = await world.running(file="", git_url=repository.url)
    old = docker_client.images.get(f"{name}:stable").id
    good = await world.do("compose.redeploy", stack="granada")
    await world.ended(granada, good.key)

    made = docker_client.containers.create(world.image, ["true"])
    made.commit(name, "stable")
    made.remove()
    bad = await world.do("compose.redeploy", stack="granada")
    await world.ended(granada, bad.key, verdict=VersionVerdict.BAD)
    assert world.inventory.containers[0].image_id != old

    shown = await world.preview("compose.rollback", stack="granada")
    assert "dokploy.warn.file_stays" in keys(shown.warnings)
    back = await world.do("compose.rollback", stack="granada")
    await world.ended(granada, back.key)
    assert world.inventory.containers[0].image_id == old
    assert world.standin.asked("compose.redeploy")[-1].params["title"].startswith("Ada: back to version")


async def test_a_stack_built_from_git_cannot_roll_back_by_images(
    world: ActionWorld, repository: Folder, docker_client: docker.DockerClient
) -> None:
    built = world.file(image="granada-built:latest").replace("    image:", "    build: .\n    image:")
    (repository.folder / "Dockerfile").write_text(f"FROM {world.image}\nLABEL step=1\n")
    repository.add("Dockerfile")
    repository.commit(built, "first")
    granada = await world.running(file="", git_url=repository.url)
    good = await world.do("compose.deploy", stack="granada")
    await world.ended(granada, good.key)
    (repository.folder / "Dockerfile").write_text(f"FROM {world.image}\nLABEL step=2\n")
    repository.add("Dockerfile")
    repository.commit(built, "second")
    bad = await world.do("compose.deploy", stack="granada")
    await world.ended(granada, bad.key, verdict=VersionVerdict.BAD)
    with pytest.raises(Refused, match="built from the repository") as caught:
        await world.preview("compose.rollback", stack="granada")
    assert "give a tag or branch" in str(caught.value)
