"""The deploy webhooks: nothing but the token in the address is checked, not even the method."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.standins.dokploy.queue import Job
from tests.standins.dokploy.rows import Row
from tests.standins.dokploy.stage import Stage

BRANCH_COLUMNS = {
    "git": "customGitBranch",
    "github": "branch",
    "gitlab": "gitlabBranch",
    "bitbucket": "bitbucketBranch",
    "gitea": "giteaBranch",
}
PROVIDER_HEADERS = ("x-github-event", "x-gitlab-event", "x-gitea-event", "x-event-key")


def deploy(stage: Stage, path: str, headers: Mapping[str, str], raw: bytes) -> tuple[int, Row]:
    """Queue a deployment; status and body of the answer."""
    is_compose = path.startswith("compose/")
    kind = "compose" if is_compose else "application"
    table = stage.state.composes if is_compose else stage.state.applications
    token = path.removeprefix("compose/")
    row = next((one for one in table.values() if one["refreshToken"] == token), None)
    if row is None:
        return 404, {"message": f"{kind.capitalize()} Not Found"}
    if not row["autoDeploy"]:
        return 400, {"message": f"Automatic deployments are disabled for this {kind}"}
    body = _body(raw)
    if headers.get("x-github-event") == "ping":
        return 200, {"message": "Ping received, webhook is active"}
    if not _fits_branch(row, headers, body):
        return 301, {"message": "Branch Not Match"}
    head = body.get("head_commit") or {}
    job = Job(
        kind="deploy",
        application_type=kind,
        service_id=row[f"{kind}Id"],
        title=head.get("message") or "NEW CHANGES",
        description=f"Hash: {head.get('id') or ''}",
        server_id=row["serverId"],
    )
    stage.queue.add(job)
    return 200, {"message": f"{kind.capitalize()} deployed successfully"}


def _body(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw or b"{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _fits_branch(row: Row, headers: Mapping[str, str], body: dict[str, Any]) -> bool:
    """Raw composes and docker applications have no branch; git sources need a provider's headers and their own."""
    column = BRANCH_COLUMNS.get(row["sourceType"])
    if column is None:
        return True
    if not any(name in headers for name in PROVIDER_HEADERS):
        return False
    return str(body.get("ref") or "").removeprefix("refs/heads/") == str(row[column])
