"""Answers when and by whom something was deployed, from our records or else from Dokploy's, which name nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from agent.chat.chat_deps import QuestionContext
from core.deployments.deploys import Deploy
from core.deployments.platform import Deployment, DeployStatus, ManagedResource
from core.deployments.versions import version_changes
from core.monitoring.inventory import Stack, Target, title
from core.text import Text, Value, text
from core.views.deploy_card import ordered_by

SHOWN = 5
RECENT = 20
MOST_RECENT = 100
CHANGES_SHOWN = 3
TITLE_SHOWN = 80


@dataclass(frozen=True, kw_only=True)
class DeploymentLine:
    """One deployment, as shown in an answer."""

    stack: str
    at: datetime
    message: Text


async def deployment_sentences(asked: QuestionContext, targets: Sequence[Target]) -> list[Text]:
    """Return the last deployment of each target, or the latest of all when nothing is named."""
    if not targets:
        entries = await deployments_since(asked, None)
        return [one.message for one in entries[:SHOWN]] or [text("dialogue.deployed.none")]
    said: dict[str, Text] = {}
    for target in targets[:SHOWN]:
        name = target.name if isinstance(target, Stack) else target.stack or target.name
        if name not in said:
            said[name] = await _last(asked, name, target)
    return list(said.values())


async def _last(asked: QuestionContext, name: str, target: Target) -> Text:
    managed = asked.inventory.managed_one(name)
    if managed is None:
        return _not_managed(asked, target)
    ours = await asked.parts.deploys.recent(RECENT, managed_id=managed.id)
    running = next((one for one in ours if not one.phase.is_over), None)
    if running is not None:
        when = asked.moment(running.ordered_at)
        return text("dialogue.deployed.running", stack=managed.name, who=_who(running), when=when)
    entries = await _entries(asked, managed, ours)
    return entries[0].message if entries else text("dialogue.deployed.never", stack=managed.name)


def _not_managed(asked: QuestionContext, target: Target) -> Text:
    services = target.services if isinstance(target, Stack) else (target,)
    created = [one.created_at for service in services for one in service.containers if one.created_at is not None]
    when = asked.moment(max(created)) if created else "–"
    return text("dialogue.deployed.not_managed", stack=title(target), when=when)


async def deployments_since(
    asked: QuestionContext, moment: datetime | None, stacks: Sequence[str] | None = None
) -> list[DeploymentLine]:
    """Return the visible deployments since a moment, newest first, limited to `stacks` if given."""
    found: list[DeploymentLine] = []
    lately = await asked.parts.deploys.recent(MOST_RECENT, since=moment)
    for managed in asked.inventory.managed:
        if stacks is None or managed.name in stacks:
            found += await _entries(asked, managed, [one for one in lately if one.managed_id == managed.id], moment)
    return sorted(found, key=lambda one: one.at, reverse=True)


async def _entries(
    asked: QuestionContext, managed: ManagedResource, ours: Sequence[Deploy], moment: datetime | None = None
) -> list[DeploymentLine]:
    """Return our deploys with who ordered them, and those that Dokploy started by itself or for somebody else."""
    known = {one.deployment_id for one in ours if one.deployment_id is not None}
    found = [await _ours(asked, one) for one in ours]
    for one in managed.deployments:
        at = one.finished_at or one.started_at or one.created_at
        if one.id not in known and at is not None and (moment is None or at >= moment):
            found.append(_theirs(asked, managed, one, at))
    return sorted(found, key=lambda one: one.at, reverse=True)


async def _ours(asked: QuestionContext, deploy: Deploy) -> DeploymentLine:
    values: dict[str, Value | Text] = {
        "stack": deploy.stack,
        "who": _who(deploy),
        "when": asked.moment(deploy.ordered_at),
        "what": text(f"dialogue.deployed.what.{deploy.what}"),
        "verdict": text(f"dialogue.deployed.verdict.{deploy.phase if deploy.phase.is_over else 'running'}"),
    }
    key = "dialogue.deployed.ours"
    changes = await _changes(asked, deploy)
    if changes is not None:
        values["changes"], key = changes, "dialogue.deployed.ours_with"
    return DeploymentLine(stack=deploy.stack, at=deploy.ordered_at, message=Text(key, values))


def _who(deploy: Deploy) -> Text:
    who = ordered_by(deploy)
    return who if isinstance(who, Text) else text("dialogue.deployed.by", who=who)


async def _changes(asked: QuestionContext, deploy: Deploy) -> Text | None:
    """Summarise the changes in a few words; None when none are known."""
    if deploy.version_id is None or deploy.version_before is None or deploy.version_before == deploy.version_id:
        return None
    versions = asked.parts.versions
    before, after = await versions.get(deploy.version_before), await versions.get(deploy.version_id)
    told: Text | None = None
    for one in version_changes(before, after)[:CHANGES_SHOWN] if before is not None and after is not None else ():
        told = one if told is None else text("card.listed", first=told, second=one)
    return told


def _theirs(asked: QuestionContext, managed: ManagedResource, one: Deployment, at: datetime) -> DeploymentLine:
    about = asked.parts.redact(one.title.strip().split("\n")[0][:TITLE_SHOWN])
    status = DeployStatus.DONE if one.status is DeployStatus.UNKNOWN else one.status
    message = text(
        "dialogue.deployed.commit" if one.commit else "dialogue.deployed.titled",
        stack=managed.name,
        when=asked.moment(at),
        status=text(f"dialogue.deployed.status.{status}"),
        about=about or "–",
        commit=(one.commit or "")[:7],
    )
    return DeploymentLine(stack=managed.name, at=at, message=message)
