"""/status, /services, /health: how everything stands, from what is known already, without asking any engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bot.command_context import CommandContext, CommandReply
from bot.commands.command_table import command
from bot.commands.platform_lines import overview_marks
from bot.commands.platform_stack import platform_blind
from bot.commands.service_status import ServiceStatus, incidents_of, standing, use, worst
from bot.commands.stack_cards import health_card, running, service_line, services_card, standings_of
from bot.commands.target_choice import ReplyOption, choices, which_target
from core.actions.catalog import Role
from core.incidents.alert_kinds import AlertKind
from core.monitoring.inventory import Inventory, Stack
from core.text import text
from core.views.cards import (
    Block,
    Card,
    CardButton,
    Folded,
    Gap,
    Line,
    Span,
    Tone,
    Words,
    faint,
    line,
    strong,
)

STACKS_SHOWN = 30
TROUBLES_SHOWN = 4


@command("status", family="look", role=Role.VIEWER)
async def status(ask: CommandContext) -> CommandReply:
    """Everything at a glance, or one stack's services."""
    inventory = ask.face.inventory()
    if not ask.words.strip():
        known = await overview_marks(ask, inventory)
        return _overview(ask, inventory, known, is_frozen=await ask.face.changed.freeze() is not None)
    found = which_target(ask, ask.words)
    if isinstance(found, Card):
        return found
    if isinstance(found, Stack):
        return await services_card(ask, found)
    return await health_card(ask, found)


@command("services", family="look", role=Role.VIEWER)
async def services(ask: CommandContext) -> CommandReply:
    """A stack's services with state, health, restarts, image and uptime."""
    found = which_target(ask, ask.words, stacks_only=True)
    if isinstance(found, Card):
        return found
    return await (services_card(ask, found) if isinstance(found, Stack) else health_card(ask, found))


@command("health", family="look", role=Role.VIEWER)
async def health(ask: CommandContext) -> CommandReply:
    """Health with its reason: what the last probes said."""
    found = which_target(ask, ask.words)
    return found if isinstance(found, Card) else await health_card(ask, found)


def _overview(ask: CommandContext, inventory: Inventory, marks: Mapping[str, Line], *, is_frozen: bool) -> Card:
    visible = [one for one in inventory.stacks() if ask.may(Role.VIEWER, one.name)]
    alone = [one for one in inventory.services() if one.stack is None and ask.may(Role.VIEWER, None)]
    rows = [(stack, standings_of(stack.services)) for stack in visible]
    sick = sum(one.is_trouble for _, standings in rows for one in standings)
    sick += sum(standing(one).is_trouble for one in alone)
    count = sum(len(standings) for _, standings in rows) + len(alone)
    blocks: list[Block] = [_headline(ask, inventory, sick, count)]
    blocks += _hosts(inventory)
    blocks += _broken_watch(ask)
    many_hosts = sum(not host.is_platform for host in inventory.hosts) > 1
    failed = {name for name, mark in marks.items() if mark.tone is Tone.BAD}
    rows.sort(key=lambda row: (not (any(one.is_trouble for one in row[1]) or row[0].name in failed), row[0].name))
    for stack, standings in rows[:STACKS_SHOWN]:
        blocks += _stack_lines(ask, stack, standings, with_host=many_hosts)
        blocks += [marks[stack.name]] if stack.name in marks else []
    if len(rows) > STACKS_SHOWN:
        rest = tuple(
            f"{stack.name} {running(stack.services)}/{len(stack.services)}" for stack, _ in rows[STACKS_SHOWN:]
        )
        blocks.append(Folded(heading=text("status.more", count=len(rest)), lines=rest))
    if alone:
        blocks.append(Gap())
        blocks.append(line(strong(text("status.alone"))))
        blocks += [service_line(ask, one) for one in alone[:STACKS_SHOWN]]
    if is_frozen:
        blocks += [Gap(), line(strong(text("status.frozen")), tone=Tone.FROZEN)]
    troubled = [stack for stack, standings in rows if any(one.is_trouble for one in standings)]
    return Card(blocks=tuple(blocks), buttons=_stack_buttons(ask, troubled))


def _headline(ask: CommandContext, inventory: Inventory, sick: int, count: int) -> Line:
    if not inventory.containers and not inventory.managed:
        return line(strong(text("status.nothing")), tone=Tone.UNKNOWN)
    blind = [host for host in inventory.hosts if not host.is_reachable]
    incidents = len(ask.face.desk.open_ones())
    if sick or incidents or blind:
        title = text("status.trouble", sick=sick, count=count) if sick else text("status.watched", count=count)
        spans: list[Words | Span] = [strong(title)]
        if incidents:
            spans += [" · ", text("status.incidents", count=incidents)]
        return line(*spans, tone=Tone.CRITICAL if sick or blind else Tone.WARNING)
    return line(strong(text("status.well", count=count, stacks=len(inventory.stacks()))), tone=Tone.WELL)


def _hosts(inventory: Inventory) -> Iterator[Block]:
    for host in inventory.hosts:
        if not host.is_reachable and host.is_platform:
            yield line(platform_blind(host), tone=Tone.CRITICAL)
        elif not host.is_reachable:
            problem = host.says or host.problem.split("\n")[0][:200]
            yield line(text("status.blind", host=host.name, problem=problem), tone=Tone.CRITICAL)
        elif host.is_simulated:
            yield line(strong(text("card.simulated")), " · ", text("status.simulated", host=host.name))
    yield Gap()


def _broken_watch(ask: CommandContext) -> list[Block]:
    """A detector that fails leaves trouble unseen: all that is said below may be too good."""
    broken = [one for one in ask.face.desk.open_ones() if one.kind == AlertKind.DETECTOR_FAILED]
    return [*(line(one.says, tone=Tone.WARNING) for one in broken), *([Gap()] if broken else [])]


def _stack_lines(
    ask: CommandContext, stack: Stack, standings: list[ServiceStatus], *, with_host: bool
) -> Iterator[Block]:
    containers = tuple(container for one in stack.services for container in one.containers)
    spans: list[Words | Span] = [strong(stack.name)]
    if stack.services:
        spans.append(f"  {running(stack.services)}/{len(stack.services)}")
    used = use(ask, containers)
    if used:
        spans.append(faint(f"  {used}"))
    if with_host:
        spans.append(faint(f"  {stack.host}"))
    yield line(*spans, tone=worst(standings))
    sick = [(one, how) for one, how in zip(stack.services, standings, strict=True) if how.is_trouble]
    for service, how in sick[:TROUBLES_SHOWN]:
        yield line(f"{service.name}: ", how.says, indent=True)
    if len(sick) > TROUBLES_SHOWN:
        yield line(f"+{len(sick) - TROUBLES_SHOWN}", indent=True)
    for incident in incidents_of(ask, stack.name)[:TROUBLES_SHOWN]:
        state = text(f"incidents.state.{incident.state}")
        yield line(text("status.incident", id=incident.id, state=state), indent=True)


def _stack_buttons(ask: CommandContext, troubled: list[Stack]) -> tuple[tuple[CardButton, ...], ...]:
    options = [ReplyOption(label=one.name, words=one.name) for one in troubled[:6]]
    return choices(ask, "", options, command="services", per_row=3).buttons
