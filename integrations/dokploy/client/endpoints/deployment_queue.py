"""Deployments, the queue, and the rollbacks of applications."""

from __future__ import annotations

from typing import Literal

from integrations.dokploy.client.transport import Patience, Transport
from integrations.dokploy.models import DeploymentRow, QueuedJob

Owner = Literal["application", "compose", "server", "schedule", "previewDeployment", "backup", "volumeBackup"]
"""What has deployments; databases have none."""


class Deployments:
    """Dokploy keeps about ten per service."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def of_compose(self, compose_id: str) -> list[DeploymentRow]:
        """Newest first. One that waits in the queue is not among them."""
        return await self._transport.get_rows("deployment.allByCompose", DeploymentRow, {"composeId": compose_id})

    async def of_application(self, application_id: str) -> list[DeploymentRow]:
        """Newest first."""
        return await self._transport.get_rows("deployment.all", DeploymentRow, {"applicationId": application_id})

    async def of(self, owner: Owner, owner_id: str) -> list[DeploymentRow]:
        """Of anything; for an application with the rollback that each can go back to."""
        return await self._transport.get("deployment.allByType", list[DeploymentRow], {"id": owner_id, "type": owner})

    async def all(self) -> list[DeploymentRow]:
        """Of every compose and application of the organization, each with its project: one call for all."""
        return await self._transport.poll_rows("deployment.allCentralized", DeploymentRow)

    async def queue(self) -> list[QueuedJob]:
        """What waits and runs on the whole Dokploy, other organizations included."""
        return await self._transport.get("deployment.queueList", list[QueuedJob])

    async def log(self, deployment_id: str, *, tail: int | None = None) -> str:
        """Its last lines, not redacted; empty when the file is gone."""
        return await self._transport.get("deployment.readLogs", str, {"deploymentId": deployment_id, "tail": tail})


class Rollbacks:
    """Applications only; Dokploy cannot roll a compose back."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def roll_back(self, rollback_id: str) -> None:
        """Put the stored image back; answers when done, and leaves no deployment behind."""
        await self._transport.order("rollback.rollback", {"rollbackId": rollback_id}, patience=Patience.SLOW)
