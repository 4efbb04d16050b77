"""Applications: one Swarm service each, built or pulled by Dokploy."""

from __future__ import annotations

from integrations.dokploy.client.endpoints.composes import deploy_body
from integrations.dokploy.client.transport import DokployTransport, RetryLimits
from integrations.dokploy.models import ApplicationRow


class ApplicationEndpoints:
    """Calls about applications; none deletes one."""

    def __init__(self, transport: DokployTransport) -> None:
        self._transport = transport

    async def one(self, application_id: str) -> ApplicationRow:
        """Return all of it, secrets included."""
        return await self._transport.get("application.one", ApplicationRow, {"applicationId": application_id})

    async def deploy(self, application_id: str, *, title: str | None = None, description: str | None = None) -> None:
        """Queue a deployment; returns at once, without an id."""
        body = deploy_body("applicationId", application_id, title, description)
        await self._transport.order("application.deploy", body)

    async def redeploy(self, application_id: str, *, title: str | None = None, description: str | None = None) -> None:
        """Queue a rebuild without fetching the source; Dokploy sends no notification if it fails."""
        body = deploy_body("applicationId", application_id, title, description)
        await self._transport.order("application.redeploy", body)

    async def start(self, application_id: str) -> None:
        """Scale to one replica, even if it had more; `reload` brings those back."""
        await self._transport.order("application.start", {"applicationId": application_id}, patience=RetryLimits.SLOW)

    async def stop(self, application_id: str) -> None:
        """Scale to zero. Dokploy hides failures: check the containers afterwards."""
        await self._transport.order("application.stop", {"applicationId": application_id}, patience=RetryLimits.SLOW)

    async def reload(self, application_id: str, app_name: str) -> None:
        """Restart its tasks, with all replicas."""
        body = {"applicationId": application_id, "appName": app_name}
        await self._transport.order("application.reload", body, patience=RetryLimits.SLOW)
