"""Rollback of a stack, which Dokploy itself does not have."""

from __future__ import annotations

from datetime import datetime

from core.actions.catalog import JsonObject, Preview, Result, Risk, action
from core.deployments.deploys import FOLLOW_KIND, StackVersion
from core.deployments.platform import ManagedResource
from core.errors import Refused
from core.text import Text, text
from integrations.compose_file.env_field import changed_keys
from integrations.compose_file.file_diff import masked_diff
from integrations.dokploy.actions.dokploy_deps import DokployToolset
from integrations.dokploy.actions.stack_params import RollbackParams
from integrations.dokploy.deploys.deployed_content import content_digest, is_file_in_dokploy, row_content
from integrations.dokploy.deploys.migration_logs import find_migration_since
from integrations.dokploy.deploys.rollback_plan import (
    RollbackPlan,
    carry_out_rollback,
    image_lines,
    last_good_before,
    plan_from_snapshot,
    plan_rollback,
    plan_rollback_to_ref,
    rollback_snapshot,
    settings_lines,
)
from integrations.dokploy.deploys.submit_deploy import load_idle_stack, nothing_sent_yet
from integrations.dokploy.deploys.version_keeping import FOUND_RUNNING
from integrations.dokploy.models import ComposeRow

_AT = "%Y-%m-%d %H:%M UTC"


class ComposeRollback(DokployToolset):
    """Rollback to an earlier version of a stack."""

    system = "dokploy.compose"

    @action(
        Risk.CHANGE,
        snapshot="where_it_is",
        undo="forward_again",
        preview="rollback_preview",
        follow=FOLLOW_KIND,
        time_limit_s=90.0,
    )
    async def rollback(self, params: RollbackParams) -> Result:
        """Roll back to a saved version, or for stacks from git to a tag or branch, and follow it like a deploy.

        Without either: to the last good version before the running one. A file kept in Dokploy is restored with its
        environment; from git the branch is set, or the earlier images get their names back. Volumes and databases are
        not rolled back: check the warning about migrations first. Undone by going forward again.
        """
        with nothing_sent_yet():
            managed, row, way = await self._way(params)
        why = params.why or f"back to {params.ref or _version_name(way.version)}"
        return await carry_out_rollback(self._parts, managed, row, way, why=why)

    async def where_it_is(self, params: RollbackParams) -> JsonObject:
        """Record the row and the images as they are."""
        _, row, way = await self._way(params)
        return rollback_snapshot(row, way)

    async def forward_again(self, params: RollbackParams, snapshot: JsonObject) -> Result:
        """Restore the state before the rollback, and deploy it; followed."""
        with nothing_sent_yet():
            managed, row = await load_idle_stack(self._parts, params.stack)
        return await carry_out_rollback(
            self._parts, managed, row, plan_from_snapshot(snapshot), why="undo the rollback"
        )

    async def rollback_preview(self, params: RollbackParams) -> Preview:
        """Show the diff between now and then, and what the rollback does not restore."""
        managed, row, way = await self._way(params)
        now = row_content(row)
        lines = masked_diff(now.compose_file, way.content.compose_file) if is_file_in_dokploy(row) else []
        changed = changed_keys(now.env, way.content.env)
        lines += [f"+ {key}" for key in changed.added] + [f"- {key}" for key in changed.removed]
        lines += [f"~ {key}" for key in changed.changed]
        lines += settings_lines(now, way.content) + image_lines(way)
        basis = content_digest(now, params.ref or "", _version_name(way.version), *sorted(way.tags.values()))
        return Preview(
            lines=tuple(self._parts.redact(line) for line in lines),
            warnings=tuple(await self._warnings(managed, row, way)),
            basis=basis,
        )

    async def _way(self, params: RollbackParams) -> tuple[ManagedResource, ComposeRow, RollbackPlan]:
        managed, row = await load_idle_stack(self._parts, params.stack)
        if params.ref is not None:
            return managed, row, await plan_rollback_to_ref(managed, row, params.ref, self._parts)
        version = await self._version(managed, row, params.version)
        return managed, row, await plan_rollback(self._parts, managed, row, version)

    async def _version(self, managed: ManagedResource, row: ComposeRow, number: int | None) -> StackVersion:
        if number is not None:
            found = await self._parts.versions.get(number)
            if found is None or found.managed_id != managed.id:
                raise Refused(
                    f"there is no kept version {number} of {managed.name!r}; dokploy.compose.versions lists them",
                    message=text("dokploy_error.no_version", stack=managed.name, number=number),
                )
            return found
        good = await last_good_before(self._parts, managed, row)
        if good is None:
            other = "" if is_file_in_dokploy(row) else ", or give a tag or branch (`ref`)"
            raise Refused(
                f"no version of {managed.name!r} is kept that held before what runs: versions are kept from the first "
                f"deploy or edit through here on. Give one by its number (dokploy.compose.versions){other}",
                message=text(
                    "dokploy_error.none_held" if is_file_in_dokploy(row) else "dokploy_error.none_held_git",
                    stack=managed.name,
                ),
            )
        return good

    async def _warnings(self, managed: ManagedResource, row: ComposeRow, way: RollbackPlan) -> list[Text]:
        warnings: list[Text] = []
        if way.version is not None:
            warnings.append(await self._says(way.version))
            since = await self._went_away(managed, way.version)
            tool = await find_migration_since(self._parts, managed, row, since) if since is not None else None
            if tool is not None:
                warnings.append(text("dokploy.warn.migration", tool=tool))
        if way.tags:
            warnings.append(text("dokploy.warn.retagged", images=", ".join(way.tags), host=managed.host or ""))
        if way.gone:
            warnings.append(text("dokploy.warn.image_gone", images=", ".join(way.gone)))
        if not way.fetches:
            warnings.append(text("dokploy.warn.file_stays"))
        if not is_file_in_dokploy(row) and way.fetches:
            warnings.append(text("dokploy.warn.branch"))
        return [*warnings, text("dokploy.warn.volumes")]

    async def _says(self, version: StackVersion) -> Text:
        """Describe a version: its number, date, author, and whether it stayed healthy."""
        at = version.at.strftime(_AT)
        if version.by == FOUND_RUNNING:
            return text("dokploy.warn.found_version", number=version.id, at=at, verdict=_verdict(version))
        deploy = await self._parts.deploys.get(version.deploy_key) if version.deploy_key else None
        by = deploy.requested_name if deploy is not None else version.by
        return text("dokploy.warn.version", number=version.id, at=at, by=by, verdict=_verdict(version))

    async def _went_away(self, managed: ManagedResource, version: StackVersion) -> datetime | None:
        later = [one for one in await self._parts.versions.of(managed.id, 50) if one.id > version.id]
        return later[-1].at if later else None


def _verdict(version: StackVersion) -> Text:
    return text(f"dokploy.verdict.{version.verdict}")


def _version_name(version: StackVersion | None) -> str:
    return f"version {version.id}" if version is not None else ""
