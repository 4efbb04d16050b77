"""/compose, /deploylog, /diff: a stack's Compose file, its deployment log, and its changes since a version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bot.arguments.platform_stack import lines_of, look, split_target, which_managed, with_words
from bot.arguments.target_choice import side_by_side
from bot.command_context import CommandContext, CommandReply, Later
from bot.commands.command_table import command
from core.actions.catalog import JsonObject, Role
from core.deployments.deploys import StackVersion, VersionVerdict
from core.deployments.platform import Deployment, ManagedKind, ManagedResource
from core.deployments.versions import version_changes
from core.text import text
from core.views.cards import (
    Attachment,
    Block,
    Card,
    CardButton,
    Folded,
    Tone,
    Words,
    faint,
    line,
    said,
    strong,
)
from core.views.deploy_card import ordered_by
from core.views.platform_lines import age, blind_line, known_of, status_of, title_of, tone_of

AS_FILE_MARK = "!file"
SHOWN_LINES = 90
LOG_LINES = 40
FILE_LINES = 1000
DEPLOYMENTS_OFFERED = 5
VERSIONS_OFFERED = 5
_COMPOSES = (ManagedKind.COMPOSE,)


@command("compose", family="look", role=Role.VIEWER)
async def compose(ask: CommandContext) -> CommandReply:
    """Show the Compose file, its secrets masked; as a file where it is long."""
    as_file = ask.words.endswith(AS_FILE_MARK)
    found = which_managed(ask, ask.words.removesuffix(AS_FILE_MARK), only=_COMPOSES)
    return found if isinstance(found, Card) else Later(work=lambda: _file(ask, found, as_file=as_file))


async def _file(ask: CommandContext, managed: ManagedResource, *, as_file: bool) -> CommandReply:
    result = await look(ask, "dokploy.compose.file", {"stack": managed.name})
    if isinstance(result, Card):
        return _with_unreachable_note(ask, result)
    lines = [ask.face.redact(one) for one in lines_of(result.data)]
    if not lines:
        return said(result.message, Tone.OFF)
    title: list[Words] = [f"  {managed.source} {managed.branch or ''}".rstrip()]
    head = line(strong(managed.name), faint(title[0]), faint(" · "), faint(text("compose.lines", count=len(lines))))
    if as_file or len(lines) > SHOWN_LINES:
        content = "\n".join(lines).encode("utf-8", "replace")
        file = Attachment(name=f"{_file_name(managed.name)}.compose.yml", content=content)
        return Card(blocks=(head,), attachment=file)
    options: list[tuple[str, Words, str]] = [("compose", text("logs.button.file"), f"{managed.name} {AS_FILE_MARK}")]
    options.append(("diff", text("deploy_card.button.diff"), managed.name))
    body = Folded(lines=tuple(one or " " for one in lines), is_code=True)
    return Card(blocks=(head, line(faint(text("compose.masked"))), body), buttons=(side_by_side(ask, options),))


@command("deploylog", family="look", role=Role.VIEWER)
async def deploylog(ask: CommandContext) -> CommandReply:
    """Show a deployment's log: the last one's, or that of the one named."""
    as_file = ask.words.endswith(AS_FILE_MARK)
    names, rest = split_target(ask, ask.words.removesuffix(AS_FILE_MARK))
    found = which_managed(ask, names, only=_COMPOSES)
    if isinstance(found, Card):
        return with_words(found, rest)
    deployment_id = rest.split(" ")[0][:64] or None
    return Later(work=lambda: _log(ask, found, deployment_id, as_file=as_file))


async def _log(
    ask: CommandContext, managed: ManagedResource, deployment_id: str | None, *, as_file: bool
) -> CommandReply:
    params: JsonObject = {"stack": managed.name, "tail": FILE_LINES if as_file else LOG_LINES}
    if deployment_id is not None:
        params["deployment_id"] = deployment_id
    result = await look(ask, "dokploy.compose.deployment_log", params)
    if isinstance(result, Card):
        return _with_unreachable_note(ask, result)
    lines = [ask.face.redact(one) for one in lines_of(result.data)]
    named = next((one for one in managed.deployments if one.id == deployment_id), None)
    shown = named if deployment_id is not None else managed.last_deployment
    head = await _head(ask, managed, shown)
    if not lines:
        return Card(blocks=(*head, line(result.message, tone=Tone.OFF)))
    if as_file:
        content = "\n".join(lines).encode("utf-8", "replace")
        file = Attachment(name=f"{_file_name(managed.name)}.deploy.log", content=content)
        return Card(blocks=tuple(head), attachment=file)
    blocks = list(head)
    error_line = result.data.get("error_line")
    if isinstance(error_line, str) and error_line:
        blocks.append(Folded(lines=(ask.face.redact(error_line),), is_code=True))
    blocks.append(Folded(heading=text("deploy_card.log"), lines=tuple(one or " " for one in lines), keep_end=True))
    return Card(blocks=tuple(blocks), buttons=_log_buttons(ask, managed, deployment_id))


async def _head(ask: CommandContext, managed: ManagedResource, shown: Deployment | None) -> list[Block]:
    if shown is None:
        return [line(strong(managed.name))]
    known = await known_of(ask.view, managed)
    ours = known.ours_of(shown)
    at = shown.finished_at or shown.started_at or shown.created_at
    pieces: list[Words] = [" · ", status_of(shown, ours)]
    pieces += [" ", text("managed.ago", age=age(ask.view, at))] if at is not None else []
    blocks: list[Block] = [line(strong(managed.name), *pieces, tone=tone_of(shown, ours))]
    what = title_of(shown, ours)
    by = [faint(" · " if what else ""), faint(ordered_by(ours))] if ours is not None else []
    return [*blocks, line(faint(what), *by)] if what or by else blocks


def _log_buttons(
    ask: CommandContext, managed: ManagedResource, shown: str | None
) -> tuple[tuple[CardButton, ...], ...]:
    words = f"{managed.name} {shown or ''}".strip()
    rows = [side_by_side(ask, [("deploylog", text("logs.button.file"), f"{words} {AS_FILE_MARK}")])]
    others = [one for one in managed.deployments if one.id != shown][:DEPLOYMENTS_OFFERED]
    for one in others if shown is not None else others[1:]:
        at = one.finished_at or one.started_at or one.created_at
        label = text(
            "deploylog.other", sign=_SIGNS.get(one.status, "❔"), age=age(ask.view, at) if at else "–", what=_short(one)
        )
        rows.append(side_by_side(ask, [("deploylog", label, f"{managed.name} {one.id}")]))
    return tuple(rows)


_SIGNS = {"done": "✅", "error": "❌", "running": "⏳", "cancelled": "➖"}


def _short(one: Deployment) -> str:
    return title_of(one, None)[:32] or "–"


@command("diff", family="look", role=Role.VIEWER)
async def diff(ask: CommandContext) -> CommandReply:
    """Show the changes since a kept version; without a number, since the last good one."""
    names, rest = split_target(ask, ask.words)
    found = which_managed(ask, names, only=_COMPOSES)
    if isinstance(found, Card):
        return with_words(found, rest)
    number = rest.strip().lstrip("#v")
    wanted = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else None
    return Later(work=lambda: _diff(ask, found, wanted))


@dataclass(frozen=True, kw_only=True)
class _ComparedVersions:
    """The versions to compare: `chosen` with what is there now."""

    chosen: StackVersion | None
    running: StackVersion | None
    others: Sequence[StackVersion]


async def _kept(ask: CommandContext, managed: ManagedResource, wanted: int | None) -> _ComparedVersions:
    versions = await ask.face.versions.of(managed.id)
    running = versions[0] if versions else None
    chosen = next((one for one in versions if one.id == wanted), None) if wanted is not None else None
    if wanted is None and running is not None:
        chosen = await ask.face.versions.last_good(managed.id, before=running.id) or running
    others = [one for one in versions if chosen is None or one.id != chosen.id]
    return _ComparedVersions(chosen=chosen, running=running, others=others[:VERSIONS_OFFERED])


async def _diff(ask: CommandContext, managed: ManagedResource, wanted: int | None) -> CommandReply:
    kept = await _kept(ask, managed, wanted)
    if kept.chosen is None:
        key = "diff.no_version" if wanted is not None else "diff.no_versions"
        message = text(key, stack=managed.name, number=wanted or 0)
        return Card(blocks=(line(message, tone=Tone.UNKNOWN),), buttons=_versions(ask, managed, kept))
    params: JsonObject = {"stack": managed.name, "version": kept.chosen.id}
    result = await look(ask, "dokploy.compose.changes", params)
    if isinstance(result, Card):
        return _with_unreachable_note(ask, result)
    lines = [ask.face.redact(one) for one in [*lines_of(result.data), *_changed_variables(result.data)]]
    when = age(ask.view, kept.chosen.at)
    blocks: list[Block] = [
        line(strong(managed.name), " · ", text("diff.since", number=kept.chosen.id, age=when)),
        line(faint(text(f"diff.verdict.{kept.chosen.verdict}"))),
    ]
    if kept.running is not None and kept.running.id != kept.chosen.id:
        blocks += [line("• ", one) for one in version_changes(kept.chosen, kept.running)]
    if lines:
        blocks.append(Folded(lines=tuple(lines), is_code=True, is_diff=True))
    else:
        blocks.append(line(result.message, tone=Tone.OFF))
    return Card(blocks=tuple(blocks), buttons=_versions(ask, managed, kept))


def _changed_variables(data: JsonObject) -> Iterator[str]:
    """Names of environment variables, never values: added, removed, changed."""
    for what, sign in (("added", "+"), ("removed", "-"), ("changed", "~")):
        names = data.get(f"environment_{what}")
        yield from (f"{sign} {one}" for one in names) if isinstance(names, list) else ()


def _versions(
    ask: CommandContext, managed: ManagedResource, kept: _ComparedVersions
) -> tuple[tuple[CardButton, ...], ...]:
    """Buttons: roll back to the version shown, and compare with the others."""
    rows = []
    is_older = kept.chosen is not None and kept.running is not None and kept.chosen.id != kept.running.id
    if is_older and kept.chosen is not None and ask.may(Role.OPERATOR, managed.name):
        words = f"{managed.name} {kept.chosen.id}"
        rows.append(side_by_side(ask, [("rollback", text("diff.back", number=kept.chosen.id), words)]))
    options: list[tuple[str, Words, str]] = []
    for one in kept.others:
        sign = {VersionVerdict.GOOD: "✅", VersionVerdict.BAD: "❌"}.get(one.verdict, "❔")
        label = text("diff.other", sign=sign, number=one.id, age=age(ask.view, one.at))
        options.append(("diff", label, f"{managed.name} {one.id}"))
    rows += [side_by_side(ask, options[at : at + 2]) for at in range(0, len(options), 2)]
    return tuple(rows)


def _with_unreachable_note(ask: CommandContext, problem: Card) -> Card:
    """Add to a problem that Dokploy is unreachable, where that is known."""
    blind = blind_line(ask.view)
    return problem if blind is None else Card(blocks=(blind, *problem.blocks))


def _file_name(name: str) -> str:
    return "".join(char if char.isalnum() or char in "-_." else "-" for char in name)[:60] or "stack"
