"""Everything that the procedures work on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from tests.standins.dokploy.engine import Engine
from tests.standins.dokploy.notify import Notifier
from tests.standins.dokploy.queue import Queue
from tests.standins.dokploy.rows import Row
from tests.standins.dokploy.shell import Shell
from tests.standins.dokploy.state import State


@dataclass(kw_only=True)
class Stage:
    """One Dokploy: its rows, its queue, its folders, its engine."""

    state: State
    shell: Shell
    engine: Engine
    notifier: Notifier
    queue: Queue
    home: Path
    public_url: str = "http://null:3000"
    """What links in notifications begin with; Dokploy's own when it has neither address nor domain."""
    may_run: asyncio.Event = field(default_factory=asyncio.Event)
    """Set: deployments that have begun go on."""
    backup_errors: dict[str, str] = field(default_factory=dict)
    """What a backup (by its id) fails with."""

    addresses: dict[str, str] = field(default_factory=dict)
    """What host names resolve to; all others to nothing."""
    infrastructure: Row = field(default_factory=dict)
    """What `settings.checkInfrastructureHealth` says beyond `healthy`."""
    backup_files: dict[str, list[Row]] = field(default_factory=dict)
    """What lies in a destination."""
    deleted: set[str] = field(default_factory=set)
    """Names of composes that were deleted; their volumes may be left."""
    cleaned: list[str] = field(default_factory=list)
    """Prunings that were asked for; none was made."""

    def code_of(self, compose: Row) -> Path:
        """The code folder of a compose."""
        return self.home / "compose" / str(compose["appName"]) / "code"

    def compose_file(self, compose: Row) -> Path:
        """Where its compose file lies."""
        name = "docker-compose.yml" if compose["sourceType"] == "raw" else str(compose["composePath"])
        return self.code_of(compose) / name

    def mounts_of(self, row: Row) -> list[Row]:
        """File and volume mounts; the stand-in has none."""
        return []

    def href(self, kind: str, service_id: str) -> Row | None:
        """Where the dashboard shows a service."""
        row = self.state.service(service_id)
        if row is None:
            return None
        project, environment = self.state.project_of(row)["projectId"], row["environmentId"]
        path = f"/dashboard/project/{project}/environment/{environment}/services/{kind}/{service_id}"
        return {"href": path, "label": kind.capitalize()}
