"""What the guardian can do with Dokploy: the actions `dokploy.…`.

Left out on purpose, because nobody can take them back or they hit more than they name: deleting anything,
`compose.killBuild` (it ends the compose commands of every stack), `<database>.rebuild` (it removes the data), pruning
volumes, and schedules of hosts (any shell command).
"""

from __future__ import annotations

from core.actions import Toolset
from integrations.dokploy.acting.application_actions import ApplicationActions
from integrations.dokploy.acting.compose_deploys import ComposeDeploys
from integrations.dokploy.acting.compose_edits import ComposeEdits
from integrations.dokploy.acting.compose_list import ComposeList
from integrations.dokploy.acting.compose_reads import ComposeReads
from integrations.dokploy.acting.compose_runs import ComposeRuns
from integrations.dokploy.acting.database_actions import DatabaseActions
from integrations.dokploy.acting.domain_actions import DomainActions
from integrations.dokploy.acting.environment_edits import EnvironmentEdits
from integrations.dokploy.acting.parts import DokployParts
from integrations.dokploy.acting.platform_actions import PlatformActions
from integrations.dokploy.acting.rollback import ComposeRollback

__all__ = ["DokployParts", "toolsets"]
TOOLSETS = (
    ComposeList,
    ComposeReads,
    ComposeDeploys,
    ComposeRollback,
    ComposeEdits,
    EnvironmentEdits,
    ComposeRuns,
    ApplicationActions,
    DatabaseActions,
    DomainActions,
    PlatformActions,
)


def toolsets(parts: DokployParts) -> list[Toolset]:
    """All of them; without a client they are unavailable, and their names are known all the same."""
    return [made(parts) for made in TOOLSETS]
