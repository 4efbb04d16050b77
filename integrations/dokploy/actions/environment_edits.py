"""Edits of one value in a stack's environment in Dokploy, without deploying it. Values are never shown."""

from __future__ import annotations

import re
from datetime import datetime

from core.actions.catalog import JsonObject, Outcome, Preview, Result, Risk, action
from core.deployments.deploys import VersionContent
from core.deployments.platform import ManagedResource
from core.errors import Refused
from core.text import text
from integrations.compose_file.env_field import changed_keys, set_env_value
from integrations.dokploy.actions.dokploy_deps import DokployToolset
from integrations.dokploy.actions.stack_params import EnvironmentParams
from integrations.dokploy.client.dokploy_errors import AnswerLost
from integrations.dokploy.deploys.deployed_content import content_digest, is_file_in_dokploy, row_content
from integrations.dokploy.deploys.version_keeping import keep_running_version
from integrations.dokploy.models import ComposeRow


class EnvironmentEdits(DokployToolset):
    """Edits of a stack's environment in Dokploy; works for files from git too."""

    system = "dokploy.compose"

    @action(
        Risk.CHANGE,
        snapshot="environment_before",
        undo="take_environment_back",
        outcome="has_value",
        preview="environment_preview",
        time_limit_s=60.0,
    )
    async def set_environment(self, params: EnvironmentParams) -> Result:
        """Set one value of a stack's environment in Dokploy; `redeploy` applies it.

        A service sees it only if the Compose file uses it (`${KEY}` or `env_file`). The value is never shown again.
        """
        managed, row, after = await self._edited(params)
        before = row_content(row).env
        if before == after:
            said = text("dokploy.edit_same", stack=managed.name)
            return self._result(said, {"stack": managed.name, "key": params.key}, outcome=Outcome.NO_DATA)
        await keep_running_version(self._parts, managed, row)
        await self._save(managed, after)
        added = params.key in changed_keys(before, after).added
        message = text(
            "dokploy.environment_added" if added else "dokploy.environment_set", stack=managed.name, key=params.key
        )
        data: JsonObject = {"stack": managed.name, "key": params.key, "was_there": not added}
        return self._result(message, data, f"compose.saveEnvironment {managed.id}")

    async def environment_preview(self, params: EnvironmentParams) -> Preview:
        """Show the key, and whether the file uses it."""
        _, row, after = await self._edited(params)
        now = row_content(row)
        changed = changed_keys(now.env, after)
        lines = [f"+ {key}" for key in changed.added] + [f"~ {key}" for key in changed.changed]
        warnings = [] if lines else [text("dokploy.warn.no_change")]
        if is_file_in_dokploy(row) and not _is_used(now, params.key):
            warnings.append(text("dokploy.warn.unused_variable", key=params.key))
        return Preview(lines=tuple(lines), warnings=tuple(warnings), basis=content_digest(now))

    async def environment_before(self, params: EnvironmentParams) -> JsonObject:
        """Record the environment before and after; secret."""
        _, row, after = await self._edited(params)
        return {"before": row_content(row).env, "after": after}

    async def has_value(self, params: EnvironmentParams, started_at: datetime) -> Outcome:
        """Return OK if setting it again would change nothing."""
        _, row, after = await self._edited(params)
        return Outcome.OK if row_content(row).env == after else Outcome.FAILED

    async def take_environment_back(self, params: EnvironmentParams, snapshot: JsonObject) -> Result:
        """Restore the environment, without deploying it; raises Refused if it was changed since."""
        managed = self._parts.managed(params.stack)
        now = row_content(await self._dokploy.composes.one(managed.id)).env
        before, after = str(snapshot.get("before", "")), str(snapshot.get("after", ""))
        data: JsonObject = {"stack": managed.name, "key": params.key}
        if now == before:
            return self._result(text("dokploy.edit_back_already", stack=managed.name), data)
        if now != after:
            raise Refused(
                f"the environment of {managed.name!r} was changed since the edit, so it is not put back: that would "
                f"undo the later change too; set {params.key!r} to the value you want",
                message=text("dokploy_error.environment_changed", stack=managed.name, key=params.key),
            )
        await self._save(managed, before)
        return self._result(text("dokploy.edit_back", stack=managed.name), data)

    async def _edited(self, params: EnvironmentParams) -> tuple[ManagedResource, ComposeRow, str]:
        managed = self._parts.managed(params.stack)
        row = await self._dokploy.composes.one(managed.id)
        return managed, row, set_env_value(row_content(row).env, params.key, params.value.get_secret_value())

    async def _save(self, managed: ManagedResource, env: str) -> None:
        try:
            await self._dokploy.composes.save_environment(managed.id, env)
        except AnswerLost:
            if row_content(await self._dokploy.composes.one(managed.id)).env != env:
                raise


def _is_used(now: VersionContent, key: str) -> bool:
    return re.search(rf"\$\{{?{re.escape(key)}\b|env_file", now.compose_file) is not None
