"""Keeps the versions that stacks are deployed from, including the one that ran before our first action."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from core.deployments.deploys import StackVersion, VersionContent, VersionVerdict
from core.deployments.platform import ManagedResource
from core.monitoring.inventory import Container
from core.monitoring.status import status_of
from integrations.compose_file.edits import ServiceFacts
from integrations.compose_file.env_field import env_variable_names
from integrations.compose_file.interpolation import find_variables
from integrations.dokploy.actions.dokploy_deps import DokployDeps
from integrations.dokploy.deploys.deployed_content import (
    content_digest,
    is_file_in_dokploy,
    load_compose_file,
    row_branch,
    row_content,
    row_source,
    services_in,
)
from integrations.dokploy.deploys.deployment_history import shown_title
from integrations.dokploy.models import ComposeRow, DeploymentRow, DeploymentStatus

_COMMIT = re.compile(r"Commit:\s*([0-9a-f]{40})")
FOUND_RUNNING = "found"
"""Author of a version that ran before our first action."""


def sort_deployment_rows(deployments: Iterable[DeploymentRow]) -> list[DeploymentRow]:
    """Sort deployments, newest first; Dokploy gives those of a compose unsorted."""
    return sorted(deployments, key=lambda one: one.created_at.timestamp() if one.created_at else 0.0, reverse=True)


def commit_of(deployment: DeploymentRow | None) -> str | None:
    """Return the full commit hash of a finished deployment from git; None otherwise."""
    found = _COMMIT.search(deployment.description or "") if deployment is not None else None
    return found.group(1) if found else None


async def is_version_kept(parts: DokployDeps, managed: ManagedResource, row: ComposeRow) -> bool:
    """Return whether a version was kept since Dokploy's last deploy: what runs is that one, or older than all."""
    newest = next(iter(await parts.versions.of(managed.id, 1)), None)
    deployments = sort_deployment_rows(row.deployments)
    if newest is None:
        return False
    if not deployments or deployments[0].created_at is None or deployments[0].created_at <= newest.at:
        return True
    ours = {one.deployment_id for one in await parts.deploys.recent(20, managed_id=managed.id)}
    return deployments[0].deployment_id in ours


async def keep_running_version(
    parts: DokployDeps, managed: ManagedResource, row: ComposeRow, *, only_good: bool = False
) -> None:
    """Keep what runs as a version before it is changed, unless it is kept already.

    GOOD only where the containers are well and fit the file that Dokploy has now (images and memory limits): Dokploy
    does not keep what it deployed, and its row may have been edited since. An environment edited since goes unnoticed.
    """
    last = next(iter(sort_deployment_rows(row.deployments)), None)
    if last is None or last.status is not DeploymentStatus.DONE or await is_version_kept(parts, managed, row):
        return
    text = await load_compose_file(parts, row)
    is_good = are_containers_healthy(
        parts.containers(managed), services_in(text), must_fit=is_file_in_dokploy(row) or text is not None
    )
    if only_good and not is_good:
        return
    made = new_version(parts, managed, row, row_content(row), by=FOUND_RUNNING, text=text)
    version = replace(
        made,
        verdict=VersionVerdict.GOOD if is_good else VersionVerdict.UNKNOWN,
        commit=commit_of(last),
        commit_message=shown_title(last.title, parts.redact) if not is_file_in_dokploy(row) else "",
        image_ids={one.service: one.image_id for one in parts.containers(managed) if one.image_id},
    )
    await parts.versions.add(version, row_content(row))


def new_version(
    parts: DokployDeps,
    managed: ManagedResource,
    row: ComposeRow,
    content: VersionContent,
    *,
    by: str,
    text: str | None,
    deploy_key: str | None = None,
) -> StackVersion:
    """Build a version to keep. From git each deploy is a version: the same row may deploy another commit."""
    now = parts.clock.now()
    return StackVersion(
        managed_id=managed.id,
        stack=managed.name,
        app_name=managed.app_name,
        source=row_source(row),
        at=now,
        by=by,
        deploy_key=deploy_key,
        digest=content_digest(content)
        if is_file_in_dokploy(row)
        else content_digest(content, deploy_key or now.isoformat()),
        branch=_branch_in(content, row),
        env_keys=tuple(env_variable_names(content.env)),
        images={one.name: one.image for one in services_in(text) if one.image},
    )


def are_containers_healthy(
    containers: Sequence[Container], services: Sequence[ServiceFacts], *, must_fit: bool
) -> bool:
    """Return whether every container is healthy and, with `must_fit`, matches a service of the file."""
    if not containers or not all(status_of(one).is_fine for one in containers):
        return False
    if not must_fit:
        return True
    of_service = {one.name: [c for c in containers if c.service == one.name] for one in services}
    if {one.service for one in containers} - of_service.keys():
        return False
    return all(of_service[one.name] and all(_fits(c, one) for c in of_service[one.name]) for one in services)


def _fits(container: Container, service: ServiceFacts) -> bool:
    if service.image is not None and not _may_be_image(service.image, container.image):
        return False
    is_open = service.memory_variable is not None
    return is_open or (service.memory_limit_bytes or 0) == container.memory_limit_bytes


def _may_be_image(written: str, image: str) -> bool:
    """Return whether an image in the file may be that one; a variable may stand for any."""
    pattern, position = "", 0
    for one in find_variables(written):
        pattern += re.escape(written[position : one.start]) + ".*"
        position = one.end
    pattern += re.escape(written[position:])
    return re.fullmatch(f"(?:docker\\.io/(?:library/)?)?{pattern}(?::latest)?(?:@sha256:[0-9a-f]+)?", image) is not None


def _branch_in(content: VersionContent, row: ComposeRow) -> str | None:
    if row.branch_field is None:
        return None
    written = content.settings.get(row.branch_field)
    return written if isinstance(written, str) else row_branch(row)
