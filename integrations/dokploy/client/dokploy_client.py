"""Client of one Dokploy server: its API as methods, grouped by noun.

Every method raises the errors of `failures`: SystemUnavailable and its kinds when Dokploy does not answer, Refused for
key and rights, NotFound, ActionFailed. Orders (POST) are sent at most once; reads (GET) are tried again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from core.settings import DokploySettings
from integrations.dokploy.client.endpoints.applications import Applications
from integrations.dokploy.client.endpoints.backups import Backups, VolumeBackups
from integrations.dokploy.client.endpoints.composes import Composes
from integrations.dokploy.client.endpoints.databases import Databases
from integrations.dokploy.client.endpoints.deployment_queue import Deployments, Rollbacks
from integrations.dokploy.client.endpoints.domains import Domains
from integrations.dokploy.client.endpoints.projects import Environments, Projects
from integrations.dokploy.client.endpoints.servers import Instance
from integrations.dokploy.client.endpoints.swarm_containers import Containers
from integrations.dokploy.client.endpoints.users import UserCalls
from integrations.dokploy.client.transport import BACK_OFF_S, Transport


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
        self.transport = Transport(settings, monotonic=monotonic, back_off_s=back_off_s)
        self.projects = Projects(self.transport)
        self.environments = Environments(self.transport)
        self.composes = Composes(self.transport)
        self.applications = Applications(self.transport)
        self.databases = Databases(self.transport)
        self.deployments = Deployments(self.transport)
        self.rollbacks = Rollbacks(self.transport)
        self.domains = Domains(self.transport)
        self.containers = Containers(self.transport)
        self.instance = Instance(self.transport)
        self.backups = Backups(self.transport)
        self.volume_backups = VolumeBackups(self.transport)
        self.users = UserCalls(self.transport)

    async def __aenter__(self) -> Dokploy:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self.transport.aclose()
