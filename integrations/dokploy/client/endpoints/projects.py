"""Projects and their environments."""

from __future__ import annotations

from integrations.dokploy.client.transport import DokployTransport
from integrations.dokploy.models import EnvironmentRow, ProjectRow


class ProjectEndpoints:
    """Calls about projects; each project is created with an environment `production`."""

    def __init__(self, transport: DokployTransport) -> None:
        self._transport = transport

    async def all(self) -> list[ProjectRow]:
        """Return every project the key may see: ids, names and statuses of its services, without `app_name`.

        Of databases an owner's or admin's key gets only the ids; see `Environments.of_project`.
        """
        return await self._transport.get("project.all", list[ProjectRow])


class EnvironmentEndpoints:
    """Calls about environments: the parts of a project that hold services."""

    def __init__(self, transport: DokployTransport) -> None:
        self._transport = transport

    async def of_project(self, project_id: str) -> list[EnvironmentRow]:
        """Return its environments with `app_name`, status and server of every service, databases included."""
        return await self._transport.get("environment.byProjectId", list[EnvironmentRow], {"projectId": project_id})
