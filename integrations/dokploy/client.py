"""One Dokploy server: its API as methods, grouped by noun.

Every method raises the errors of `failures`: SystemUnavailable and its kinds when Dokploy does not answer, Refused for
key and rights, NotFound, ActionFailed. Orders (POST) are sent at most once; reads (GET) are tried again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from core.settings import DokploySettings
from integrations.dokploy.api.access import Registries, Users
from integrations.dokploy.api.applications import Applications
from integrations.dokploy.api.backups import Backups, VolumeBackups
from integrations.dokploy.api.composes import Composes
from integrations.dokploy.api.containers import Containers
from integrations.dokploy.api.databases import Databases
from integrations.dokploy.api.deployments import Deployments, Rollbacks
from integrations.dokploy.api.domains import Domains
from integrations.dokploy.api.notifications import Notifications
from integrations.dokploy.api.projects import Environments, Projects
from integrations.dokploy.api.schedules import Schedules
from integrations.dokploy.api.servers import Instance, Servers
from integrations.dokploy.api.transport import BACK_OFF_S, Transport


class Dokploy:
    """Making one sends nothing; connections are opened on first use and closed with `aclose` or `async with`."""

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
        self.servers = Servers(self.transport)
        self.instance = Instance(self.transport)
        self.notifications = Notifications(self.transport)
        self.backups = Backups(self.transport)
        self.volume_backups = VolumeBackups(self.transport)
        self.schedules = Schedules(self.transport)
        self.users = Users(self.transport)
        self.registries = Registries(self.transport)

    async def __aenter__(self) -> Dokploy:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self.transport.aclose()
