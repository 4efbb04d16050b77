"""What a stack is deployed from, as Dokploy's row holds it now: read, compared, written back."""

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
from integrations.compose_file.edits import ComposeFileError, ServiceFacts, services
from integrations.dokploy.actions.dokploy_deps import DokployDeps
from integrations.dokploy.client.dokploy_errors import AnswerLost, AnswerUnreadable, CallFailed, RightMissing
from integrations.dokploy.client.endpoints.update_fields import ComposeChanges
from integrations.dokploy.client.secret_values import reveal
from integrations.dokploy.models import ComposeRow, ComposeType, SourceType


def content_of(row: ComposeRow) -> VersionContent:
    """The part of the row that decides what a deploy brings up; secret."""
    settings: JsonObject = {}
    if row.branch_field is not None:
        settings[row.branch_field] = getattr(row, row.branch_field)
        settings["compose_path"] = row.compose_path or ""
    if row.command:
        settings["command"] = reveal(row.command) or ""
    return VersionContent(
        compose_file=(reveal(row.compose_file) or "") if is_raw(row) else "",
        env=reveal(row.env) or "",
        settings=settings,
    )


def is_raw(row: ComposeRow) -> bool:
    """Whether its file is kept in Dokploy."""
    return row.source_type is SourceType.RAW


def is_stack(managed: ManagedResource) -> bool:
    """Whether it runs on Swarm."""
    return managed.type == ComposeType.STACK


def source_of(row: ComposeRow) -> str:
    """raw, git, github …"""
    return str(row.source_type or SourceType.UNKNOWN)


def source_said(source: str) -> Text | str:
    """The same for people; git and its hosts are called so in every language."""
    return text("dokploy_error.raw") if source == SourceType.RAW else source


def branch_of(row: ComposeRow) -> str | None:
    """Its branch or tag, where it comes from git."""
    return getattr(row, row.branch_field) if row.branch_field else None


def digest_of(content: VersionContent, *marks: str) -> str:
    """SHA-256 over file, environment and settings; `marks` tell apart what these do not."""
    told = [content.compose_file, content.env, content.settings, *marks]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


async def file_of(parts: DokployDeps, row: ComposeRow) -> str | None:
    """The Compose file: Dokploy's own, else the one last fetched from git, as it is deployed. None: not to be had.

    Holds secrets.
    """
    if is_raw(row):
        return reveal(row.compose_file) or ""
    try:
        return reveal(await parts.dokploy.composes.converted_file(row.compose_id))
    except (CallFailed, RightMissing):
        return None


def services_in(text: str | None) -> list[ServiceFacts]:
    """The services of a file; none where it is not to be had or cannot be read."""
    if not text:
        return []
    try:
        return services(text)
    except ComposeFileError:
        return []


async def write_file(parts: DokployDeps, row: ComposeRow, text: str) -> None:
    """Put another file into a raw compose; where Dokploy cannot convert it, the old one is put back and it fails."""
    before = content_of(row)
    await write(parts, row, VersionContent(compose_file=text, env=before.env, settings=before.settings))


async def write(parts: DokployDeps, row: ComposeRow, content: VersionContent) -> bool:
    """Make the row's content this one; whether anything had to be written.

    A file is proved by Dokploy's own converter: what it cannot convert is taken back, and ActionFailed says why.
    """
    before = content_of(row)
    if before == content:
        return False
    await _put(parts, row.compose_id, before, content)
    if is_raw(row) and before.compose_file != content.compose_file:
        try:
            await parts.dokploy.composes.converted_file(row.compose_id)
        except (CallFailed, RightMissing) as refusal:
            await _put(parts, row.compose_id, content, before)
            says = text("dokploy_error.file_refused", problem=own_words(refusal))
            raise ActionFailed(
                f"Dokploy cannot deploy the file, so the old one was put back: {refusal}", says=says
            ) from refusal
    return True


@asynccontextmanager
async def or_put_back(parts: DokployDeps, row: ComposeRow, written: VersionContent) -> AsyncIterator[None]:
    """Put back what the row held when what was written surely was not deployed; a lost answer changes nothing."""
    try:
        yield
    except SystemUnavailable:
        raise
    except GuardianError as error:
        before = content_of(row)
        if before == written:
            raise
        try:
            await _put(parts, row.compose_id, written, before)
        except GuardianError as failure:
            raise ActionFailed(
                f"{error}; what was written into Dokploy could not be put back: {failure}",
                says=text(
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
        if content_of(await parts.dokploy.composes.one(compose_id)) != after:
            says = text("dokploy_error.did_not_arrive", problem=own_words(lost))
            raise ActionFailed(
                f"the change did not arrive at Dokploy: {lost}; nothing was deployed", says=says
            ) from lost


def refuse_git(row: ComposeRow, managed: ManagedResource) -> None:
    """Refused unless Dokploy itself keeps the file."""
    if not is_raw(row):
        where = f"branch or tag {branch_of(row)!r}" if branch_of(row) else "its repository"
        raise Refused(
            f"the Compose file of {managed.name!r} comes from {source_of(row)} ({where}) and cannot be edited in "
            "Dokploy: change it in the repository, then deploy; values of its environment can be set here "
            "(dokploy.compose.set_environment)",
            says=text(
                "dokploy_error.from_git_branch" if branch_of(row) else "dokploy_error.from_git",
                stack=managed.name,
                source=source_of(row),
                branch=branch_of(row),
            ),
        )
