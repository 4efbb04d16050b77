"""Applications: one Swarm service each, built or pulled by Dokploy."""

from __future__ import annotations

from typing import Unpack

from integrations.dokploy.client.endpoints.composes import job_body, log_text
from integrations.dokploy.client.endpoints.update_fields import ApplicationChanges, wire
from integrations.dokploy.client.transport import Patience, Transport
from integrations.dokploy.models import ApplicationRow, Page


class Applications:
    """Nothing here deletes an application."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def one(self, application_id: str) -> ApplicationRow:
        """All of it, secrets included."""
        return await self._transport.get("application.one", ApplicationRow, {"applicationId": application_id})

    async def search(
        self,
        query: str | None = None,
        *,
        project_id: str | None = None,
        environment_id: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Page[ApplicationRow]:
        """Applications by name."""
        params = {
            "q": query,
            "projectId": project_id,
            "environmentId": environment_id,
            "limit": limit,
            "offset": offset,
        }
        return await self._transport.get("application.search", Page[ApplicationRow], params)

    async def update(self, application_id: str, **changes: Unpack[ApplicationChanges]) -> None:
        """Write fields; takes effect at the next deploy."""
        await self._transport.order("application.update", {"applicationId": application_id, **wire(changes)})

    async def save_image(
        self,
        application_id: str,
        image: str,
        *,
        username: str | None = None,
        password: str | None = None,
        registry_url: str | None = None,
    ) -> None:
        """Run this image from the next deploy on, with these credentials for its registry (None: none)."""
        body = {
            "applicationId": application_id,
            "dockerImage": image,
            "username": username,
            "password": password,
            "registryUrl": registry_url,
        }
        await self._transport.order("application.saveDockerProvider", body)

    async def deploy(self, application_id: str, *, title: str | None = None, description: str | None = None) -> None:
        """Queue a deployment; answers at once and with nothing."""
        body = job_body("applicationId", application_id, title, description)
        await self._transport.order("application.deploy", body)

    async def redeploy(self, application_id: str, *, title: str | None = None, description: str | None = None) -> None:
        """Queue a rebuild without fetching the source; a failure of it is notified to nobody."""
        body = job_body("applicationId", application_id, title, description)
        await self._transport.order("application.redeploy", body)

    async def start(self, application_id: str) -> None:
        """Scale to one replica, also a service that had more; `reload` brings those back."""
        await self._transport.order("application.start", {"applicationId": application_id}, patience=Patience.SLOW)

    async def stop(self, application_id: str) -> None:
        """Scale to none. Dokploy hides failures: look at the containers afterwards."""
        await self._transport.order("application.stop", {"applicationId": application_id}, patience=Patience.SLOW)

    async def reload(self, application_id: str, app_name: str) -> None:
        """Restart its tasks, with all replicas."""
        body = {"applicationId": application_id, "appName": app_name}
        await self._transport.order("application.reload", body, patience=Patience.SLOW)

    async def logs(
        self, application_id: str, *, tail: int | None = None, since: str | None = None, search: str | None = None
    ) -> str:
        """Its log; not redacted."""
        params = {"applicationId": application_id, "tail": tail, "since": since, "search": search}
        return await log_text(self._transport, "application.readLogs", params)

    async def clean_queue(self, application_id: str) -> None:
        """Drop its waiting deployments; the one under way goes on."""
        await self._transport.order("application.cleanQueues", {"applicationId": application_id})

    async def recorded_usage(self, app_name: str) -> dict[str, object] | None:
        """What an open monitoring page recorded; None: none was open."""
        params = {"appName": app_name}
        return await self._transport.get_or_none("application.readAppMonitoring", dict[str, object], params)
