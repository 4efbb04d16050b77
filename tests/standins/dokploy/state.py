"""What the stand-in's database holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.standins.dokploy import rows
from tests.standins.dokploy.calls import not_found
from tests.standins.dokploy.keys import Key, Member
from tests.standins.dokploy.rows import Row

DATABASE_KINDS = ("mariadb", "mongo", "mysql", "postgres", "redis", "libsql")
DEPLOYMENTS_KEPT = 10
Table = dict[str, Row]


def _database_tables() -> dict[str, Table]:
    return {kind: {} for kind in DATABASE_KINDS}


@dataclass(kw_only=True)
class State:
    """Rows by id, in the order they were made."""

    organization_id: str = field(default_factory=rows.new_id)
    keys: dict[str, Key] = field(default_factory=dict)
    """By secret."""
    members: list[Member] = field(default_factory=list)
    projects: Table = field(default_factory=dict)
    environments: Table = field(default_factory=dict)
    composes: Table = field(default_factory=dict)
    applications: Table = field(default_factory=dict)
    databases: dict[str, Table] = field(default_factory=_database_tables)
    deployments: Table = field(default_factory=dict)
    domains: Table = field(default_factory=dict)
    servers: Table = field(default_factory=dict)
    notifications: Table = field(default_factory=dict)
    schedules: Table = field(default_factory=dict)
    backups: Table = field(default_factory=dict)
    volume_backups: Table = field(default_factory=dict)
    destinations: Table = field(default_factory=dict)
    registries: Table = field(default_factory=dict)
    rollbacks: Table = field(default_factory=dict)
    builds_concurrency: int = 1
    settings: Row = field(default_factory=lambda: dict(rows.recorded("settings.getWebServerSettings")))

    def compose(self, compose_id: str) -> Row:
        """Refusal when there is none."""
        return find(self.composes, compose_id, "Compose")

    def application(self, application_id: str) -> Row:
        """Refusal when there is none."""
        return find(self.applications, application_id, "Application")

    def service(self, service_id: str) -> Row | None:
        """A compose, an application or a database."""
        tables = [self.composes, self.applications, *self.databases.values()]
        return next((table[service_id] for table in tables if service_id in table), None)

    def project_of(self, row: Row) -> Row:
        """The project a service is in."""
        return self.projects[self.environments[row["environmentId"]]["projectId"]]

    def deployments_of(self, column: str, owner_id: str) -> list[Row]:
        """Newest first."""
        return [row for row in reversed(self.deployments.values()) if row[column] == owner_id]

    def open_deployment(self, column: str, owner_id: str, **values: object) -> Row:
        """Insert a running row; those beyond the newest ten of the owner go first."""
        for old in self.deployments_of(column, owner_id)[DEPLOYMENTS_KEPT:]:
            del self.deployments[old["deploymentId"]]
        row = rows.deployment_row(**{column: owner_id, **values})
        self.deployments[row["deploymentId"]] = row
        return row

    def domains_of(self, compose_id: str) -> list[Row]:
        """Of a compose, oldest first."""
        return [row for row in self.domains.values() if row["composeId"] == compose_id]

    def services_in(self, environment_id: str, table: Table) -> Iterator[Row]:
        """The rows of one environment."""
        return (row for row in table.values() if row["environmentId"] == environment_id)

    def add_project(self, name: str, description: str | None = None) -> tuple[Row, Row]:
        """A project and its environment `production`."""
        project: Row = rows.recorded("project.create")["project"] | {
            "projectId": rows.new_id(),
            "name": name,
            "description": description,
            "createdAt": rows.now(),
            "organizationId": self.organization_id,
        }
        self.projects[project["projectId"]] = project
        environment = self.add_environment(project["projectId"], "production", "Production environment")
        environment["isDefault"] = True
        return project, environment

    def add_environment(self, project_id: str, name: str, description: str | None) -> Row:
        """An environment of a project."""
        row: Row = rows.recorded("environment.create") | {
            "environmentId": rows.new_id(),
            "name": name,
            "description": description,
            "createdAt": rows.now(),
            "projectId": project_id,
        }
        self.environments[row["environmentId"]] = row
        return row

    def add_compose(self, **values: object) -> Row:
        """A compose; `appName` becomes unique by six letters."""
        row = rows.compose_row(**values)
        row["appName"] = rows.suffixed(str(values.get("appName") or "compose-parse-open-card"))
        self.composes[row["composeId"]] = row
        return row

    def add_application(self, **values: object) -> Row:
        """An application."""
        row = rows.application_row(**values)
        row["appName"] = rows.suffixed(str(values.get("appName") or "app-parse-open-card"))
        self.applications[row["applicationId"]] = row
        return row

    def add_database(self, kind: str, /, **values: object) -> Row:
        """A database."""
        row = rows.database_row(kind, **values)
        row["appName"] = rows.suffixed(str(values.get("appName") or f"{kind}-parse-open-card"))
        self.databases[kind][row[f"{kind}Id"]] = row
        return row

    def add_domain(self, **values: object) -> Row:
        """A domain with the next number of its compose."""
        row = rows.domain_row(**values)
        taken = [one["uniqueConfigKey"] for one in self.domains.values()]
        row["uniqueConfigKey"] = max(taken, default=0) + 1
        self.domains[row["domainId"]] = row
        return row

    def mark_leftovers(self) -> None:
        """What a production start-up does: running deployments become cancelled, their services idle."""
        for row in self.deployments.values():
            if row["status"] == "running":
                row["status"] = "cancelled"
                self._idle(row)

    def _idle(self, deployment: Row) -> None:
        if (compose := self.composes.get(deployment["composeId"] or "")) is not None:
            compose["composeStatus"] = "idle"
        if (application := self.applications.get(deployment["applicationId"] or "")) is not None:
            application["applicationStatus"] = "idle"


def find(table: Table, row_id: str, what: str) -> Row:
    """The row; Refusal `<what> not found` when there is none."""
    row = table.get(row_id)
    if row is None:
        raise not_found(what)
    return row


def pick(row: Row, *columns: str) -> Row:
    """Some columns of a row."""
    return {column: row.get(column) for column in columns}
