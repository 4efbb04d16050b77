"""Overview of all stacks that Dokploy manages."""

from __future__ import annotations

from pydantic import JsonValue

from core.actions.catalog import Outcome, Result, Risk, action
from core.deployments.platform import DeployStatus, ManagedKind, ManagedResource
from core.text import text
from integrations.dokploy.actions.compose_reads import iso_time, location_of
from integrations.dokploy.actions.dokploy_deps import DokployToolset
from integrations.dokploy.actions.stack_params import NoParams


class ComposeList(DokployToolset):
    """Toolset of its own, because its method `list` hides the built-in within the class."""

    system = "dokploy.compose"

    @action(Risk.READ)
    async def list(self, params: NoParams) -> Result:
        """List the stacks that Dokploy manages: project, environment, containers running, last deployment.

        As of the last check, seconds ago; Dokploy is not queried again.
        """
        stacks = [one for one in self._parts.inventory().managed if one.kind is ManagedKind.COMPOSE]
        if not stacks:
            return self._result(text("dokploy.listed_none"), {"stacks": []}, outcome=Outcome.NO_DATA)
        rows = [self._row(one) for one in stacks]
        troubled = sum(1 for row in rows if row["is_troubled"] is True)
        listed: JsonValue = [*rows]
        return self._result(text("dokploy.listed", count=len(stacks), troubled=troubled), {"stacks": listed})

    def _row(self, managed: ManagedResource) -> dict[str, JsonValue]:
        containers = self._parts.containers(managed)
        running = sum(one.is_running for one in containers)
        last = managed.last_deployment
        is_watched = managed.host is not None
        has_failed = last is not None and last.status is DeployStatus.ERROR
        is_down = is_watched and last is not None and managed.status != "idle" and running == 0
        return {
            **location_of(managed),
            "source": managed.source,
            "branch": managed.branch,
            "platform_status": managed.status,
            "containers_running": running,
            "containers_total": len(containers),
            "deploy_status": str(last.status) if last is not None else None,
            "deployed_at": iso_time(last.finished_at or last.created_at) if last is not None else None,
            "is_troubled": has_failed or is_down,
        }
