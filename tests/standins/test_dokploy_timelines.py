"""Statuses and deployments follow each other as they did on the real Dokploy."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.dokploy.replay import FOLDER
from tests.standins.dokploy import DokployStandin, Service
from tests.standins.lab import GIT, Lab
from tests.standins.recorded import raw_request, replay
from tests.standins.test_dokploy_sources import Repository
from tests.testbed.world import eventually

State = tuple[str, tuple[tuple[str, str], ...]]
"""Status of the service; status and title of each deployment, newest first."""
NOT_REPEATED = {
    "timeline-application.deploy": "applications answer in one sample; see test_an_application_goes_straight_on",
    "timeline-application.deploy-2": "as above",
    "timeline-application.redeploy": "as above",
    "timeline-compose.stop-during-deploy": "one sample long after; see test_stop_does_not_wait_for_the_queue",
    "timeline-two-composes-serial-queue": "two services; see test_two_composes_run_one_after_the_other",
}


def timeline(name: str) -> list[State]:
    """The recorded samples."""
    samples = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return [_state(sample.get("state", sample)) for sample in samples]


def _state(sample: dict[str, Any]) -> State:
    rows = [row if isinstance(row, list) else [row["id"], row["status"], row["title"]] for row in sample["deployments"]]
    return sample["composeStatus"], tuple((status, title) for _, status, title in rows)


def _nameless(state: State) -> State:
    status, ((newest, title), *older) = state
    return status, ((newest, title if newest == "running" else ""), *older)


@dataclass(kw_only=True)
class Story:
    """One service's life; `step` makes the recorded call and compares what can be seen while it runs and after."""

    lab: Lab
    stack: Service
    told: list[str] = field(default_factory=list)
    is_renamed_at_the_end: bool = False
    """Git: whether a sample shows the title before or after is a matter of milliseconds."""

    def now(self) -> State:
        """What the API would say."""
        rows = self.lab.dokploy.deployments(self.stack)
        return self.stack.status, tuple((row["status"], row["title"]) for row in rows)

    async def step(self, name: str, call: str | None = None) -> None:
        """`name` of the timeline after `timeline-`; `call` when the recorded call is called otherwise."""
        count = len(self.lab.dokploy.deployments(self.stack))
        newest = self.now()[1][:1]
        self.lab.dokploy.hold_running()
        assert (await replay(self.lab.owner, call or name, self.lab.names)).status == 200
        await eventually(lambda: (len(self.now()[1]), self.now()[1][:1]) != (count, newest))
        seen = [self.now()]
        self.lab.dokploy.release_running()
        await eventually(lambda: self.now()[0] != "running")
        seen.append(self.now())
        await self.lab.idle()
        seen.append(self.now())
        recorded = timeline(f"timeline-{name}")
        if self.is_renamed_at_the_end:
            seen, recorded = [_nameless(one) for one in seen], [_nameless(one) for one in recorded]
        self.told.append(f"timeline-{name}")
        left = iter(seen)
        assert all(sample in left for sample in recorded), f"{name}: saw {seen}, recorded {recorded}"

    async def quietly(self, **body: Any) -> None:
        """A deployment between two timelines."""
        procedure = body.pop("procedure", "compose.deploy")
        await self.lab.owner.post(procedure, composeId=self.stack.id, **body)
        await self.lab.idle()


@pytest.fixture
def lab(dokploy: DokployStandin, testbed_image: str) -> Lab:
    """An empty laboratory."""
    return Lab(dokploy=dokploy, image=testbed_image)


async def test_a_raw_compose_from_its_first_deploy_to_the_last(lab: Lab) -> None:
    good, bad_yaml = lab.sleeper(), "services:\n  web:\n   image: [unclosed\n"
    bad_image = "services:\n  web:\n    image: 127.0.0.1:9/nosuch:v9\n"
    story = Story(lab=lab, stack=lab.stack(compose_file=good))
    row = story.stack.row
    for name in ("compose.deploy", "compose.deploy-2", "compose.redeploy", "compose.deploy-with-commitHash"):
        await story.step(name)
    row["composeFile"] = bad_image
    await story.step("compose.deploy-bad-image")
    row["composeFile"] = bad_yaml
    await story.step("compose.deploy-bad-yaml")
    row["composeFile"] = good
    await story.step("compose.deploy-rollback")
    await story.quietly(title="queued 1")
    oldest = lab.dokploy.deployments(story.stack)[-1]
    await lab.owner.post("deployment.removeDeployment", deploymentId=oldest["deploymentId"])
    lab.names.add("queued 1", "clean again")
    await story.step("compose.deploy-clean-again", call="compose.deploy-queued-1")
    del lab.names.known["queued 1"]
    await story.step("compose.deploy-with-domain")
    for title in ("NEW CHANGES", "fix: the bug", "NEW CHANGES"):
        await story.quietly(title=title)
    row["composeFile"] = bad_image
    lab.names.add("queued 1", "env leak test")
    await story.step("compose.deploy-env-leak", call="compose.deploy-queued-1")
    await story.step("compose.redeploy-failing")
    row["composeFile"] = good
    lab.names.add("queued 1", "final good")
    await story.step("compose.deploy-final", call="compose.deploy-queued-1")
    assert len(story.told) == 12


async def test_a_git_compose_takes_the_names_of_its_commits(lab: Lab, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "stack.git")
    first = repository.commit(lab.sleeper("app"), "feat: first version", tag="v1")
    repository.commit(lab.sleeper("app") + "# second\n", "feat: second version")
    story = Story(
        lab=lab,
        stack=lab.simple(GIT, "lab-git", "", sourceType="git", customGitUrl=repository.url),
        is_renamed_at_the_end=True,
    )
    row = story.stack.row
    lab.names.add(raw_request("compose.update-git-sha")["body"]["customGitBranch"], first)
    row["customGitBranch"] = "main"
    await story.step("compose.deploy-git-main")
    row["customGitBranch"] = "v1"
    await story.step("compose.deploy-git-tag")
    row["customGitBranch"] = first
    await story.step("compose.deploy-git-sha")
    await story.quietly(procedure="compose.redeploy")
    row["customGitBranch"] = "main"
    await story.step("compose.deploy-git-back")


async def test_two_composes_run_one_after_the_other(lab: Lab) -> None:
    stacks = [lab.simple(GIT, "one", lab.sleeper()), lab.simple(GIT, "two", lab.sleeper())]
    recorded = json.loads((FOLDER / "timeline-two-composes-serial-queue.json").read_text(encoding="utf-8"))

    def now() -> list[Any]:
        return [[one.status, [row["status"] for row in lab.dokploy.deployments(one)]] for one in stacks]

    lab.dokploy.hold_running()
    for stack in stacks:
        await lab.owner.post("compose.deploy", composeId=stack.id)
    samples = [sample["state"] for sample in recorded["timeline"]]
    del samples[1]  # the first service was read before, the second after the change of turns
    await eventually(lambda: now() == samples[0])
    lab.dokploy.let_one_run()
    await eventually(lambda: now() == samples[1])
    lab.dokploy.release_running()
    await eventually(lambda: now() == samples[2])


async def test_stop_does_not_wait_for_the_queue(lab: Lab) -> None:
    stack = lab.simple(GIT, "shop", lab.sleeper())
    await lab.deployed(stack)
    lab.dokploy.hold_running()
    await lab.owner.post("compose.deploy", composeId=stack.id)
    await eventually(lambda: stack.status == "running")
    assert (await lab.owner.post("compose.stop", composeId=stack.id)).body is True
    assert (stack.status, lab.dokploy.deployments(stack)[0]["status"]) == ("idle", "running")
    lab.dokploy.release_running()
    await lab.idle()
    assert (stack.status, lab.dokploy.deployments(stack)[0]["status"]) == ("done", "done")


async def test_an_application_goes_straight_on(lab: Lab) -> None:
    app = lab.application()
    for call in ("application.deploy", "application.deploy-2", "application.redeploy"):
        await replay(lab.owner, call, lab.names)
        await lab.idle()
        (sample,) = json.loads((FOLDER / f"timeline-{call}.json").read_text(encoding="utf-8"))
        recorded = [(row["status"], row["title"]) for row in sample["state"]["deployments"]]
        assert [(row["status"], row["title"]) for row in lab.dokploy.deployments(app)] == recorded
        assert app.status == sample["state"]["applicationStatus"]


def test_every_timeline_is_repeated_or_has_a_reason() -> None:
    source = Path(__file__).read_text(encoding="utf-8").partition("class Story")[2]
    names = {path.stem for path in FOLDER.glob("timeline-*.json")}
    repeated = {name for name in names if f'"{name.removeprefix("timeline-")}"' in source}
    assert names == repeated | NOT_REPEATED.keys()
