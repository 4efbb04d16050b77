"""Deployments, the queue, and the rollbacks of applications."""

from __future__ import annotations

from typing import Literal

from integrations.dokploy.client.transport import DokployTransport, RetryLimits
from integrations.dokploy.models import DeploymentRow, QueuedJob

DeploymentOwner = Literal["application", "compose", "server", "schedule", "previewDeployment", "backup", "volumeBackup"]
"""Kinds of things with deployments; databases have none."""


class DeploymentEndpoints:
    """Calls about deployments; Dokploy keeps about ten per service."""

    def __init__(self, transport: DokployTransport) -> None:
        self._transport = transport

    async def of_compose(self, compose_id: str) -> list[DeploymentRow]:
        """Return those of a compose, newest first, without the ones waiting in the queue."""
        return await self._transport.get_rows("deployment.allByCompose", DeploymentRow, {"composeId": compose_id})

    async def of_application(self, application_id: str) -> list[DeploymentRow]:
        """Return those of an application, newest first."""
        return await self._transport.get_rows("deployment.all", DeploymentRow, {"applicationId": application_id})

    async def of(self, owner: DeploymentOwner, owner_id: str) -> list[DeploymentRow]:
        """Return those of any owner; an application's come with the rollback that each can go back to."""
        return await self._transport.get("deployment.allByType", list[DeploymentRow], {"id": owner_id, "type": owner})

    async def all(self) -> list[DeploymentRow]:
        """Return those of every compose and application of the organization in one call, each with its project."""
        return await self._transport.poll_rows("deployment.allCentralized", DeploymentRow)

    async def queue(self) -> list[QueuedJob]:
        """Return the jobs that wait and run on the whole Dokploy, those of other organizations included."""
        return await self._transport.get("deployment.queueList", list[QueuedJob])

    async def log(self, deployment_id: str, *, tail: int | None = None) -> str:
        """Return the last lines of its log, not redacted; empty if the file is gone."""
        return await self._transport.get("deployment.readLogs", str, {"deploymentId": deployment_id, "tail": tail})


class RollbackEndpoints:
    """Rollbacks of applications; Dokploy cannot roll back a compose."""

    def __init__(self, transport: DokployTransport) -> None:
        self._transport = transport

    async def roll_back(self, rollback_id: str) -> None:
        """Restore the stored image; returns when done, and creates no deployment."""
        await self._transport.order("rollback.rollback", {"rollbackId": rollback_id}, patience=RetryLimits.SLOW)
