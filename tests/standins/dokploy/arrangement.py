"""How a test fills the stand-in: projects, services, keys, channels."""

from __future__ import annotations

import asyncio
import secrets
from abc import abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from tests.standins.dokploy import plans, rows
from tests.standins.dokploy.keys import DAY_S, DEFAULT_LIMIT, Key, Member
from tests.standins.dokploy.procedures.plans import SWITCHES
from tests.standins.dokploy.queue import Job
from tests.standins.dokploy.rows import Row
from tests.standins.dokploy.stage import Stage
from tests.standins.dokploy.state import State

T = TypeVar("T")
ComposeType = Literal["docker-compose", "stack"]


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project and its environment `production`."""

    project_id: str
    environment_id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Service:
    """A compose, an application or a database. `row` is the living row: read it, `update` it through the API."""

    id: str
    app_name: str
    name: str
    row: Row
    code_dir: Path

    @property
    def compose_id(self) -> str:
        """Of a compose."""
        return str(self.row["composeId"])

    @property
    def status(self) -> str:
        """What Dokploy remembers of it."""
        return str(self.row.get("composeStatus") or self.row.get("applicationStatus"))

    @property
    def webhook_path(self) -> str:
        """The path of its deploy webhook."""
        token = self.row["refreshToken"]
        return f"/api/deploy/compose/{token}" if "composeId" in self.row else f"/api/deploy/{token}"

    def container(self, service: str, number: int = 1) -> str:
        """The name of a container of a compose."""
        return f"{self.app_name}-{service}-{number}"


class Arrangement:
    """The part of the stand-in that tests fill it with. Each method returns when it is done."""

    state: State
    stage: Stage
    home: Path
    owner: Member

    @abstractmethod
    def _do(self, act: Callable[[], T]) -> T: ...

    @abstractmethod
    def _wait(self, work: Coroutine[Any, Any, T]) -> T: ...

    def add_project(self, name: str = "shop", *, description: str | None = None) -> Project:
        """A project."""
        project, environment = self._do(lambda: self.state.add_project(name, description))
        return Project(project_id=project["projectId"], environment_id=environment["environmentId"], name=name)

    def add_environment(self, project: Project, name: str) -> str:
        """A further environment; its id."""
        return str(self._do(lambda: self.state.add_environment(project.project_id, name, None))["environmentId"])

    def add_compose(
        self,
        project: Project,
        name: str,
        *,
        compose_file: str = "",
        env: str | None = None,
        compose_type: ComposeType = "docker-compose",
        git_url: str | None = None,
        git_branch: str = "main",
        compose_path: str = "./docker-compose.yml",
        environment_id: str | None = None,
        server_id: str | None = None,
        is_of_another: bool = False,
        **columns: Any,
    ) -> Service:
        """A compose that was never deployed: raw from `compose_file`, or from git when `git_url` is given.

        `is_of_another`: somebody else made it, so the owner's `compose.search` misses it.
        """
        source = {"sourceType": "raw", "composeFile": compose_file}
        if git_url is not None:
            source = {"sourceType": "git", "customGitUrl": git_url, "customGitBranch": git_branch}
            source |= {"composeFile": "", "composePath": compose_path}
        values = {
            "name": name,
            "appName": _app_name(name),
            "env": env,
            "composeType": compose_type,
            "environmentId": environment_id or project.environment_id,
            "serverId": server_id,
            **source,
            **columns,
        }
        made = self._handle(self._do(lambda: self.state.add_compose(**values)), "composeId")
        if not is_of_another:
            self.owner.services.append(made.id)
        return made

    def change(self, service: Service, **columns: Any) -> None:
        """Write columns as somebody does on Dokploy's page: nothing is deployed."""
        self._do(lambda: service.row.update(columns))

    def deploy(self, service: Service, title: str = "arranged", *, limit_s: float = 60.0) -> Row:
        """Deploy a compose or an application and wait for the end; the deployment. For what a test starts from.

        Blocks: in a test whose own loop must go on meanwhile call it by `asyncio.to_thread`.
        """
        kind = "compose" if "composeId" in service.row else "application"
        job = Job(
            kind="deploy",
            application_type=kind,
            service_id=service.id,
            title=title,
            description="",
            server_id=service.row["serverId"],
        )

        async def through_the_queue() -> Row:
            self.stage.queue.add(job)
            await asyncio.wait_for(job.is_over.wait(), limit_s)
            return dict(self.state.deployments_of(f"{kind}Id", service.id)[0])

        return self._wait(through_the_queue())

    def add_application(
        self, project: Project, name: str, *, image: str, env: str | None = None, **columns: Any
    ) -> Service:
        """An application that runs an image."""
        values = {"name": name, "appName": _app_name(name), "env": env, "environmentId": project.environment_id}
        values |= {"dockerImage": image, "sourceType": "docker", **columns}
        return self._handle(self._do(lambda: self.state.add_application(**values)), "applicationId")

    def add_database(
        self, project: Project, name: str, *, kind: str = "postgres", image: str = "postgres:16", **columns: Any
    ) -> Service:
        """A database; `image` is what really runs when it is deployed."""
        values = {"name": name, "appName": _app_name(name), "environmentId": project.environment_id}
        values |= {"dockerImage": image, "databasePassword": secrets.token_urlsafe(12), **columns}
        return self._handle(self._do(lambda: self.state.add_database(kind, **values)), f"{kind}Id")

    def _handle(self, row: Row, id_column: str) -> Service:
        code = self.home / "compose" / row["appName"] / "code"
        return Service(id=row[id_column], app_name=row["appName"], name=row["name"], row=row, code_dir=code)

    def add_domain(self, service: Service, host: str, *, service_name: str | None = None, **columns: Any) -> Row:
        """A domain; for a compose it takes effect at the next deploy."""
        owner = "composeId" if "composeId" in service.row else "applicationId"
        values = {"host": host, owner: service.id, "serviceName": service_name, "port": 8000, **columns}
        return self._do(lambda: self.state.add_domain(**values))

    def resolve(self, host: str, address: str | None) -> None:
        """What `domain.validateDomain` finds for a host name; None: nothing."""
        self._do(lambda: self.stage.addresses.update({host: address} if address else {}))
        if address is None:
            self._do(lambda: self.stage.addresses.pop(host, None))

    def add_server(self, name: str, *, address: str = "203.0.113.7", **columns: Any) -> Row:
        """A remote server. What is deployed there runs on the engine of the test all the same."""

        def add() -> Row:
            row: Row = rows.recorded("server.create")
            given = {"serverId": rows.new_id(), "name": name, "ipAddress": address, "createdAt": rows.now()}
            row.update({**given, "organizationId": self.state.organization_id, **columns})
            self.state.servers[row["serverId"]] = row
            return row

        return self._do(add)

    # -- people ------------------------------------------------------------------------------------------------------

    def add_key(
        self,
        *,
        role: str = "owner",
        rights: set[str] | None = None,
        services: tuple[Service, ...] = (),
        rate_limit: int | None = DEFAULT_LIMIT,
        rate_window_s: float = DAY_S,
        has_organization: bool = True,
        member: Member | None = None,
    ) -> str:
        """A key's secret. `rights` of a member: docker, service …; `rate_limit` None: none (the default: 5 calls)."""
        organization = self.state.organization_id
        holder = member or Member(role=role, organization_id=organization, rights=rights or set())
        for service in services:
            environment = self.state.environments[service.row["environmentId"]]
            holder.services.append(service.id)
            holder.environments.append(environment["environmentId"])
            holder.projects.append(environment["projectId"])
        secret = secrets.token_urlsafe(48)
        key = Key(
            name=f"key-{len(self.state.keys) + 1}",
            secret=secret,
            member=holder,
            limit=rate_limit,
            window_s=rate_window_s,
            has_organization=has_organization,
        )
        self._do(lambda: self.state.keys.update({secret: key}))
        return secret

    # -- channels and plans ------------------------------------------------------------------------------------------

    def add_notification(
        self, endpoint: str, *, headers: Mapping[str, str] | None = None, only: tuple[str, ...] = SWITCHES
    ) -> Row:
        """A custom channel that posts to an address. `only`: the switches that are on (`appDeploy`, …)."""
        switches = {name: name in only for name in SWITCHES}
        return self._do(lambda: plans.add_channel(self.state, "hook", endpoint, dict(headers or {}), switches))

    def add_backup(self, service: Service, *, database: str = "app", **columns: Any) -> Row:
        """A planned backup of a database or of a compose's database."""
        id_column = next(name for name in service.row if service.row[name] == service.id)
        kind = {"backupType": "compose"} if id_column == "composeId" else {"databaseType": id_column.removesuffix("Id")}
        row = plans.backup_row(database=database, **{id_column: service.id, **kind, **columns})
        self._do(lambda: self.state.backups.update({row["backupId"]: row}))
        return row

    def add_volume_backup(self, service: Service, volume: str, **columns: Any) -> Row:
        """A planned backup of a compose's volume."""
        values = {"name": volume, "volumeName": volume, "composeId": service.id, **columns}
        row = plans.volume_backup_row(**values)
        self._do(lambda: self.state.volume_backups.update({row["volumeBackupId"]: row}))
        return row

    def add_schedule(self, service: Service, command: str, *, service_name: str, **columns: Any) -> Row:
        """A command that runs in a compose's container."""
        values = {"name": command, "command": command, "composeId": service.id, "serviceName": service_name}
        return self._do(lambda: plans.add_schedule(self.state, **{**values, "scheduleType": "compose", **columns}))

    def fill(self, *, projects: int, composes: int, compose_file: str = "services: {}\n") -> list[Service]:
        """Many projects with so many composes each; rows only, nothing runs. All are `done`."""

        def add() -> list[Row]:
            made = []
            for number in range(projects):
                _, environment = self.state.add_project(f"project-{number:03}")
                for index in range(composes):
                    name = f"stack-{number:03}-{index:02}"
                    values = {"name": name, "appName": name, "environmentId": environment["environmentId"]}
                    values |= {"composeFile": compose_file, "composeStatus": "done"}
                    made.append(self.state.add_compose(**values))
            return made

        made = [self._handle(row, "composeId") for row in self._do(add)]
        self.owner.services += [service.id for service in made]
        return made


def _app_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.casefold()).strip("-")
