"""Cards about one stack or service: its services with state and image, and health with its reason."""

from __future__ import annotations

from collections.abc import Iterator

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
    Span,
    Tone,
    Words,
    faint,
    in_rows,
    line,
    refusal,
    strong,
)
from core.views.platform_lines import blind_line, health_blocks, known_of, managed_blocks, managed_of
from core.views.service_line import incidents_of, running, service_line, service_status, statuses_of, uptime, use, worst
from core.views.view_context import ViewContext

SERVICES_SHOWN = 60
OUTPUT_LIMIT = 600


async def stack_card(view: ViewContext, stack: Stack) -> Card:
    """A stack: the platform's knowledge of it, then its services."""
    if not view.sees(stack.name):
        return refusal(Role.VIEWER)
    statuses = statuses_of(stack.services)
    used = use(view, tuple(container for one in stack.services for container in one.containers))
    title: list[Words | Span] = [strong(stack.name), *_count(stack.services)]
    title += [faint(f"  {used}")] if used else []
    blocks: list[Block] = [line(*title, tone=worst(statuses))]
    managed = managed_of(view, stack)
    if managed is not None:
        blocks += [one for one in (blind_line(view),) if one is not None]
        blocks += managed_blocks(view, await known_of(view, managed))
    if not stack.services and (managed is None or managed.last_deployment is not None):
        blocks.append(line(text("services.no_containers"), tone=Tone.OFF))
    blocks.append(Gap())
    for service in stack.services[:SERVICES_SHOWN]:
        blocks.append(service_line(view, service))
        blocks.append(line(faint(_particulars(view, service)), indent=True))
    for incident in incidents_of(view, stack.name):
        state = text(f"incidents.state.{incident.state}")
        blocks.append(line(text("status.incident", id=incident.id, state=state), tone=Tone.WATCH))
    sick = [one for one, how in zip(stack.services, statuses, strict=True) if how.is_trouble]
    logs = [view.button("logs", text("services.logs", name=one.name), one.title) for one in sick[:6]]
    return Card(blocks=tuple(blocks), buttons=(*in_rows(logs), *_managed_buttons(view, managed)))


def _managed_buttons(view: ViewContext, managed: ManagedResource | None) -> tuple[tuple[CardButton, ...], ...]:
    """Deploy it, and look at how the last deployment went and what it is made of."""
    if managed is None or managed.kind is not ManagedKind.COMPOSE:
        return ()
    wanted = ["deploy"] if view.may(Role.OPERATOR, managed.name) else []
    wanted += ["deploylog"] if managed.last_deployment is not None else []
    wanted.append("compose")
    return (tuple(view.button(one, text(f"managed.button.{one}"), managed.name) for one in wanted),)


def _count(services: tuple[Service, ...]) -> tuple[str, ...]:
    return (f"  {running(services)}/{len(services)}",) if services else ()


def _particulars(view: ViewContext, service: Service) -> str:
    first = service.containers[0]
    parts = [short_image(first.image), uptime(view, first)]
    if first.restart_count:
        parts.append(f"↻ {first.restart_count}")
    return " · ".join(part for part in parts if part)


async def health_card(view: ViewContext, target: Target) -> Card:
    """Each service with the reason why it is not well; and the complaints of the platform."""
    members = target.services if isinstance(target, Stack) else (target,)
    stack = target.name if isinstance(target, Stack) else target.stack
    if not view.sees(stack):
        return refusal(Role.VIEWER)
    blocks: list[Block] = []
    ordered = sorted(members, key=lambda one: (not service_status(one).is_trouble, one.name))
    for service in ordered[:SERVICES_SHOWN]:
        name = service.title if isinstance(target, Service) else service.name
        blocks.append(line(strong(name), "  ", service_status(service).message, tone=service_status(service).tone))
        for container in service.containers:
            blocks += _reasons(view, container, is_alone=isinstance(target, Service))
    if not members:
        blocks.append(line(strong(stack or ""), "  ", text("services.no_containers"), tone=Tone.OFF))
    managed = managed_of(view, target) if isinstance(target, Stack) else None
    if managed is not None:
        blocks += [one for one in (blind_line(view),) if one is not None]
        blocks += health_blocks(view, await known_of(view, managed))
    return Card(blocks=tuple(blocks))


def _reasons(view: ViewContext, container: Container, *, is_alone: bool) -> Iterator[Block]:
    if container.error:
        yield line(text("health.engine_says", problem=view.redact(container.error)[:OUTPUT_LIMIT]), indent=True)
    if is_alone:
        used = use(view, (container,))
        up = uptime(view, container)
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
        message = view.redact(last.output.strip())[:OUTPUT_LIMIT] or "–"
        yield Folded(heading=text("health.probe", code=last.exit_code), lines=tuple(message.splitlines()), is_code=True)
