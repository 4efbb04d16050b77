"""Toolsets of Dokploy: the actions `dokploy.…`.

Left out on purpose, because they cannot be undone or affect more than they name: deleting anything,
`compose.killBuild` (it ends the compose commands of every stack), `<database>.rebuild` (it removes the data), pruning
volumes, and schedules of hosts (any shell command).
"""

from __future__ import annotations

from core.actions.catalog import Toolset
from integrations.dokploy.actions.application_actions import ApplicationActions
from integrations.dokploy.actions.compose_deploys import ComposeDeploys
from integrations.dokploy.actions.compose_edits import ComposeEdits
from integrations.dokploy.actions.compose_lifecycle import ComposeLifecycle
from integrations.dokploy.actions.compose_list import ComposeList
from integrations.dokploy.actions.compose_reads import ComposeReads
from integrations.dokploy.actions.compose_rollback import ComposeRollback
from integrations.dokploy.actions.database_actions import DatabaseActions
from integrations.dokploy.actions.dokploy_deps import DokployDeps
from integrations.dokploy.actions.domain_actions import DomainActions
from integrations.dokploy.actions.environment_edits import EnvironmentEdits
from integrations.dokploy.actions.platform_actions import PlatformActions

__all__ = ["DokployDeps", "build_toolsets"]
DOKPLOY_TOOLSETS = (
    ComposeList,
    ComposeReads,
    ComposeDeploys,
    ComposeRollback,
    ComposeEdits,
    EnvironmentEdits,
    ComposeLifecycle,
    ApplicationActions,
    DatabaseActions,
    DomainActions,
    PlatformActions,
)


def build_toolsets(parts: DokployDeps) -> list[Toolset]:
    """Return all toolsets; without a client they are unavailable, but their names are known."""
    return [made(parts) for made in DOKPLOY_TOOLSETS]
