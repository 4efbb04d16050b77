"""Projects and their environments."""

from __future__ import annotations

from integrations.dokploy.client.transport import Transport
from integrations.dokploy.models import EnvironmentRow, HomeStats, Page, ProjectRow


class Projects:
    """Every project is born with an environment called `production`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def all(self) -> list[ProjectRow]:
        """Every project the key may see: ids, names and statuses of its services, without `app_name`.

        Of databases an owner's or admin's key gets only the ids; see `Environments.of_project`.
        """
        return await self._transport.get("project.all", list[ProjectRow])

    async def one(self, project_id: str) -> ProjectRow:
        """One project with `app_name`, status and server of every service."""
        return await self._transport.get("project.one", ProjectRow, {"projectId": project_id})

    async def search(
        self, query: str | None = None, *, limit: int | None = None, offset: int | None = None
    ) -> Page[ProjectRow]:
        """Projects whose name or description holds the text."""
        params = {"q": query, "limit": limit, "offset": offset}
        return await self._transport.get("project.search", Page[ProjectRow], params)

    async def stats(self) -> HomeStats:
        """How many there are of each; statuses are Dokploy's memory, not Docker's state."""
        return await self._transport.get("project.homeStats", HomeStats)


class Environments:
    """Where services live."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def of_project(self, project_id: str) -> list[EnvironmentRow]:
        """Its environments with `app_name`, status and server of every service, databases too."""
        return await self._transport.get("environment.byProjectId", list[EnvironmentRow], {"projectId": project_id})

    async def one(self, environment_id: str) -> EnvironmentRow:
        """One environment and its project; services without `app_name`."""
        return await self._transport.get("environment.one", EnvironmentRow, {"environmentId": environment_id})

    async def search(
        self,
        query: str | None = None,
        *,
        project_id: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Page[EnvironmentRow]:
        """Environments, without their services."""
        params = {"q": query, "projectId": project_id, "limit": limit, "offset": offset}
        return await self._transport.get("environment.search", Page[EnvironmentRow], params)
