"""Tree of Dokploy's projects: each compose, application and database under the name people know."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from core.deployments.platform import ManagedKind, ManagedResource, StackName, StackNames
from core.errors import NotFound
from core.sanitize import sanitize_line
from integrations.dokploy.client.dokploy_client import Dokploy
from integrations.dokploy.models import (
    ApplicationRow,
    ComposeRow,
    DatabaseRow,
    EnvironmentRow,
    ProjectRow,
    ServiceRow,
)

PLACE_NAME_LIMIT = 60
"""Longest name of a project or an environment that is shown."""


@dataclass(frozen=True, kw_only=True)
class ManagedRow:
    """Managed resource in the tree of projects, without domains and deployments."""

    id: str
    kind: ManagedKind
    name: str
    """Name in Dokploy; two projects may use the same."""
    app_name: str
    project_id: str = ""
    project: str = ""
    environment: str = ""
    environment_id: str = ""
    server: str | None = None
    status: str = ""
    type: str = ""
    """Type of a database; empty for others."""

    @property
    def named(self) -> StackName:
        """Parts its name is made from."""
        return StackName(app_name=self.app_name, name=self.name, environment=self.environment, project=self.project)


@dataclass(frozen=True, kw_only=True)
class ProjectTree:
    """Managed resources of all projects that the key may see."""

    leaves: tuple[ManagedRow, ...] = ()
    project_ids: frozenset[str] = frozenset()

    def managed(self, names: StackNames) -> tuple[ManagedResource, ...]:
        """Return the resources with their names; new ones are added to `names`."""
        return name_resources(self.leaves, names)


async def load_tree(client: Dokploy) -> ProjectTree:
    """Load all projects with 1 request and one per project, as many at once as the client sends.

    A project deleted meanwhile is left out. Raises the client's errors.
    """
    projects = await client.projects.all()
    answers = await asyncio.gather(*(load_project(client, one.project_id) for one in projects), return_exceptions=True)
    leaves: list[ManagedRow] = []
    for answer in answers:
        if isinstance(answer, NotFound):
            continue
        if isinstance(answer, BaseException):
            raise answer
        leaves.extend(answer)
    return ProjectTree(leaves=tuple(leaves), project_ids=frozenset(one.project_id for one in projects))


async def load_project(client: Dokploy, project_id: str) -> tuple[ManagedRow, ...]:
    """Load one project: one request."""
    environments = await client.environments.of_project(project_id)
    return tuple(leaf for environment in environments for leaf in managed_rows(environment, project_id))


def managed_rows(environment: EnvironmentRow, project_id: str = "") -> Iterator[ManagedRow]:
    """Yield the resources of an environment; rows without `app_name` (of calls that leave it out) are skipped."""
    project = environment.project
    for row in (*environment.compose, *environment.applications, *environment.databases):
        leaf = to_managed_row(row, environment, project, project_id)
        if leaf is not None:
            yield leaf


def to_managed_row(
    row: ServiceRow, environment: EnvironmentRow | None, project: ProjectRow | None, project_id: str = ""
) -> ManagedRow | None:
    """Convert one row with its place in Dokploy; None if it has no `app_name`."""
    if row.app_name is None:
        return None
    service_id, kind, status = _identity(row)
    return ManagedRow(
        id=service_id,
        kind=kind,
        name=row.name or row.app_name,
        app_name=row.app_name,
        project_id=project.project_id if project else project_id,
        project=sanitize_line(project.name, PLACE_NAME_LIMIT) if project else "",
        environment=sanitize_line(environment.name, PLACE_NAME_LIMIT) if environment else "",
        environment_id=(environment.environment_id if environment else None) or row.environment_id or "",
        server=row.server_id,
        status=status,
        type=str(row.kind or "") if isinstance(row, DatabaseRow) else "",
    )


def _identity(row: ServiceRow) -> tuple[str, ManagedKind, str]:
    if isinstance(row, ComposeRow):
        return row.compose_id, ManagedKind.COMPOSE, str(row.compose_status or "")
    if isinstance(row, ApplicationRow):
        return row.application_id, ManagedKind.APPLICATION, str(row.application_status or "")
    assert isinstance(row, DatabaseRow)
    return row.id, ManagedKind.DATABASE, str(row.application_status or "")


@dataclass(frozen=True, kw_only=True)
class ManagedHeading:
    """Entry of a managed resource in the list of all projects."""

    id: str
    project_id: str
    name: str = ""
    status: str = ""
    """Status; empty if it is not sent (databases, for an owner's key)."""


def managed_headings(projects: Iterable[ProjectRow]) -> Mapping[str, ManagedHeading]:
    """Return every resource in the list of projects, by id."""
    found: dict[str, ManagedHeading] = {}
    for project in projects:
        for environment in project.environments:
            for row in (*environment.compose, *environment.applications, *environment.databases):
                service_id, _, status = _identity(row)
                found[service_id] = ManagedHeading(
                    id=service_id, project_id=project.project_id, name=row.name, status=status
                )
    return found


def name_resources(leaves: Iterable[ManagedRow], names: StackNames) -> tuple[ManagedResource, ...]:
    """Name the resources and sort them by project, environment and name; new names are added to `names`."""
    known = tuple(leaves)
    names.learn(leaf.named for leaf in known)
    databases: dict[str, list[str]] = {}
    for leaf in known:
        if leaf.kind is ManagedKind.DATABASE:
            databases.setdefault(leaf.environment_id, []).append(names.of(leaf.app_name))
    found = (_managed(leaf, names, tuple(sorted(databases.get(leaf.environment_id, ())))) for leaf in known)
    return tuple(sorted(found, key=lambda one: (one.project, one.environment, one.name, one.id)))


def _managed(leaf: ManagedRow, names: StackNames, databases: tuple[str, ...]) -> ManagedResource:
    name = names.of(leaf.app_name)
    return ManagedResource(
        id=leaf.id,
        kind=leaf.kind,
        name=name,
        app_name=leaf.app_name,
        project=leaf.project,
        environment=leaf.environment,
        environment_id=leaf.environment_id,
        server=leaf.server,
        type=leaf.type,
        status=leaf.status,
        databases=tuple(one for one in databases if one != name),
    )
