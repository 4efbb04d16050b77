"""What the guardian can do with Dokploy: the actions `dokploy.…`.

Left out on purpose, because nobody can take them back or they hit more than they name: deleting anything,
`compose.killBuild` (it ends the compose commands of every stack), `<database>.rebuild` (it removes the data), pruning
volumes, and schedules of hosts (any shell command).
"""

from __future__ import annotations

from core.actions import Toolset
from integrations.dokploy.compose_deploys import ComposeDeploys
from integrations.dokploy.compose_edits import ComposeEdits
from integrations.dokploy.environment_edits import EnvironmentEdits
from integrations.dokploy.parts import DokployParts
from integrations.dokploy.rollback import ComposeRollback

__all__ = ["DokployParts", "toolsets"]


def toolsets(parts: DokployParts) -> list[Toolset]:
    """All of them; without a client they are unavailable, and their names are known all the same."""
    return [ComposeDeploys(parts), ComposeEdits(parts), EnvironmentEdits(parts), ComposeRollback(parts)]
