"""Edit of a stack's file in Dokploy: previewed, validated, written, restored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.actions.catalog import JsonObject, Outcome, Preview, Result
from core.deployments.platform import ManagedResource
from core.errors import Refused
from core.text import Text, text
from integrations.compose_file.edits import read_services
from integrations.compose_file.file_diff import masked_diff
from integrations.dokploy.actions.dokploy_deps import DokployDeps, redacted_result
from integrations.dokploy.deploys.deployed_content import content_digest, refuse_git, row_content, write_compose_file
from integrations.dokploy.deploys.version_keeping import keep_running_version
from integrations.dokploy.models import ComposeRow

TextEdit = Callable[[str], str]
"""Function from the file before to the file after; raises ComposeFileError."""


@dataclass(frozen=True, kw_only=True)
class FileEdit:
    """Change of the file kept in Dokploy. It takes effect at the next deploy or redeploy."""

    parts: DokployDeps
    managed: ManagedResource
    row: ComposeRow
    after: str
    """New file; secret."""

    @property
    def before(self) -> str:
        """Current file; secret."""
        return row_content(self.row).compose_file

    async def carry_out(self, message: Text, data: JsonObject) -> Result:
        """Write the file, after keeping what runs as a version."""
        if self.before == self.after:
            said = text("dokploy.edit_same", stack=self.managed.name)
            return redacted_result(self.parts, said, data, outcome=Outcome.NO_DATA)
        await keep_running_version(self.parts, self.managed, self.row)
        await write_compose_file(self.parts, self.row, self.after)
        told: JsonObject = {**data, "stack": self.managed.name, "lines": [*self.lines()]}
        return redacted_result(self.parts, message, told, f"compose.update {self.managed.id}")

    def lines(self) -> list[str]:
        """Return the diff, masked."""
        return masked_diff(self.before, self.after)

    def preview(self, *warnings: Text) -> Preview:
        """Return the diff with its warnings, based on the row as it is."""
        lines = tuple(self.parts.redact(line) for line in self.lines())
        empty = () if lines else (text("dokploy.warn.no_change"),)
        return Preview(lines=lines, warnings=(*warnings, *empty), basis=content_digest(row_content(self.row)))

    def snapshot(self) -> JsonObject:
        """Return the state that undoes the edit; secret."""
        return {"before": self.before, "after": self.after}


async def file_edit(parts: DokployDeps, stack: str, change: Callable[[ManagedResource, str], str]) -> FileEdit:
    """Build the edit `change(managed, file)`; raises Refused for files from git, ComposeFileError if it fails."""
    managed = parts.managed(stack)
    row = await parts.dokploy.composes.one(managed.id)
    refuse_git(row, managed)
    after = change(managed, row_content(row).compose_file)
    read_services(after)
    return FileEdit(parts=parts, managed=managed, row=row, after=after)


async def take_file_back(parts: DokployDeps, stack: str, snapshot: JsonObject) -> Result:
    """Restore the file from before an edit, without deploying it.

    It may be restored already: undoing the deploy that applied the edit writes it back. Raises Refused if somebody
    changed it since.
    """
    managed = parts.managed(stack)
    row = await parts.dokploy.composes.one(managed.id)
    before, after = str(snapshot.get("before", "")), str(snapshot.get("after", ""))
    now = row_content(row).compose_file
    if now == before:
        return redacted_result(parts, text("dokploy.edit_back_already", stack=managed.name), {"stack": managed.name})
    if now != after:
        raise Refused(
            f"the Compose file of {managed.name!r} was changed since the edit, so it is not put back: that would undo "
            "the later change too; correct it by hand, or roll back to a version (dokploy.compose.rollback)",
            message=text("dokploy_error.file_changed", stack=managed.name),
        )
    await write_compose_file(parts, row, before)
    data: JsonObject = {"stack": managed.name, "lines": [*masked_diff(now, before)]}
    return redacted_result(parts, text("dokploy.edit_back", stack=managed.name), data, f"compose.update {managed.id}")
