"""A Dokploy of any size over HTTP, in the shapes that were recorded, with a delay and with failures on demand."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from tests.integrations.dokploy.replay import ReplayServer, recordings

RECORDINGS = recordings()
T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
Row = dict[str, Any]

_COMPOSE = RECORDINGS["compose.one-stack"].answer
_DEPLOYMENT = RECORDINGS["deployment.allCentralized"].answer[0]
_DOMAIN = RECORDINGS["domain.byComposeId"].answer[0]
_JOB = RECORDINGS["deployment.queueList-during-deploy"].answer[0]
_DATABASE = RECORDINGS["postgres.one"].answer


def iso(at: datetime) -> str:
    """As Dokploy writes a moment."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class FleetClock:
    """The program's clock; moves when told."""

    moment: datetime = T0

    def now(self) -> datetime:
        return self.moment

    def forward(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@dataclass(kw_only=True)
class Service:
    """A compose or a database."""

    id: str
    name: str
    app_name: str
    project: str
    environment: str = "production"
    status: str = "done"
    kind: str = "compose"
    domains: list[Row] = field(default_factory=list)
    backups: list[Row] = field(default_factory=list)
    volume_backups: list[Row] = field(default_factory=list)


@dataclass
class Fleet:
    """What the server answers from; `denied` procedures answer 401 with a code, `broken` ones 500."""

    delay_s: float = 0.0
    services: dict[str, Service] = field(default_factory=dict)
    deployments: list[Row] = field(default_factory=list)
    queue: list[Row] = field(default_factory=list)
    runs: dict[str, list[Row]] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    projects: list[str] = field(default_factory=list)
    denied: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    takes_key: bool = True
    asked: Counter[str] = field(default_factory=Counter)

    def mount(self, server: ReplayServer) -> None:
        """Answer for that server from now on."""
        server.answer = self._answer

    # -- what is there ----------------------------------------------------------------------------------------------

    def compose(self, name: str, project: str = "shop", **more: Any) -> Service:
        """Add a compose; its id is `id-<name>` and its app name `<name>-x7f3k2`, with the project where it is told."""
        stem = name if project == "shop" else f"{project}-{name}"
        made = Service(id=f"id-{stem}", name=name, app_name=f"{stem}-x7f3k2", project=project, **more)
        if project not in self.projects:
            self.projects.append(project)
        self.services[made.id] = made
        return made

    def deployment(self, service: Service, status: str, began: datetime, lasted_s: float | None, **more: Any) -> Row:
        """Add a deployment; `lasted_s` None: it has not ended."""
        row: Row = {
            **deepcopy(_DEPLOYMENT),
            "deploymentId": f"d{len(self.deployments) + 1}-{service.id}",
            "composeId": service.id,
            "status": status,
            "createdAt": iso(began),
            "startedAt": iso(began),
            "finishedAt": iso(began + timedelta(seconds=lasted_s)) if lasted_s is not None else None,
            "compose": {**_DEPLOYMENT["compose"], "composeId": service.id, "name": service.name},
            **more,
        }
        row["compose"]["appName"] = service.app_name
        row["compose"]["environment"] = self._place(service)
        self.deployments.insert(0, row)
        return row

    def job(self, service: Service, state: str, at: datetime) -> Row:
        """Add a job to the queue."""
        row: Row = deepcopy(_JOB) | {"id": f"job-{len(self.queue) + 1}", "state": state}
        row["data"]["composeId"] = service.id
        row["timestamp"] = int(at.timestamp() * 1000)
        self.queue.append(row)
        return row

    @staticmethod
    def domain(host: str, **more: Any) -> Row:
        """A domain for `Service.domains`."""
        return {**deepcopy(_DOMAIN), "domainId": f"id-{host}", "host": host, **more}

    def rows(self, project: str) -> Iterator[Service]:
        return (one for one in self.services.values() if one.project == project)

    # -- answers ----------------------------------------------------------------------------------------------------

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        procedure = request.path.removeprefix("/api/")
        self.asked[procedure] += 1
        await asyncio.sleep(self.delay_s)
        if not self.takes_key:
            return _json({"message": "Unauthorized"}, 401)
        if procedure in self.denied:
            return _json({"message": "no access", "code": "UNAUTHORIZED", "data": {"path": procedure}}, 401)
        if procedure in self.broken:
            return web.Response(status=502)
        return self._procedure(procedure, request.query)

    def _procedure(self, name: str, query: Any) -> web.StreamResponse:
        lists: dict[str, Callable[[], Any]] = {
            "project.all": lambda: [self._heading(one) for one in self.projects],
            "environment.byProjectId": lambda: self._environments(query["projectId"].removeprefix("project-")),
            "deployment.allCentralized": lambda: self.deployments,
            "deployment.allByCompose": lambda: [
                row for row in self.deployments if row["composeId"] == query["composeId"]
            ],
            "deployment.allByType": lambda: self.runs.get(query["id"], []),
            "deployment.queueList": lambda: self.queue,
            "deployment.readLogs": lambda: self.logs.get(query["deploymentId"], ""),
            "settings.getDokployVersion": lambda: "v0.30.2",
            "volumeBackups.list": lambda: self.services[query["id"]].volume_backups,
        }
        if name in lists:
            return _json(lists[name]())
        return self._service(name, query)

    def _service(self, name: str, query: Any) -> web.StreamResponse:
        one = self.services.get(query.get("composeId") or query.get("postgresId") or "")
        if one is None:
            return _json({"message": "Compose not found", "code": "NOT_FOUND", "data": {"path": name}}, 404)
        whole = _COMPOSE if one.kind == "compose" else _DATABASE
        status = "composeStatus" if one.kind == "compose" else "applicationStatus"
        return _json({**whole, **self._ids(one), status: one.status, "domains": one.domains, "backups": one.backups})

    def _heading(self, project: str) -> Row:
        environments = [self._listed(project, name, is_brief=True) for name in self._environment_names(project)]
        return {"projectId": f"project-{project}", "name": project, "environments": environments}

    def _environments(self, project: str) -> list[Row]:
        return [self._listed(project, name, is_brief=False) for name in self._environment_names(project)]

    def _environment_names(self, project: str) -> list[str]:
        return sorted({one.environment for one in self.rows(project)} | {"production"})

    def _listed(self, project: str, environment: str, *, is_brief: bool) -> Row:
        own = [one for one in self.rows(project) if one.environment == environment]
        lists: dict[str, list[Row]] = {"compose": [], "postgres": [], "applications": []}
        for one in own:
            row = self._ids(one)
            if one.kind == "compose":
                row["composeStatus"] = one.status
            if is_brief:
                row.pop("appName")
            lists[one.kind].append({"postgresId": one.id} if is_brief and one.kind == "postgres" else row)
        return {
            "environmentId": f"{project}-{environment}",
            "name": environment,
            **lists,
            **({} if is_brief else {"project": {"projectId": f"project-{project}", "name": project}}),
        }

    @staticmethod
    def _ids(one: Service) -> Row:
        key = "composeId" if one.kind == "compose" else "postgresId"
        return {key: one.id, "name": one.name, "appName": one.app_name, "serverId": None}

    @staticmethod
    def _place(one: Service) -> Row:
        project = {"projectId": f"project-{one.project}", "name": one.project}
        return {"environmentId": f"{one.project}-{one.environment}", "name": one.environment, "project": project}


def _json(answer: Any, status: int = 200) -> web.Response:
    return web.Response(body=json.dumps(answer).encode(), status=status, content_type="application/json")
