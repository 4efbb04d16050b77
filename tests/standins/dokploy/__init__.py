"""A stand-in for Dokploy v0.30.2; the fixture `dokploy` gives a running one.

    shop = dokploy.add_compose(dokploy.add_project("shop"), "granada", compose_file=…, env="TOKEN=abc")
    dokploy.deploy(shop)                  # where a test begins with something deployed
    dokploy.url, dokploy.api_key          # for the client under test, or for a process of its own
    shop.compose_id, shop.app_name, shop.status, shop.container("web"), shop.row["composeFile"]
    dokploy.deployments(shop)             # newest first
    dokploy.asked("compose.deploy")       # what came, in order; dokploy.most_at_once

Arranging is in `arrangement`, disturbing in `mischief`. Composes run for real: `docker compose` on the tests' engine,
`git clone` of a local `file://…` repository. There is no Swarm: tasks of stacks, applications and databases are plain
containers with a task's name and labels. Nothing is ever pruned (`stage.cleaned` says what was asked for), remote
servers are rows only, and websockets, restores and Traefik's files are not there.
"""

from tests.standins.dokploy.arrangement import Project, Service
from tests.standins.dokploy.faults import Asked
from tests.standins.dokploy.standin import DokployStandin

__all__ = ["Asked", "DokployStandin", "Project", "Service"]
