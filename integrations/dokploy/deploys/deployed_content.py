"""Content a stack is deployed from, as Dokploy's row holds it now: read, compared, written back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from core.actions.catalog import JsonObject
from core.deployments.deploys import VersionContent
from core.deployments.platform import ManagedResource
from core.error_text import own_words
from core.errors import ActionFailed, GuardianError, Refused, SystemUnavailable
from core.text import Text, text
from integrations.compose_file.edits import ComposeFileError, ServiceFacts, read_services
from integrations.dokploy.actions.dokploy_deps import DokployDeps
from integrations.dokploy.client.dokploy_errors import AnswerLost, AnswerUnreadable, CallFailed, RightMissing
from integrations.dokploy.client.endpoints.update_fields import ComposeChanges
from integrations.dokploy.client.secret_values import reveal
from integrations.dokploy.models import ComposeRow, ComposeType, SourceType


def row_content(row: ComposeRow) -> VersionContent:
    """Return the part of the row that determines a deploy; secret."""
    settings: JsonObject = {}
    if row.branch_field is not None:
        settings[row.branch_field] = getattr(row, row.branch_field)
        settings["compose_path"] = row.compose_path or ""
    if row.command:
        settings["command"] = reveal(row.command) or ""
    return VersionContent(
        compose_file=(reveal(row.compose_file) or "") if is_file_in_dokploy(row) else "",
        env=reveal(row.env) or "",
        settings=settings,
    )


def is_file_in_dokploy(row: ComposeRow) -> bool:
    """Return whether its file is kept in Dokploy."""
    return row.source_type is SourceType.RAW


def is_swarm_stack(managed: ManagedResource) -> bool:
    """Return whether it runs on Swarm."""
    return managed.type == ComposeType.STACK


def row_source(row: ComposeRow) -> str:
    """Return the source: raw, git, github …"""
    return str(row.source_type or SourceType.UNKNOWN)


def source_name(source: str) -> Text | str:
    """Return the source for people; git and its hosts keep their names in every language."""
    return text("dokploy_error.raw") if source == SourceType.RAW else source


def row_branch(row: ComposeRow) -> str | None:
    """Return its branch or tag; None if it does not come from git."""
    return getattr(row, row.branch_field) if row.branch_field else None


def content_digest(content: VersionContent, *marks: str) -> str:
    """Return the SHA-256 of file, environment and settings; `marks` separate versions whose content is the same."""
    told = [content.compose_file, content.env, content.settings, *marks]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


async def load_compose_file(parts: DokployDeps, row: ComposeRow) -> str | None:
    """Return the Compose file: Dokploy's own, else the last one fetched from git, as deployed. None if unavailable.

    Holds secrets.
    """
    if is_file_in_dokploy(row):
        return reveal(row.compose_file) or ""
    try:
        return reveal(await parts.dokploy.composes.converted_file(row.compose_id))
    except (CallFailed, RightMissing):
        return None


def services_in(text: str | None) -> list[ServiceFacts]:
    """Return the services of a file; none if it is missing or unreadable."""
    if not text:
        return []
    try:
        return read_services(text)
    except ComposeFileError:
        return []


async def write_compose_file(parts: DokployDeps, row: ComposeRow, text: str) -> None:
    """Replace the file of a raw compose; if Dokploy cannot convert it, restore the old one and raise ActionFailed."""
    before = row_content(row)
    await write_content(parts, row, VersionContent(compose_file=text, env=before.env, settings=before.settings))


async def write_content(parts: DokployDeps, row: ComposeRow, content: VersionContent) -> bool:
    """Write the content into the row; return whether anything changed.

    Dokploy's own converter validates a file: if it cannot convert it, the old one is restored and ActionFailed names
    the reason.
    """
    before = row_content(row)
    if before == content:
        return False
    await _put(parts, row.compose_id, before, content)
    if is_file_in_dokploy(row) and before.compose_file != content.compose_file:
        try:
            await parts.dokploy.composes.converted_file(row.compose_id)
        except (CallFailed, RightMissing) as refusal:
            await _put(parts, row.compose_id, content, before)
            message = text("dokploy_error.file_refused", problem=own_words(refusal))
            raise ActionFailed(
                f"Dokploy cannot deploy the file, so the old one was put back: {refusal}", message=message
            ) from refusal
    return True


@asynccontextmanager
async def restored_unless_deployed(parts: DokployDeps, row: ComposeRow, written: VersionContent) -> AsyncIterator[None]:
    """Restore the row if what was written certainly was not deployed; after a lost answer it stays."""
    try:
        yield
    except SystemUnavailable:
        raise
    except GuardianError as error:
        before = row_content(row)
        if before == written:
            raise
        try:
            await _put(parts, row.compose_id, written, before)
        except GuardianError as failure:
            raise ActionFailed(
                f"{error}; what was written into Dokploy could not be put back: {failure}",
                message=text(
                    "dokploy_error.not_put_back",
                    problem=own_words(error),
                    failure=own_words(failure),
                    stack=row.name,
                ),
            ) from error
        raise


async def _put(parts: DokployDeps, compose_id: str, before: VersionContent, after: VersionContent) -> None:
    changes: ComposeChanges = {}
    if before.compose_file != after.compose_file:
        changes["compose_file"] = after.compose_file
    if before.env != after.env:
        changes["env"] = after.env
    names = [name for name in {**before.settings, **after.settings} if name in ComposeChanges.__annotations__]
    for name in names:
        if before.settings.get(name) != after.settings.get(name):
            cast("dict[str, object]", changes)[name] = after.settings.get(name, "")
    try:
        await parts.dokploy.composes.update(compose_id, **changes)
    except (AnswerLost, AnswerUnreadable) as lost:
        if row_content(await parts.dokploy.composes.one(compose_id)) != after:
            message = text("dokploy_error.did_not_arrive", problem=own_words(lost))
            raise ActionFailed(
                f"the change did not arrive at Dokploy: {lost}; nothing was deployed", message=message
            ) from lost


def refuse_git(row: ComposeRow, managed: ManagedResource) -> None:
    """Raise Refused unless Dokploy itself keeps the file."""
    if not is_file_in_dokploy(row):
        where = f"branch or tag {row_branch(row)!r}" if row_branch(row) else "its repository"
        raise Refused(
            f"the Compose file of {managed.name!r} comes from {row_source(row)} ({where}) and cannot be edited in "
            "Dokploy: change it in the repository, then deploy; values of its environment can be set here "
            "(dokploy.compose.set_environment)",
            message=text(
                "dokploy_error.from_git_branch" if row_branch(row) else "dokploy_error.from_git",
                stack=managed.name,
                source=row_source(row),
                branch=row_branch(row),
            ),
        )
