"""project.* and environment.*"""

from __future__ import annotations

from tests.standins.dokploy import trees
from tests.standins.dokploy.calls import Call, Catalogue, Refusal, may, needs
from tests.standins.dokploy.rows import Row
from tests.standins.dokploy.stage import Stage
from tests.standins.dokploy.state import find

catalogue = Catalogue()
SEARCH = (may("q"), may("name"), may("description"), may("limit", "number"), may("offset", "number"))


@catalogue.get("project.all")
async def all_projects(stage: Stage, call: Call) -> list[Row]:
    return trees.all_projects(stage.state, call.member)


@catalogue.get("project.one", needs("projectId"))
async def one(stage: Stage, call: Call) -> Row:
    return trees.one_project(stage.state, _project(stage, call), call.member)


def _project(stage: Stage, call: Call) -> Row:
    project = find(stage.state.projects, call["projectId"], "Project")
    if call.member.is_member and project["projectId"] not in call.member.projects:
        raise Refusal("UNAUTHORIZED", "You don't have access to this project")
    return project


@catalogue.get("project.search", *SEARCH)
async def search(stage: Stage, call: Call) -> Row:
    seen = [row for row in stage.state.projects.values() if not call.member.is_member or _is_seen(call, row)]
    return page(call, [row for row in seen if _fits(row, call)])


def _is_seen(call: Call, row: Row) -> bool:
    return row["projectId"] in call.member.projects


def _fits(row: Row, call: Call) -> bool:
    told = f"{row['name']} {row['description'] or ''}".casefold()
    return str(call["q"] or "").casefold() in told and call["name"] in (None, row["name"])


def page(call: Call, found: list[Row]) -> Row:
    """Part of a search's finds."""
    offset = call["offset"] or 0
    return {"items": found[offset : offset + (call["limit"] or 20)], "total": len(found)}


@catalogue.get("project.homeStats")
async def home_stats(stage: Stage, call: Call) -> Row:
    return trees.home_stats(stage.state)


@catalogue.post("project.create", needs("name"), may("description"), may("env"), right="project")
async def create(stage: Stage, call: Call) -> Row:
    project, environment = stage.state.add_project(call["name"], call["description"])
    return {"project": project, "environment": environment}


@catalogue.get("environment.one", needs("environmentId"))
async def one_environment(stage: Stage, call: Call) -> Row:
    environment = find(stage.state.environments, call["environmentId"], "Environment")
    return trees.one_environment(stage.state, environment, call.member)


@catalogue.get("environment.byProjectId", needs("projectId"))
async def of_project(stage: Stage, call: Call) -> list[Row]:
    return trees.project_environments(stage.state, _project(stage, call), call.member)


@catalogue.get("environment.search", *SEARCH, may("projectId"))
async def search_environments(stage: Stage, call: Call) -> Row:
    found = [row for row in reversed(stage.state.environments.values()) if _fits(row, call)]
    return page(call, [row for row in found if call["projectId"] in (None, row["projectId"])])


@catalogue.post("environment.create", needs("name"), needs("projectId"), may("description"), right="environment")
async def create_environment(stage: Stage, call: Call) -> Row:
    find(stage.state.projects, call["projectId"], "Project")
    if call["name"] == "production":
        raise Refusal("BAD_REQUEST", "You cannot create a environment with the name 'production'")
    return stage.state.add_environment(call["projectId"], call["name"], call["description"])
