"""What Dokploy knows of a stack, in the lines of a card: its source, last deployment, domains and databases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from bot.command_context import CommandContext
from core.deployments.deploys import Deploy, DeployPhase
from core.deployments.platform import (
    Deployment,
    DeployStatus,
    Domain,
    DomainState,
    ManagedResource,
    QueuedDeployment,
)
from core.durations import duration
from core.monitoring.inventory import Inventory
from core.text import Text, text
from core.views.cards import Block, Line, Span, Tone, Words, faint, line, strong
from core.views.deploy_card import ordered_by

DOMAINS_SHOWN = 6
TITLE_SHOWN = 70
LATELY = 20
MOST_LATELY = 60
_MARK = re.compile(r" · ig-[0-9a-f]{8}$")
"""By which we find our own deployments again: nothing for people."""
_TONES = {
    DeployStatus.RUNNING: Tone.BUSY,
    DeployStatus.DONE: Tone.GOOD,
    DeployStatus.ERROR: Tone.BAD,
    DeployStatus.CANCELLED: Tone.SKIPPED,
    DeployStatus.UNKNOWN: Tone.UNKNOWN,
}
_OUR_TONES = {
    DeployPhase.GOOD: Tone.GOOD,
    DeployPhase.FAILED: Tone.BAD,
    DeployPhase.CRASHED: Tone.BAD,
    DeployPhase.CANCELLED: Tone.SKIPPED,
}


@dataclass(frozen=True, kw_only=True)
class StackDeployState:
    """What the records and the platform say of one managed stack."""

    managed: ManagedResource
    ours: tuple[Deploy, ...]
    """Our own deploys of it, newest first."""
    waiting: tuple[QueuedDeployment, ...]

    @property
    def under_way(self) -> Deploy | None:
        """Our own deploy that has no verdict yet."""
        return next((one for one in self.ours if not one.phase.is_over), None)

    def ours_of(self, deployment: Deployment) -> Deploy | None:
        """The deploy of ours that made a deployment; None: it was not us."""
        return next((one for one in self.ours if one.deployment_id == deployment.id), None)


async def known_of(ask: CommandContext, managed: ManagedResource) -> StackDeployState:
    """From the records and from memory, without asking Dokploy."""
    view = ask.face.platform()
    waiting = tuple(one for one in view.queue if one.managed_id == managed.id) if view else ()
    ours = await ask.face.deploys.recent(LATELY, managed_id=managed.id)
    return StackDeployState(managed=managed, ours=tuple(ours), waiting=waiting)


def managed_blocks(ask: CommandContext, known: StackDeployState) -> Iterator[Block]:
    """All of it."""
    managed = known.managed
    yield line(faint(_origin(managed)))
    yield last_line(ask, known)
    yield from _domains(ask, managed)
    if managed.databases:
        yield line(faint(text("managed.databases")), " ", ", ".join(managed.databases[:8]))
    yield from _backups(ask, managed)


def _origin(managed: ManagedResource) -> str:
    """`Dokploy · shop / production · git main`."""
    where = " / ".join(part for part in (managed.project, managed.environment) if part)
    source = " ".join(part for part in (managed.source, managed.branch) if part)
    return " · ".join(part for part in (managed.system.capitalize(), where, source) if part)


def last_line(ask: CommandContext, known: StackDeployState) -> Line:
    """How the last deployment went and how old it is; or that one runs; or that there was none yet."""
    running = known.under_way
    if running is not None:
        took = duration(ask.now - running.ordered_at)
        phase = text(f"managed.phase.{running.phase}")
        return line(strong(phase), " ", faint(f"{took} · "), faint(ordered_by(running)), tone=Tone.BUSY)
    last = known.managed.last_deployment
    if last is None:
        key = "managed.queued" if known.waiting else "managed.never_deployed"
        return line(text(key), tone=Tone.BUSY if known.waiting else Tone.OFF)
    ours = known.ours_of(last)
    return line(*_told(ask, last, ours), tone=tone_of(last, ours))


def tone_of(deployment: Deployment, ours: Deploy | None) -> Tone:
    """By our own verdict where there is one: Dokploy's says nothing of the containers."""
    if ours is not None and ours.phase in _OUR_TONES:
        return _OUR_TONES[ours.phase]
    return _TONES[deployment.status]


def status_of(deployment: Deployment, ours: Deploy | None) -> Text:
    """In a word or two: our own verdict, else Dokploy's."""
    if ours is not None and ours.phase in _OUR_TONES:
        return text(f"managed.verdict.{ours.phase}")
    return text(f"managed.status.{deployment.status}")


def _told(ask: CommandContext, one: Deployment, ours: Deploy | None) -> Iterator[Words | Span]:
    at = one.finished_at or one.started_at or one.created_at
    yield status_of(one, ours)
    if at is not None:
        yield " "
        yield text("managed.ago", age=age(ask, at))
    what = title_of(one, ours)
    if what:
        yield faint(f" · {what}")
    if ours is not None:
        yield faint(" · ")
        yield faint(ordered_by(ours))


def title_of(one: Deployment, ours: Deploy | None) -> str:
    """What it was for, in a few words: the commit, else its title; our own titles are only marks."""
    if ours is not None and not one.commit:
        return ours.why[:TITLE_SHOWN]
    says = _MARK.sub("", one.title.strip().split("\n")[0])[:TITLE_SHOWN]
    return " ".join(part for part in (one.commit[:7] if one.commit else "", says) if part)


def age(ask: CommandContext, at: datetime) -> str:
    """Its largest unit: `3 d`, `2 h`."""
    parts = duration(ask.now - at).split()
    return " ".join(parts[:2])


def _domains(ask: CommandContext, managed: ManagedResource) -> Iterator[Block]:
    view = ask.face.platform()
    states = view.domains if view else {}
    shown = [one for one in managed.domains if one.is_enabled]
    for one in shown[:DOMAINS_SHOWN]:
        yield domain_line(ask, one, states.get(one.id))
    if len(shown) > DOMAINS_SHOWN:
        yield line(f"+{len(shown) - DOMAINS_SHOWN}", indent=True)


def domain_line(ask: CommandContext, domain: Domain, state: DomainState | None) -> Line:
    """A domain, where it leads, and how it answered when it was last asked."""
    to = f" → {domain.service or '?'}{f':{domain.port}' if domain.port else ''}"
    pieces: list[Words | Span] = [domain.url.partition("://")[2], faint(to)]
    if state is None:
        pieces.append(faint(text("managed.domain.not_asked")))
        return line(*pieces, tone=Tone.LINK)
    if not state.problem:
        pieces.append(faint(f" · {state.http_status}" if state.http_status else ""))
        return line(*pieces, *_certificate(ask, state), tone=Tone.WELL)
    pieces += [" · ", text(f"managed.domain.{state.problem}")]
    if state.detail and state.detail != str(state.http_status):
        pieces.append(faint(f" ({state.detail[:100]})"))
    return line(*pieces, tone=Tone.CRITICAL)


def _certificate(ask: CommandContext, state: DomainState) -> Iterator[Words | Span]:
    if state.certificate_ends is None:
        return
    days = (state.certificate_ends - ask.now).days
    if days < 30:
        yield " · "
        yield text("managed.domain.certificate_ends", days=max(days, 0))


def _backups(ask: CommandContext, managed: ManagedResource) -> Iterator[Block]:
    view = ask.face.platform()
    for one in view.backups if view else ():
        if one.managed_id == managed.id and one.status is DeployStatus.ERROR:
            yield line(text("managed.backup_failed", name=one.name), faint(f" {one.detail[:100]}"), tone=Tone.BAD)


def health_blocks(ask: CommandContext, known: StackDeployState) -> Iterator[Block]:
    """Only what is not well: the last deployment, domains, backups."""
    last = last_line(ask, known)
    if last.tone not in (Tone.GOOD, Tone.SKIPPED):
        yield last
    yield from (one for one in _domains(ask, known.managed) if isinstance(one, Line) and one.tone is Tone.CRITICAL)
    yield from _backups(ask, known.managed)


async def overview_marks(ask: CommandContext, inventory: Inventory) -> dict[str, Line]:
    """A line under each stack whose deploy runs, waits or was bad, or which was never deployed; by its name."""
    marks: dict[str, Line] = {}
    lately = await ask.face.deploys.recent(MOST_LATELY)
    view = ask.face.platform()
    for managed in inventory.managed:
        ours = tuple(one for one in lately if one.managed_id == managed.id)
        waiting = tuple(one for one in view.queue if one.managed_id == managed.id) if view else ()
        mark = last_line(ask, StackDeployState(managed=managed, ours=ours, waiting=waiting))
        if mark.tone not in (Tone.GOOD, Tone.SKIPPED):
            marks[managed.name] = replace(mark, indent=True)
    return marks
