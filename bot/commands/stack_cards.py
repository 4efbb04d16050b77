"""Cards about one stack or service: its services with state and image, and health with its reason."""

from __future__ import annotations

from collections.abc import Iterator

from bot.command_context import CommandContext
from bot.commands.platform_lines import health_blocks, known_of, managed_blocks
from bot.commands.platform_stack import blind_line, managed_of
from bot.commands.service_status import ServiceStatus, incidents_of, standing, uptime, use, worst
from bot.commands.target_choice import ReplyOption, choices, refusal, side_by_side
from core.actions.catalog import Role
from core.deployments.platform import ManagedKind, ManagedResource
from core.deployments.versions import short_image
from core.monitoring.inventory import Container, Service, Stack, Target
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

SERVICES_SHOWN = 60
OUTPUT_LIMIT = 600


async def services_card(ask: CommandContext, stack: Stack) -> Card:
    """A stack: what Dokploy knows of it, then its services."""
    if not ask.may(Role.VIEWER, stack.name):
        return refusal(ask, Role.VIEWER)
    standings = standings_of(stack.services)
    used = use(ask, tuple(container for one in stack.services for container in one.containers))
    title: list[Words | Span] = [strong(stack.name), *_count(stack.services)]
    title += [faint(f"  {used}")] if used else []
    blocks: list[Block] = [line(*title, tone=worst(standings))]
    managed = managed_of(ask, stack)
    if managed is not None:
        blocks += [one for one in (blind_line(ask),) if one is not None]
        blocks += managed_blocks(ask, await known_of(ask, managed))
    if not stack.services and (managed is None or managed.last_deployment is not None):
        blocks.append(line(text("services.no_containers"), tone=Tone.OFF))
    blocks.append(Gap())
    for service in stack.services[:SERVICES_SHOWN]:
        blocks.append(service_line(ask, service))
        blocks.append(line(faint(_particulars(ask, service)), indent=True))
    for incident in incidents_of(ask, stack.name):
        state = text(f"incidents.state.{incident.state}")
        blocks.append(line(text("status.incident", id=incident.id, state=state), tone=Tone.WATCH))
    sick = [one for one, how in zip(stack.services, standings, strict=True) if how.is_trouble]
    options = [ReplyOption(label=text("services.logs", name=one.name), words=one.title) for one in sick[:6]]
    buttons = choices(ask, "", options, command="logs").buttons
    return Card(blocks=tuple(blocks), buttons=(*buttons, *_managed_buttons(ask, managed)))


def _managed_buttons(ask: CommandContext, managed: ManagedResource | None) -> tuple[tuple[CardButton, ...], ...]:
    """Deploy it, and look at how the last deployment went and what it is made of."""
    if managed is None or managed.kind is not ManagedKind.COMPOSE:
        return ()
    wanted = ["deploy"] if ask.may(Role.OPERATOR, managed.name) else []
    wanted += ["deploylog"] if managed.last_deployment is not None else []
    wanted.append("compose")
    return (side_by_side(ask, [(one, text(f"managed.button.{one}"), managed.name) for one in wanted]),)


def _count(services: tuple[Service, ...]) -> tuple[str, ...]:
    return (f"  {running(services)}/{len(services)}",) if services else ()


def service_line(ask: CommandContext, service: Service, *, full_name: bool = False) -> Line:
    """A service with its state and use."""
    how = standing(service)
    spans: list[Words | Span] = [strong(service.title if full_name else service.name), "  ", how.says]
    if len(service.containers) > 1:
        up = sum(one.is_running for one in service.containers)
        spans.append(f" {up}/{len(service.containers)}")
    used = use(ask, service.containers)
    if used:
        spans.append(faint(f"  {used}"))
    return line(*spans, tone=how.tone)


def _particulars(ask: CommandContext, service: Service) -> str:
    first = service.containers[0]
    parts = [short_image(first.image), uptime(ask, first)]
    if first.restart_count:
        parts.append(f"↻ {first.restart_count}")
    return " · ".join(part for part in parts if part)


async def health_card(ask: CommandContext, target: Target) -> Card:
    """Each service with the reason why it is not well; and what Dokploy has to complain of."""
    members = target.services if isinstance(target, Stack) else (target,)
    stack = target.name if isinstance(target, Stack) else target.stack
    if not ask.may(Role.VIEWER, stack):
        return refusal(ask, Role.VIEWER)
    blocks: list[Block] = []
    ordered = sorted(members, key=lambda one: (not standing(one).is_trouble, one.name))
    for service in ordered[:SERVICES_SHOWN]:
        name = service.title if isinstance(target, Service) else service.name
        blocks.append(line(strong(name), "  ", standing(service).says, tone=standing(service).tone))
        for container in service.containers:
            blocks += _reasons(ask, container, is_alone=isinstance(target, Service))
    if not members:
        blocks.append(line(strong(stack or ""), "  ", text("services.no_containers"), tone=Tone.OFF))
    managed = managed_of(ask, target) if isinstance(target, Stack) else None
    if managed is not None:
        blocks += [one for one in (blind_line(ask),) if one is not None]
        blocks += health_blocks(ask, await known_of(ask, managed))
    return Card(blocks=tuple(blocks))


def _reasons(ask: CommandContext, container: Container, *, is_alone: bool) -> Iterator[Block]:
    if container.error:
        yield line(text("health.engine_says", problem=container.error[:OUTPUT_LIMIT]), indent=True)
    if is_alone:
        used = use(ask, (container,))
        up = uptime(ask, container)
        facts = [container.name, short_image(container.image), up, used]
        yield line(faint(" · ".join(fact for fact in facts if fact)), indent=True)
        yield line(
            faint(text("health.restarts", count=container.restart_count, policy=container.restart_policy)), indent=True
        )
    if not container.health_log:
        if is_alone and container.is_running:
            yield line(text("health.no_check"), indent=True)
        return
    last = container.health_log[-1]
    if last.exit_code != 0:
        says = ask.face.redact(last.output.strip())[:OUTPUT_LIMIT] or "–"
        yield Folded(heading=text("health.probe", code=last.exit_code), lines=tuple(says.splitlines()), is_code=True)


def standings_of(services: tuple[Service, ...]) -> list[ServiceStatus]:
    """How each stands."""
    return [standing(one) for one in services]


def running(services: tuple[Service, ...]) -> int:
    """How many of them run wholly."""
    return sum(all(container.is_running for container in one.containers) for one in services)
