"""The procedures that the stand-in knows."""

from __future__ import annotations

from collections.abc import Mapping

from tests.standins.dokploy.calls import Procedure
from tests.standins.dokploy.procedures import composes, containers, deployments, domains, instance, plans, projects
from tests.standins.dokploy.procedures import services as applications_and_databases

PROCEDURES: Mapping[str, Procedure] = {
    name: procedure
    for part in (composes, containers, deployments, domains, instance, plans, projects, applications_and_databases)
    for name, procedure in part.catalogue.procedures.items()
}
