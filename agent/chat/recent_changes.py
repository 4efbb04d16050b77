"""Lists the changes since a moment, as far as the records and the engine show them."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from agent.chat.chat_deps import QuestionContext
from agent.chat.deployment_answers import deployments_since
from agent.chat.intents import fold_text
from core.durations import clock_time
from core.monitoring.inventory import Container, Stack, Target
from core.text import Text, text

LINES = 8
LONGEST_PERIOD = timedelta(days=30)
_AGO = re.compile(r"\b(\d{1,3}) ?(m|min|minut\w*|h|hs|hor\w*|hour\w*|d|di\w+|day\w*|seman\w*|week\w*)\b")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_WEEK = ("semana", "week")


def start_of_period(question: str, now: datetime, zone: ZoneInfo) -> datetime:
    """Return the start of the period meant (yesterday, two hours ago, this week …), by default a day ago."""
    plain = fold_text(question)
    if ago := _AGO.search(plain):
        unit = timedelta(weeks=1) if ago[2].startswith(_WEEK) else _UNITS[ago[2][0]]
        return now - min(int(ago[1]) * unit, LONGEST_PERIOD)
    midnight = datetime.combine(now.astimezone(zone).date(), time(), tzinfo=zone)
    if re.search(r"\b(anteayer|antier|day before yesterday)\b", plain):
        return midnight - timedelta(days=2)
    if re.search(r"\b(anoche|last night)\b", plain):
        return midnight - timedelta(hours=6)
    if re.search(r"\b(ayer|yesterday)\b", plain):
        return midnight - timedelta(days=1)
    if re.search(r"\b(hoy|today|esta manana|this morning)\b", plain):
        return midnight
    if re.search(r"\b(hora|hour)\b", plain):
        return now - timedelta(hours=1)
    return now - (timedelta(weeks=1) if any(word in plain for word in _WEEK) else timedelta(days=1))


async def changes_sentence(asked: QuestionContext, targets: tuple[Target, ...]) -> Text:
    """Describe incidents and containers created or started since then, and what cannot be seen."""
    now, zone = asked.parts.clock.now(), ZoneInfo(asked.parts.settings.timezone)
    since = start_of_period(asked.question.text, now, zone)
    incidents = [
        one
        for one in await asked.parts.incidents.recent(100, since=since)
        if asked.may_see(one.stack)
        and (not targets or any(_holds(target, one.stack, one.service) for target in targets))
    ]
    containers = [
        one
        for one in asked.inventory.containers
        if not targets or any(_holds(target, one.stack, one.service) for target in targets)
    ]
    created = [one for one in containers if one.created_at and one.created_at >= since]
    started = [one for one in containers if one not in created and one.started_at and one.started_at >= since]
    said = [
        asked.say(text("dialogue.changed_incident", id=one.id, target=one.target, message=one.message))
        for one in incidents
    ][:LINES]
    deployments = await deployments_since(asked, since, _stacks(targets))
    said += [f"· {asked.say(one.message)}" for one in deployments[:LINES]]
    if len(deployments) > LINES:
        said.append(asked.say(text("dialogue.more", count=len(deployments) - LINES)))
    said += (await _acts(asked, since, targets))[:LINES]
    said += _lines(asked, "dialogue.changed_created", created, since, zone)
    said += _lines(asked, "dialogue.changed_started", started, since, zone)
    return text(
        "dialogue.changes" if said else "dialogue.no_changes",
        since=clock_time(since, now, zone),
        incidents=len(incidents),
        deployments=len(deployments),
        created=len(created),
        started=len(started),
        details="\n".join(said),
    )


def _stacks(targets: tuple[Target, ...]) -> list[str] | None:
    """Return the stacks of the targets; None for all."""
    if not targets:
        return None
    return [name for name in (one.name if isinstance(one, Stack) else one.stack for one in targets) if name]


async def _acts(asked: QuestionContext, since: datetime, targets: tuple[Target, ...]) -> list[str]:
    """Return the actions done through us and by whom, such as file edits and restarts; deploys are listed apart."""
    now, zone = asked.parts.clock.now(), ZoneInfo(asked.parts.settings.timezone)
    catalog = asked.parts.gateway.catalog
    said = []
    for act in await asked.parts.gateway.ledger.acts_since(since):
        stack, service = _place(asked, act.ref)
        if (stack, service) == (None, None) or not asked.may_see(stack):
            continue
        if targets and not any(_holds(one, stack, service) for one in targets):
            continue
        if act.action in catalog and catalog.get(act.action).follow is not None:
            continue
        key = f"did.{act.action}"
        message = text(
            "dialogue.changed_by_us",
            target="/".join(part for part in (stack, service) if part),
            did=Text(key) if asked.parts.texts.has(key) else act.action,
            when=clock_time(act.at, now, zone),
            who=asked.parts.called(act.by),
        )
        said.append(asked.say(message))
    return said


def _place(asked: QuestionContext, ref: str) -> tuple[str | None, str | None]:
    """Return the stack and service that a call's target names; both None when it does not exist."""
    kind, _, name = ref.partition(":")
    if kind == "stack":
        return name, None
    container = asked.inventory.container(ref)
    return (container.stack, container.service) if container is not None else (None, None)


def _lines(asked: QuestionContext, key: str, containers: list[Container], since: datetime, zone: ZoneInfo) -> list[str]:
    now = asked.parts.clock.now()
    is_created = key.endswith("created")
    shown = []
    for one in containers[:LINES]:
        at = one.created_at if is_created else one.started_at
        when = clock_time(at or since, now, zone)
        shown.append(asked.say(Text(key, {"name": one.name, "when": when, "image": one.image[:80]})))
    if len(containers) > LINES:
        shown.append(asked.say(text("dialogue.more", count=len(containers) - LINES)))
    return shown


def _holds(target: Target, stack: str | None, service: str | None) -> bool:
    if isinstance(target, Stack):
        return target.name == stack
    return (target.stack, target.name) == (stack, service)
