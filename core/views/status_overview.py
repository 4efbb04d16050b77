"""The overview of everything watched, from memory, without asking any engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.incidents.alert_kinds import AlertKind
from core.monitoring.inventory import Inventory, Service, Stack
from core.text import text
from core.views.cards import Block, Card, CardButton, Folded, Gap, Line, Span, Tone, Words, faint, in_rows, line, strong
from core.views.platform_lines import overview_marks, platform_blind
from core.views.service_line import (
    ServiceStatus,
    incidents_of,
    running,
    service_line,
    service_status,
    statuses_of,
    use,
    worst,
)
from core.views.view_context import ViewContext

STACKS_SHOWN = 30
TROUBLES_SHOWN = 4


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A stack with the verdicts on its services."""

    stack: Stack
    statuses: list[ServiceStatus]
    mark: Line | None
    """The line about its deployment, where there is something to say."""

    @property
    def is_trouble(self) -> bool:
        return any(one.is_trouble for one in self.statuses)

    @property
    def is_first(self) -> bool:
        """Somebody should look at it: it comes before those that are well."""
        return self.is_trouble or (self.mark is not None and self.mark.tone is Tone.BAD)

    @property
    def count(self) -> str:
        return f"{running(self.stack.services)}/{len(self.stack.services)}"


async def status_overview(view: ViewContext, *, is_frozen: bool) -> Card:
    """Everything at a glance: hosts that are not seen, then each stack, those in trouble first."""
    marks = await overview_marks(view)
    rows = [
        _Row(stack=one, statuses=statuses_of(one.services), mark=marks.get(one.name))
        for one in sorted(view.inventory.stacks(), key=lambda one: one.name)
    ]
    rows.sort(key=lambda row: not row.is_first)
    alone = [one for one in view.inventory.services() if one.stack is None]
    blocks: list[Block] = [_headline(view, rows, alone), *_hosts(view.inventory), *_broken_watch(view)]
    blocks += _stacks(view, rows)
    if alone:
        blocks += [Gap(), line(strong(text("status.alone")))]
        blocks += [service_line(view, one) for one in alone[:STACKS_SHOWN]]
    if is_frozen:
        blocks += [Gap(), line(strong(text("status.frozen")), tone=Tone.FROZEN)]
    return Card(blocks=tuple(blocks), buttons=_buttons(view, rows))


def _headline(view: ViewContext, rows: list[_Row], alone: list[Service]) -> Line:
    inventory = view.inventory
    if not inventory.containers and not inventory.managed:
        return line(strong(text("status.nothing")), tone=Tone.UNKNOWN)
    statuses = [*(one for row in rows for one in row.statuses), *statuses_of(tuple(alone))]
    sick, count = sum(one.is_trouble for one in statuses), len(statuses)
    is_blind = any(not host.is_reachable for host in inventory.hosts)
    incidents = len(view.open_incidents())
    if sick or incidents or is_blind:
        title = text("status.trouble", sick=sick, count=count) if sick else text("status.watched", count=count)
        spans: list[Words | Span] = [strong(title)]
        if incidents:
            spans += [" · ", text("status.incidents", count=incidents)]
        return line(*spans, tone=Tone.CRITICAL if sick or is_blind else Tone.WARNING)
    return line(strong(text("status.well", count=count, stacks=len(rows))), tone=Tone.WELL)


def _hosts(inventory: Inventory) -> Iterator[Block]:
    for host in inventory.hosts:
        if not host.is_reachable and host.is_platform:
            yield line(platform_blind(host), tone=Tone.CRITICAL)
        elif not host.is_reachable:
            problem = host.message or host.problem.split("\n")[0][:200]
            yield line(text("status.blind", host=host.name, problem=problem), tone=Tone.CRITICAL)
        elif host.is_simulated:
            yield line(strong(text("card.simulated")), " · ", text("status.simulated", host=host.name))
    yield Gap()


def _broken_watch(view: ViewContext) -> list[Block]:
    """A detector that fails leaves trouble unseen, whoever looks: all that is said below may be too good."""
    broken = [one for one in view.firing if one.kind == AlertKind.DETECTOR_FAILED]
    return [*(line(one.message, tone=Tone.WARNING) for one in broken), *([Gap()] if broken else [])]


def _stacks(view: ViewContext, rows: list[_Row]) -> Iterator[Block]:
    with_host = sum(not host.is_platform for host in view.inventory.hosts) > 1
    for row in rows[:STACKS_SHOWN]:
        yield from _stack_lines(view, row, with_host=with_host)
        if row.mark is not None:
            yield row.mark
    if len(rows) > STACKS_SHOWN:
        rest = tuple(f"{row.stack.name} {row.count}" for row in rows[STACKS_SHOWN:])
        yield Folded(heading=text("status.more", count=len(rest)), lines=rest)


def _stack_lines(view: ViewContext, row: _Row, *, with_host: bool) -> Iterator[Block]:
    stack = row.stack
    spans: list[Words | Span] = [strong(stack.name)]
    if stack.services:
        spans.append(f"  {row.count}")
    used = use(view, tuple(container for one in stack.services for container in one.containers))
    if used:
        spans.append(faint(f"  {used}"))
    if with_host:
        spans.append(faint(f"  {stack.host}"))
    yield line(*spans, tone=worst(row.statuses))
    sick = [one for one in stack.services if service_status(one).is_trouble]
    for service in sick[:TROUBLES_SHOWN]:
        yield line(f"{service.name}: ", service_status(service).message, indent=True)
    if len(sick) > TROUBLES_SHOWN:
        yield line(f"+{len(sick) - TROUBLES_SHOWN}", indent=True)
    for incident in incidents_of(view, stack.name)[:TROUBLES_SHOWN]:
        state = text(f"incidents.state.{incident.state}")
        yield line(text("status.incident", id=incident.id, state=state), indent=True)


def _buttons(view: ViewContext, rows: list[_Row]) -> tuple[tuple[CardButton, ...], ...]:
    troubled = [row.stack.name for row in rows if row.is_trouble]
    return in_rows([view.button("services", name, name) for name in troubled[:6]], per_row=3)
