"""Stop, start and restart of stacks that are already deployed, and removal of waiting deployments from the queue."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime
from typing import Literal

from core.actions.catalog import JsonObject, Outcome, Result, Risk, action
from core.deployments.deploys import FOLLOW_KIND, DeployKind
from core.deployments.platform import ManagedResource
from core.errors import NotFound, Refused
from core.text import text
from integrations.dokploy.actions.dokploy_deps import DokployToolset, join_names
from integrations.dokploy.actions.stack_params import ServiceParams, StackParams
from integrations.dokploy.client.docker_models import ContainerRow, Inspection
from integrations.dokploy.client.dokploy_errors import AnswerLost
from integrations.dokploy.client.secret_values import unmasked
from integrations.dokploy.deploys.deployed_content import is_swarm_stack, row_content
from integrations.dokploy.deploys.deployment_history import shown_title
from integrations.dokploy.deploys.submit_deploy import (
    DeployOrder,
    job_resource_id,
    load_idle_stack,
    nothing_sent_yet,
    submit_compose_deploy,
)
from integrations.dokploy.models import QueuedJob

SLOW_S = 240.0
"""Time limit of slow calls: Dokploy answers when done, and a container that ignores SIGTERM takes 10 s."""
SETTLE_PAUSES_S = (0.0, 0.5, 1.0, 2.0)
"""Pauses between looks: a container just started may exit at once."""
_SERVICE_LABELS = ("com.docker.compose.service", "com.docker.swarm.service.name")


class ComposeLifecycle(DokployToolset):
    """Actions that create no deployment, except the start of a `stack`."""

    system = "dokploy.compose"

    @action(
        Risk.DISRUPTIVE,
        snapshot="state_before",
        undo="run_again",
        outcome="is_stopped",
        time_limit_s=SLOW_S,
    )
    async def stop(self, params: StackParams) -> Result:
        """Stop all containers of a stack until someone starts it; of type `stack`: remove them. Not a repair.

        Volumes stay. Refused while a deployment of it waits or runs: that would start it again. Dokploy's nightly
        cleanup removes stopped containers and unused images; a start creates them again.
        """
        managed, _ = await load_idle_stack(self._parts, params.stack)
        await self._dokploy.composes.stop(managed.id)
        return await self._as_it_stands(managed, is_wanted=False)

    async def state_before(self, params: StackParams) -> JsonObject:
        """Record whether any of its containers ran."""
        found = await self._rows(self._parts.managed(params.stack))
        return {"was_running": any(_is_container_running(one) for one in found)}

    async def run_again(self, params: StackParams, snapshot: JsonObject) -> Result:
        """Start it if it ran before; raises Refused for a Swarm stack, which must be deployed."""
        managed = self._parts.managed(params.stack)
        if snapshot.get("was_running") is not True:
            return self._result(text("dokploy.was_stopped_before", stack=managed.name), {"stack": managed.name})
        if is_swarm_stack(managed):
            raise Refused(
                f"{managed.name!r} runs on Swarm, and stopping it removed it: start it with dokploy.compose.start, "
                "which deploys it",
                message=text("dokploy_error.swarm_removed", stack=managed.name),
            )
        await self._dokploy.composes.start(managed.id)
        return await self._as_it_stands(managed, is_wanted=True)

    async def is_stopped(self, params: StackParams, started_at: datetime) -> Outcome:
        """Return OK if no container runs, UNKNOWN for an empty list: Dokploy sends one on errors too."""
        found = await self._rows(self._parts.managed(params.stack))
        if not found:
            return Outcome.UNKNOWN
        return Outcome.FAILED if any(_is_container_running(one) for one in found) else Outcome.OK

    @action(
        Risk.DISRUPTIVE,
        outcome="is_started",
        follow=FOLLOW_KIND,
        time_limit_s=SLOW_S,
    )
    async def start(self, params: StackParams) -> Result:
        """Start a stopped stack with the file from its last deploy; no effect on a running one.

        A stack of type `stack` is deployed instead: Dokploy's own start does nothing there. Edits made since
        the last deploy are not applied: use `redeploy` for that.
        """
        with nothing_sent_yet():
            managed, row = await load_idle_stack(self._parts, params.stack)
        if is_swarm_stack(managed):
            return await submit_compose_deploy(
                self._parts, managed, row, DeployOrder(what=DeployKind.DEPLOY, why="start", content=row_content(row))
            )
        try:
            await self._dokploy.composes.start(managed.id)
        except AnswerLost:
            said = text("dokploy.start_unknown", stack=managed.name)
            return self._result(said, {"stack": managed.name}, outcome=Outcome.UNKNOWN, ends_here=True)
        return await self._as_it_stands(managed, is_wanted=True)

    async def is_started(self, params: StackParams, started_at: datetime) -> Outcome:
        """Return OK if any of its containers runs and none has failed."""
        found = await self._rows(self._parts.managed(params.stack))
        return (
            Outcome.OK
            if any(_is_container_running(one) for one in found) and not _any_failing(found)
            else Outcome.FAILED
        )

    @action(Risk.DISRUPTIVE, outcome="was_restarted", time_limit_s=SLOW_S)
    async def restart_service(self, params: ServiceParams) -> Result:
        """Restart the containers of one service; it is unavailable for a moment.

        Helps with a hung process. Does not apply edits (use `redeploy`) or fix a wrong configuration.
        """
        managed = self._parts.managed(params.stack)
        found = await self._of_service(managed, params.service)
        for one in found:
            await self._dokploy.containers.restart(one.id, server_id=managed.server)
        states: list[str] = []
        for pause_s in SETTLE_PAUSES_S:
            await asyncio.sleep(pause_s)
            now = await self._of_service(managed, params.service)
            states = [one.state.status for one in now]
            if states and all(state == "running" for state in states):
                break
        data: JsonObject = {"stack": managed.name, "service": params.service, "states": [*states]}
        query = f"docker.restartContainer {' '.join(one.name.lstrip('/') for one in found)}"
        bad = next((state for state in states if state != "running"), None)
        if bad is not None or not states:
            said = text("dokploy.service_not_up", stack=managed.name, service=params.service, state=bad or "–")
            return self._result(said, data, query, outcome=Outcome.FAILED)
        said = text("dokploy.service_restarted", stack=managed.name, service=params.service, count=len(found))
        return self._result(said, data, query)

    async def was_restarted(self, params: ServiceParams, started_at: datetime) -> Outcome:
        """Return OK if all its containers started after the call did."""
        found = await self._of_service(self._parts.managed(params.stack), params.service)
        begun = [_docker_time(one.state.started_at) for one in found]
        return Outcome.OK if all(at is not None and at > started_at for at in begun) else Outcome.FAILED

    @action(Risk.SAFE)
    async def cancel_waiting(self, params: StackParams) -> Result:
        """Remove the waiting deployments of a stack from Dokploy's queue; a running one continues.

        Refused if several are waiting and none is ours: all of them would be removed.
        """
        managed = self._parts.managed(params.stack)
        waiting = [one for one in await self._waiting(managed) if not one.is_active]
        if not waiting:
            said = text("dokploy.nothing_waits", stack=managed.name)
            return self._result(said, {"stack": managed.name, "dropped": []}, outcome=Outcome.NO_DATA)
        titles = [shown_title(one.data.title_log, self._parts.redact) for one in waiting]
        ours = {one.title for one in await self._parts.deploys.unfinished() if one.managed_id == managed.id}
        if len(waiting) > 1 and not ours & {one.data.title_log for one in waiting}:
            raise Refused(
                f"{len(waiting)} deployments of {managed.name!r} wait and none of them is ours: {', '.join(titles)}; "
                "Dokploy could only drop all of them, so do that there if you mean it",
                message=text(
                    "dokploy_error.others_wait", stack=managed.name, count=len(waiting), titles=", ".join(titles)
                ),
            )
        await self._dokploy.composes.clean_queue(managed.id)
        left = [one for one in await self._waiting(managed) if not one.is_active]
        data: JsonObject = {"stack": managed.name, "dropped": [*titles]}
        if left:
            return self._result(text("dokploy.queue_not_cleaned", stack=managed.name), data, outcome=Outcome.FAILED)
        said = text("dokploy.queue_cleaned", stack=managed.name, titles=", ".join(titles))
        return self._result(said, data, f"compose.cleanQueues {managed.id}")

    # -- shared ----------------------------------------------------------------------------------------------------

    async def _waiting(self, managed: ManagedResource) -> list[QueuedJob]:
        return [one for one in await self._dokploy.deployments.queue() if job_resource_id(one) == managed.id]

    async def _rows(self, managed: ManagedResource) -> list[ContainerRow]:
        """Return its containers as Dokploy lists them, stopped ones too."""
        kind: Literal["stack", "docker-compose"] = "stack" if is_swarm_stack(managed) else "docker-compose"
        return await self._dokploy.containers.of_app(managed.app_name, kind, server_id=managed.server)

    async def _as_it_stands(self, managed: ManagedResource, *, is_wanted: bool) -> Result:
        """Report the result of a start (`is_wanted`) or stop, once the containers have settled."""
        found: list[ContainerRow] = []
        for pause_s in SETTLE_PAUSES_S:
            await asyncio.sleep(pause_s)
            found = await self._rows(managed)
            if (
                (not _any_failing(found) and any(map(_is_container_running, found)))
                if is_wanted
                else not any(map(_is_container_running, found))
            ):
                break
        running = sum(_is_container_running(one) for one in found)
        data: JsonObject = {
            "stack": managed.name,
            "containers": [{"container": one.name, "state": one.state, "status": one.status} for one in found],
        }
        query = f"compose.{'start' if is_wanted else 'stop'} {managed.id}"
        if is_wanted:
            is_good = running > 0 and not _any_failing(found)
            key = "dokploy.started" if is_good else "dokploy.not_started"
            said = text(key, stack=managed.name, running=running, total=len(found))
        else:
            is_good = running == 0
            said = (
                text("dokploy.stopped", stack=managed.name)
                if is_good
                else text("dokploy.not_stopped", stack=managed.name, count=running)
            )
        return self._result(said, data, query, outcome=Outcome.OK if is_good else Outcome.FAILED, ends_here=True)

    async def _of_service(self, managed: ManagedResource, service: str) -> list[Inspection]:
        """Inspect the containers of a service; raises NotFound if it has none."""
        seen = [one.id for one in self._parts.containers(managed)]  # of a `stack` Dokploy lists tasks by their own ids
        ids = dict.fromkeys(one[:12] for one in [*seen, *(row.container_id for row in await self._rows(managed))])
        inspected = await asyncio.gather(
            *(self._dokploy.containers.inspect(one, server_id=managed.server) for one in ids)
        )
        known = {_service_of(one, managed): one for one in inspected if one is not None}
        found = [one for one in inspected if one is not None and _service_of(one, managed) == service]
        if not found:
            raise NotFound(
                f"{managed.name!r} has no container of the service {service!r}; it has "
                f"{', '.join(sorted(known)) or 'none'}",
                message=text(
                    "dokploy_error.no_container", stack=managed.name, service=service, known=join_names(sorted(known))
                ),
            )
        return found


def _is_container_running(one: ContainerRow) -> bool:
    return one.state in ("running", "restarting")


def _any_failing(found: list[ContainerRow]) -> bool:
    """Return whether any is in a restart loop or exited with an error; exit code 0 is a finished job."""
    return any(one.state in ("restarting", "dead") or _ended_badly(one) for one in found)


def _ended_badly(one: ContainerRow) -> bool:
    return one.state == "exited" and not one.status.startswith("Exited (0)")


def _service_of(one: Inspection, managed: ManagedResource) -> str:
    labels = unmasked(one.config).get("Labels")
    told = {**labels} if isinstance(labels, dict) else {}
    name = next((str(told[label]) for label in _SERVICE_LABELS if label in told), "")
    return name.removeprefix(f"{managed.app_name}_")


def _docker_time(written: str) -> datetime | None:
    """Parse Docker's time, which has nanoseconds; None if it is no time."""
    found = re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,6})?\d*(Z|[+-]\d\d:\d\d)$", written)
    if found is None:
        return None
    return datetime.fromisoformat(f"{found[1]}{found[2] or ''}{'+00:00' if found[3] == 'Z' else found[3]}")
