"""Projects, environments and services as each call shows them; every call leaves other columns out."""

from __future__ import annotations

from tests.standins.dokploy.keys import Member
from tests.standins.dokploy.rows import Row
from tests.standins.dokploy.state import DATABASE_KINDS, State, pick

NAMED = ("name", "description", "appName", "createdAt", "serverId")
PLAIN = ("name", "description", "createdAt", "serverId")


def all_projects(state: State, member: Member) -> list[Row]:
    """`project.all`: ids, names and statuses; of databases an owner gets only the ids."""
    seen = [row for row in state.projects.values() if not member.is_member or row["projectId"] in member.projects]
    return [{**project, "environments": _brief(state, project, member), "projectTags": []} for project in seen]


def _brief(state: State, project: Row, member: Member) -> list[Row]:
    found = []
    for environment in environments_of(state, project["projectId"], member):
        found.append({**pick(environment, "name", "environmentId", "isDefault"), **_ids(state, environment, member)})
    return found


def _ids(state: State, environment: Row, member: Member) -> Row:
    applications = _seen(state, environment, state.applications, "applicationId", member)
    composes = _seen(state, environment, state.composes, "composeId", member)
    shown: Row = {
        "applications": [pick(row, "applicationId", "name", "applicationStatus") for row in applications],
        "compose": [pick(row, "composeId", "name", "composeStatus") for row in composes],
    }
    for kind in DATABASE_KINDS:
        columns = (f"{kind}Id", "name", "applicationStatus") if member.is_member else (f"{kind}Id",)
        rows = _seen(state, environment, state.databases[kind], f"{kind}Id", member)
        shown[kind] = [pick(row, *columns) for row in rows]
    return shown


def environments_of(state: State, project_id: str, member: Member) -> list[Row]:
    """The environments the member sees."""
    found = [row for row in state.environments.values() if row["projectId"] == project_id]
    return [row for row in found if not member.is_member or row["environmentId"] in member.environments]


def _seen(state: State, environment: Row, table: dict[str, Row], id_column: str, member: Member) -> list[Row]:
    found = state.services_in(environment["environmentId"], table)
    return [row for row in found if member.sees(row[id_column])]


def services(state: State, environment: Row, member: Member, columns: tuple[str, ...], *, icons: bool = True) -> Row:
    """The services of an environment with these columns, their ids, statuses and servers."""
    icon = ("icon",) if icons else ()
    composes = _seen(state, environment, state.composes, "composeId", member)
    applications = _seen(state, environment, state.applications, "applicationId", member)
    shown: Row = {
        "applications": [
            _shown(state, row, *columns, "applicationStatus", "applicationId", "icon") for row in applications
        ],
        "compose": [_shown(state, row, *columns, "composeId", "composeStatus", *icon) for row in composes],
    }
    for kind in DATABASE_KINDS:
        rows = _seen(state, environment, state.databases[kind], f"{kind}Id", member)
        shown[kind] = [_shown(state, row, *columns, "applicationStatus", f"{kind}Id") for row in rows]
    return shown


def _shown(state: State, row: Row, *columns: str) -> Row:
    return {**pick(row, *columns), "server": server_name(state, row)}


def server_name(state: State, row: Row) -> Row | None:
    """The remote server of a service, in brief."""
    server = state.servers.get(row.get("serverId") or "")
    return pick(server, "serverId", "name") if server else None


def one_project(state: State, project: Row, member: Member) -> Row:
    """`project.one`"""
    environments = [
        {**environment, **services(state, environment, member, NAMED, icons=False)}
        for environment in environments_of(state, project["projectId"], member)
    ]
    return {**project, "environments": environments, "projectTags": []}


def project_environments(state: State, project: Row, member: Member) -> list[Row]:
    """`environment.byProjectId`"""
    return [
        {
            **pick(environment, "name", "description", "environmentId", "isDefault"),
            **services(state, environment, member, NAMED),
            "project": project,
        }
        for environment in environments_of(state, project["projectId"], member)
    ]


def one_environment(state: State, environment: Row, member: Member) -> Row:
    """`environment.one`: services without their appName."""
    return {
        **pick(environment, "name", "description", "environmentId", "isDefault", "projectId", "env"),
        **services(state, environment, member, PLAIN),
        "project": state.projects[environment["projectId"]],
    }


def with_project(state: State, row: Row) -> Row:
    """The environment of a service, with its project."""
    environment = state.environments[row["environmentId"]]
    return {**environment, "project": state.projects[environment["projectId"]]}


def home_stats(state: State) -> Row:
    """`project.homeStats`"""
    databases = [row for table in state.databases.values() for row in table.values()]
    statuses = [row["composeStatus"] for row in state.composes.values()]
    statuses += [row["applicationStatus"] for row in (*state.applications.values(), *databases)]
    return {
        "projects": len(state.projects),
        "environments": len(state.environments),
        "applications": len(state.applications),
        "compose": len(state.composes),
        "databases": len(databases),
        "services": len(statuses),
        "status": {
            "running": sum(status in ("done", "running") for status in statuses),
            "error": statuses.count("error"),
            "idle": statuses.count("idle"),
        },
    }
