"""Client of one Dokploy server: its API as methods, grouped by noun.

Every method raises the errors of `failures`: SystemUnavailable and its kinds when Dokploy does not answer, Refused for
key and rights, NotFound, ActionFailed. Orders (POST) are sent at most once; reads (GET) are tried again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from core.settings import DokploySettings
from integrations.dokploy.client.endpoints.applications import ApplicationEndpoints
from integrations.dokploy.client.endpoints.backups import BackupEndpoints, VolumeBackupEndpoints
from integrations.dokploy.client.endpoints.composes import ComposeEndpoints
from integrations.dokploy.client.endpoints.databases import DatabaseEndpoints
from integrations.dokploy.client.endpoints.deployment_queue import DeploymentEndpoints, RollbackEndpoints
from integrations.dokploy.client.endpoints.domains import DomainEndpoints
from integrations.dokploy.client.endpoints.projects import EnvironmentEndpoints, ProjectEndpoints
from integrations.dokploy.client.endpoints.servers import InstanceEndpoints
from integrations.dokploy.client.endpoints.swarm_containers import ContainerEndpoints
from integrations.dokploy.client.endpoints.users import UserEndpoints
from integrations.dokploy.client.transport import BACK_OFF_S, DokployTransport


class Dokploy:
    """Client of one server; connects on first use, close with `aclose` or `async with`."""

    def __init__(
        self,
        settings: DokploySettings,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        back_off_s: tuple[float, ...] = BACK_OFF_S,
    ) -> None:
        self.settings = settings
        self.transport = DokployTransport(settings, monotonic=monotonic, back_off_s=back_off_s)
        self.projects = ProjectEndpoints(self.transport)
        self.environments = EnvironmentEndpoints(self.transport)
        self.composes = ComposeEndpoints(self.transport)
        self.applications = ApplicationEndpoints(self.transport)
        self.databases = DatabaseEndpoints(self.transport)
        self.deployments = DeploymentEndpoints(self.transport)
        self.rollbacks = RollbackEndpoints(self.transport)
        self.domains = DomainEndpoints(self.transport)
        self.containers = ContainerEndpoints(self.transport)
        self.instance = InstanceEndpoints(self.transport)
        self.backups = BackupEndpoints(self.transport)
        self.volume_backups = VolumeBackupEndpoints(self.transport)
        self.users = UserEndpoints(self.transport)

    async def __aenter__(self) -> Dokploy:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self.transport.aclose()
