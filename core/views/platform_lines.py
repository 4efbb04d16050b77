"""The platform's knowledge of a stack in the lines of a card: source, last deployment, domains and databases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

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
from core.monitoring.inventory import Host, Stack, Target
from core.text import Text, text
from core.views.cards import Block, Line, Span, Tone, Words, faint, line, strong
from core.views.deploy_card import ordered_by
from core.views.view_context import ViewContext

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
    """The records' and the platform's word on one managed stack."""

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


async def known_of(view: ViewContext, managed: ManagedResource) -> StackDeployState:
    """From the records and from memory, without asking the platform."""
    platform = view.platform
    waiting = tuple(one for one in platform.queue if one.managed_id == managed.id) if platform else ()
    ours = await view.deploys.recent(LATELY, managed_id=managed.id)
    return StackDeployState(managed=managed, ours=tuple(ours), waiting=waiting)


def managed_of(view: ViewContext, target: Target) -> ManagedResource | None:
    """The platform's resource behind a stack or a service's stack; None: it does not manage it."""
    stack = target.name if isinstance(target, Stack) else target.stack
    return view.inventory.managed_one(stack) if stack is not None else None


def blind_line(view: ViewContext) -> Line | None:
    """A warning that the platform does not answer just now; None: it does, as far as is known."""
    for host in view.inventory.hosts:
        if host.is_platform and not host.is_reachable:
            return line(platform_blind(host), tone=Tone.CRITICAL)
    return None


def platform_blind(host: Host) -> Text:
    """The platform does not answer, in a sentence."""
    return text("managed.blind", problem=host.message or host.problem.split("\n")[0][:200])


def managed_blocks(view: ViewContext, known: StackDeployState) -> Iterator[Block]:
    """All of it."""
    managed = known.managed
    yield line(faint(_origin(managed)))
    yield last_line(view, known)
    yield from _domains(view, managed)
    if managed.databases:
        yield line(faint(text("managed.databases")), " ", ", ".join(managed.databases[:8]))
    yield from _backups(view, managed)


def _origin(managed: ManagedResource) -> str:
    """`Dokploy · shop / production · git main`."""
    where = " / ".join(part for part in (managed.project, managed.environment) if part)
    source = " ".join(part for part in (managed.source, managed.branch) if part)
    return " · ".join(part for part in (managed.system.capitalize(), where, source) if part)


def last_line(view: ViewContext, known: StackDeployState) -> Line:
    """The end of the last deployment and its age; or that one runs; or that there was none yet."""
    running = known.under_way
    if running is not None:
        took = duration(view.now - running.ordered_at)
        phase = text(f"managed.phase.{running.phase}")
        return line(strong(phase), " ", faint(f"{took} · "), faint(ordered_by(running)), tone=Tone.BUSY)
    last = known.managed.last_deployment
    if last is None:
        key = "managed.queued" if known.waiting else "managed.never_deployed"
        return line(text(key), tone=Tone.BUSY if known.waiting else Tone.OFF)
    ours = known.ours_of(last)
    return line(*_told(view, last, ours), tone=tone_of(last, ours))


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


def _told(view: ViewContext, one: Deployment, ours: Deploy | None) -> Iterator[Words | Span]:
    at = one.finished_at or one.started_at or one.created_at
    yield status_of(one, ours)
    if at is not None:
        yield " "
        yield text("managed.ago", age=age(view, at))
    what = title_of(one, ours)
    if what:
        yield faint(f" · {what}")
    if ours is not None:
        yield faint(" · ")
        yield faint(ordered_by(ours))


def title_of(one: Deployment, ours: Deploy | None) -> str:
    """Its purpose in a few words: the commit, else its title; our own titles are only marks."""
    if ours is not None and not one.commit:
        return ours.why[:TITLE_SHOWN]
    message = _MARK.sub("", one.title.strip().split("\n")[0])[:TITLE_SHOWN]
    return " ".join(part for part in (one.commit[:7] if one.commit else "", message) if part)


def age(view: ViewContext, at: datetime) -> str:
    """Its largest unit: `3 d`, `2 h`."""
    parts = duration(view.now - at).split()
    return " ".join(parts[:2])


def _domains(view: ViewContext, managed: ManagedResource) -> Iterator[Block]:
    platform = view.platform
    states = platform.domains if platform else {}
    shown = [one for one in managed.domains if one.is_enabled]
    for one in shown[:DOMAINS_SHOWN]:
        yield domain_line(view, one, states.get(one.id))
    if len(shown) > DOMAINS_SHOWN:
        yield line(f"+{len(shown) - DOMAINS_SHOWN}", indent=True)


def domain_line(view: ViewContext, domain: Domain, state: DomainState | None) -> Line:
    """A domain, where it leads, and how it answered when it was last asked."""
    to = f" → {domain.service or '?'}{f':{domain.port}' if domain.port else ''}"
    pieces: list[Words | Span] = [domain.url.partition("://")[2], faint(to)]
    if state is None:
        pieces.append(faint(text("managed.domain.not_asked")))
        return line(*pieces, tone=Tone.LINK)
    if not state.problem:
        pieces.append(faint(f" · {state.http_status}" if state.http_status else ""))
        return line(*pieces, *_certificate(view, state), tone=Tone.WELL)
    pieces += [" · ", text(f"managed.domain.{state.problem}")]
    if state.detail and state.detail != str(state.http_status):
        pieces.append(faint(f" ({state.detail[:100]})"))
    return line(*pieces, tone=Tone.CRITICAL)


def _certificate(view: ViewContext, state: DomainState) -> Iterator[Words | Span]:
    if state.certificate_ends is None:
        return
    days = (state.certificate_ends - view.now).days
    if days < 30:
        yield " · "
        yield text("managed.domain.certificate_ends", days=max(days, 0))


def _backups(view: ViewContext, managed: ManagedResource) -> Iterator[Block]:
    platform = view.platform
    for one in platform.backups if platform else ():
        if one.managed_id == managed.id and one.status is DeployStatus.ERROR:
            yield line(text("managed.backup_failed", name=one.name), faint(f" {one.detail[:100]}"), tone=Tone.BAD)


def health_blocks(view: ViewContext, known: StackDeployState) -> Iterator[Block]:
    """Only what is not well: the last deployment, domains, backups."""
    last = last_line(view, known)
    if last.tone not in (Tone.GOOD, Tone.SKIPPED):
        yield last
    yield from (one for one in _domains(view, known.managed) if isinstance(one, Line) and one.tone is Tone.CRITICAL)
    yield from _backups(view, known.managed)


async def overview_marks(view: ViewContext) -> dict[str, Line]:
    """A line under each stack whose deploy runs, waits or was bad, or which was never deployed; by its name."""
    marks: dict[str, Line] = {}
    lately = await view.deploys.recent(MOST_LATELY)
    platform = view.platform
    for managed in view.inventory.managed:
        ours = tuple(one for one in lately if one.managed_id == managed.id)
        waiting = tuple(one for one in platform.queue if one.managed_id == managed.id) if platform else ()
        mark = last_line(view, StackDeployState(managed=managed, ours=ours, waiting=waiting))
        if mark.tone not in (Tone.GOOD, Tone.SKIPPED):
            marks[managed.name] = replace(mark, indent=True)
    return marks
