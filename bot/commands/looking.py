"""/status, /services, /health: how everything stands, from what is known already, without asking any engine."""

from __future__ import annotations

from collections.abc import Iterator

from bot.asking import Ask, Reply
from bot.commands.choosing import Choice, choices, refusal, which_target
from bot.commands.standing import Standing, incidents_of, standing, uptime, use, worst
from bot.commands.table import command
from core.actions import Role
from core.cards import Block, Button, Card, Folded, Gap, Line, Span, Tone, Words, faint, line, strong
from core.inventory import Container, Inventory, Service, Stack, Target
from core.wording import text

STACKS_SHOWN = 30
SERVICES_SHOWN = 60
TROUBLES_SHOWN = 4
OUTPUT_LIMIT = 600


@command("status", family="look", role=Role.VIEWER)
async def status(ask: Ask) -> Reply:
    """Everything at a glance, or one stack's services."""
    inventory = ask.face.inventory()
    if not ask.words.strip():
        return _overview(ask, inventory, is_frozen=await ask.face.changed.freeze() is not None)
    found = which_target(ask, ask.words)
    if isinstance(found, Card):
        return found
    if isinstance(found, Stack):
        return _services_card(ask, found)
    return _health_card(ask, found)


@command("services", family="look", role=Role.VIEWER)
async def services(ask: Ask) -> Reply:
    """A stack's services with state, health, restarts, image and uptime."""
    found = which_target(ask, ask.words, stacks_only=True)
    if isinstance(found, Card):
        return found
    return _services_card(ask, found) if isinstance(found, Stack) else _health_card(ask, found)


@command("health", family="look", role=Role.VIEWER)
async def health(ask: Ask) -> Reply:
    """Health with its reason: what the last probes said."""
    found = which_target(ask, ask.words)
    return found if isinstance(found, Card) else _health_card(ask, found)


def _overview(ask: Ask, inventory: Inventory, *, is_frozen: bool) -> Card:
    visible = [one for one in inventory.stacks() if ask.may(Role.VIEWER, one.name)]
    alone = [one for one in inventory.services() if one.stack is None and ask.may(Role.VIEWER, None)]
    rows = [(stack, _standings(stack.services)) for stack in visible]
    sick = sum(one.is_trouble for _, standings in rows for one in standings)
    sick += sum(standing(one).is_trouble for one in alone)
    count = sum(len(standings) for _, standings in rows) + len(alone)
    blocks: list[Block] = [_headline(ask, inventory, sick, count)]
    blocks += _hosts(inventory)
    many_hosts = len(inventory.hosts) > 1
    rows.sort(key=lambda row: (not any(one.is_trouble for one in row[1]), row[0].name))
    for stack, standings in rows[:STACKS_SHOWN]:
        blocks += _stack_lines(ask, stack, standings, with_host=many_hosts)
    if len(rows) > STACKS_SHOWN:
        rest = tuple(
            f"{stack.name} {_running(stack.services)}/{len(stack.services)}" for stack, _ in rows[STACKS_SHOWN:]
        )
        blocks.append(Folded(heading=text("status.more", count=len(rest)), lines=rest))
    if alone:
        blocks.append(Gap())
        blocks.append(line(strong(text("status.alone"))))
        blocks += [_service_line(ask, one) for one in alone[:STACKS_SHOWN]]
    if is_frozen:
        blocks += [Gap(), line(strong(text("status.frozen")), tone=Tone.FROZEN)]
    troubled = [stack for stack, standings in rows if any(one.is_trouble for one in standings)]
    return Card(blocks=tuple(blocks), buttons=_stack_buttons(ask, troubled))


def _headline(ask: Ask, inventory: Inventory, sick: int, count: int) -> Line:
    if not inventory.containers:
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
        if not host.is_reachable:
            problem = host.problem.split("\n")[0][:200]
            yield line(text("status.blind", host=host.name, problem=problem), tone=Tone.CRITICAL)
        elif host.is_simulated:
            yield line(strong(text("card.simulated")), " · ", text("status.simulated", host=host.name))
    yield Gap()


def _stack_lines(ask: Ask, stack: Stack, standings: list[Standing], *, with_host: bool) -> Iterator[Block]:
    containers = tuple(container for one in stack.services for container in one.containers)
    spans: list[Words | Span] = [strong(stack.name), f"  {_running(stack.services)}/{len(stack.services)}"]
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


def _stack_buttons(ask: Ask, troubled: list[Stack]) -> tuple[tuple[Button, ...], ...]:
    options = [Choice(label=one.name, words=one.name) for one in troubled[:6]]
    return choices(ask, "", options, command="services", per_row=3).buttons


def _services_card(ask: Ask, stack: Stack) -> Card:
    if not ask.may(Role.VIEWER, stack.name):
        return refusal(ask, Role.VIEWER)
    standings = _standings(stack.services)
    used = use(ask, tuple(container for one in stack.services for container in one.containers))
    title: list[Words | Span] = [strong(stack.name), f"  {_running(stack.services)}/{len(stack.services)}"]
    title += [faint(f"  {used}")] if used else []
    blocks: list[Block] = [line(*title, tone=worst(standings)), Gap()]
    for service in stack.services[:SERVICES_SHOWN]:
        blocks.append(_service_line(ask, service))
        blocks.append(line(faint(_particulars(ask, service)), indent=True))
    for incident in incidents_of(ask, stack.name):
        state = text(f"incidents.state.{incident.state}")
        blocks.append(line(text("status.incident", id=incident.id, state=state), tone=Tone.WATCH))
    sick = [one for one, how in zip(stack.services, standings, strict=True) if how.is_trouble]
    options = [Choice(label=text("services.logs", name=one.name), words=one.title) for one in sick[:6]]
    return Card(blocks=tuple(blocks), buttons=choices(ask, "", options, command="logs").buttons)


def _service_line(ask: Ask, service: Service) -> Line:
    how = standing(service)
    spans: list[Words | Span] = [strong(service.name), "  ", how.says]
    if len(service.containers) > 1:
        running = sum(one.is_running for one in service.containers)
        spans.append(f" {running}/{len(service.containers)}")
    used = use(ask, service.containers)
    if used:
        spans.append(faint(f"  {used}"))
    return line(*spans, tone=how.tone)


def _particulars(ask: Ask, service: Service) -> str:
    first = service.containers[0]
    parts = [_image(first.image), uptime(ask, first)]
    if first.restart_count:
        parts.append(f"↻ {first.restart_count}")
    return " · ".join(part for part in parts if part)


def _image(image: str) -> str:
    """Registry and digest left out: what one recognises on a phone."""
    return image.split("@", 1)[0].rsplit("/", 1)[-1][:40]


def _health_card(ask: Ask, target: Target) -> Card:
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
    return Card(blocks=tuple(blocks))


def _reasons(ask: Ask, container: Container, *, is_alone: bool) -> Iterator[Block]:
    if container.error:
        yield line(text("health.engine_says", problem=container.error[:OUTPUT_LIMIT]), indent=True)
    if is_alone:
        used = use(ask, (container,))
        up = uptime(ask, container)
        facts = [container.name, _image(container.image), up, used]
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


def _standings(services: tuple[Service, ...]) -> list[Standing]:
    return [standing(one) for one in services]


def _running(services: tuple[Service, ...]) -> int:
    return sum(all(container.is_running for container in one.containers) for one in services)
