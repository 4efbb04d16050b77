"""Plans whose last step only begins something: verified once, taken back in order, and never taken back twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from core.actions.calls import CallState
from core.actions.catalog import JsonObject, Outcome, Params, Result, Risk, Toolset, action
from core.deployments.deploys import FOLLOW_KIND
from core.errors import ActionFailed
from core.incidents.incident import Incident, IncidentState
from core.runs import Done, Run, Waiting
from core.text import text
from tests.agent.incident.world import API, IncidentWorld

BOOK = """\
name: {en: Killed, es: Terminado}
trigger: {event: killed_by_api}
when: [evidence.stopped_by == 'kill']
cause: killed_by_api
diagnosis: {says: {en: Killed., es: Terminado.}}
solutions:
  - name: {en: Change and deploy, es: Cambiar y desplegar}
    actions:
      - {id: edit, action: works.edit, params: {stack: shop}}
      - {id: deploy, action: works.deploy, params: {stack: shop}, needs: [edit], wait_for_completion: true}
  - name: {en: Start it, es: Arrancarlo}
    actions: [{id: start, action: docker.start, params: {container: "${incident.container}"}}]
"""
WINDOW_S = 3.0
AUTO = {"stacks": {"shop": {"autonomy": "auto"}}}


class OnStack(Params):
    stack: str

    def target(self) -> str:
        return f"stack:{self.stack}"


@dataclass
class Works(Toolset):
    """A file and a deploy of it; what it does is told in `done`."""

    world: IncidentWorld
    phase: str = "good"
    held_s: float = WINDOW_S
    """How long the deploy had held when its verdict came."""
    undo_fails: bool = False
    done: list[str] = field(default_factory=list)
    good_since: datetime | None = None
    system = "works"

    def __post_init__(self) -> None:
        self.world.knowledge.runs.register(FOLLOW_KIND, self._follow)

    @action(Risk.CHANGE, snapshot="before", undo="take_back")
    async def edit(self, params: OnStack) -> Result:
        """Change the file."""
        return self._did("edit")

    async def take_back(self, params: OnStack, snapshot: JsonObject) -> Result:
        return self._did("edit back")

    @action(Risk.CHANGE, snapshot="before", undo="put_back", follow=FOLLOW_KIND)
    async def deploy(self, params: OnStack) -> Result:
        """Bring it up."""
        return self._did("deploy")

    async def put_back(self, params: OnStack, snapshot: JsonObject) -> Result:
        if self.undo_fails:
            raise ActionFailed("there is nothing to go back to")
        return self._did("deploy back")

    async def before(self, params: OnStack) -> JsonObject:
        return {"file": "old"}

    def _did(self, what: str) -> Result:
        self.done.append(what)
        return Result(message=text("done"))

    async def _follow(self, run: Run) -> Done | Waiting:
        """The verdict: the container runs again, or does not."""
        is_undo = str(run.payload["call"]).endswith(":undo")
        is_good = is_undo or self.phase == "good"
        if is_good and not is_undo:
            if self.good_since is None:
                await self.world.engine.start(API)
                self.good_since = self.world.clock.now()
            due = self.good_since + timedelta(seconds=self.held_s)
            if self.world.clock.now() < due:
                return Waiting(until=due)
        since = self.good_since.isoformat() if self.good_since else None
        data: JsonObject = {"phase": "good" if is_good else self.phase, "good_since": since}
        outcome = Outcome.OK if is_good else Outcome.FAILED
        return Done(result={"outcome": str(outcome), "message": text("done").to_json(), "data": data})


@dataclass
class Site:
    """The world and its works."""

    world: IncidentWorld
    made: list[Works] = field(default_factory=list)

    @property
    def works(self) -> Works:
        return self.made[0]

    async def calls(self, incident: Incident) -> list[tuple[str, CallState]]:
        found = await self.world.knowledge.ledger.of_incident(incident.id)
        return [(one.call.action, one.state) for one in found]


def site(home: Path, **works: object) -> Site:
    books = home / "books"
    books.mkdir()
    (books / "killed_by_api.yml").write_text(BOOK, encoding="utf-8")
    settings = {**AUTO, "verification": {"window_s": WINDOW_S, "poll_s": 0.05}}
    made: list[Works] = []

    def make(world: IncidentWorld) -> Works:
        made.append(Works(world, **works))  # type: ignore[arg-type]
        return made[0]

    return Site(IncidentWorld(home=home, own_runbooks=books, settings=settings, toolsets=[make]), made)


@pytest.mark.parametrize("held_s", [WINDOW_S, 1.0, 0.0])
async def test_the_healthy_time_of_a_deploy_counts_for_the_verification(tmp_path: Path, held_s: float) -> None:
    """It must have held for the window since it was well, whoever was looking; and no longer is waited."""
    here = site(tmp_path, held_s=held_s)
    async with here.world.running():
        here.world.engine.kill(API)
        solved = await here.world.incident(IncidentState.RESOLVED)
        ended = [one.finished_at for one in await here.world.knowledge.ledger.of_incident(solved.id)]
        last = max(one for one in ended if one is not None)
        assert solved.closed_at is not None
        assert here.works.good_since is not None
        assert (solved.closed_at - here.works.good_since).total_seconds() >= WINDOW_S
        due = max(last, here.works.good_since + timedelta(seconds=WINDOW_S))
        assert (solved.closed_at - due).total_seconds() < 1.5
        assert here.works.done == ["edit", "deploy"]


async def test_a_deploy_that_crashed_is_taken_back_before_its_edit(tmp_path: Path) -> None:
    here = site(tmp_path, phase="crashed")
    async with here.world.running():
        here.world.engine.kill(API)
        await here.world.incident(IncidentState.RESOLVED)  # by the second solution
        assert here.works.done == ["edit", "deploy", "deploy back", "edit back"]


async def test_a_deploy_that_never_began_leaves_only_the_edit_to_take_back(tmp_path: Path) -> None:
    here = site(tmp_path, phase="never")
    async with here.world.running():
        here.world.engine.kill(API)
        await here.world.incident(IncidentState.RESOLVED)
        assert here.works.done == ["edit", "deploy", "edit back"]


async def test_a_change_that_cannot_be_undone_is_escalated(tmp_path: Path) -> None:
    """No second solution on top of a state that nobody knows."""
    here = site(tmp_path, phase="crashed", undo_fails=True)
    async with here.world.running():
        here.world.engine.kill(API)
        handed_over = await here.world.incident(IncidentState.ESCALATED)
        assert here.works.done == ["edit", "deploy"]
        assert handed_over.outcome is not None
        assert handed_over.outcome.key == "agent.undo_failed"
        assert ("docker.start", CallState.OK) not in await here.calls(handed_over)
