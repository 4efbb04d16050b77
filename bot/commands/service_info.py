"""/info: the details of one service."""

from __future__ import annotations

from collections.abc import Iterator

from bot.arguments.target_choice import side_by_side, which_target
from bot.command_context import CommandContext, CommandReply
from bot.commands.command_table import command
from core.actions.catalog import Role
from core.deployments.deploys import StackVersion
from core.deployments.platform import ManagedResource
from core.deployments.versions import short_image
from core.monitoring.inventory import Container, Service
from core.text import text
from core.views.cards import Block, Card, CardButton, Folded, Gap, Span, Tone, Words, code, faint, line, refusal
from core.views.platform_lines import domain_line, known_of, last_line, managed_of
from core.views.service_line import incidents_of, memory, service_line, uptime

MOUNTS_SHOWN = 12
PATH_SHOWN = 48


@command("info", family="look", role=Role.VIEWER)
async def info(ask: CommandContext) -> CommandReply:
    """Show image, ports, volumes, networks, limits, domains and last deployment of a service."""
    found = which_target(ask, ask.words, services_only=True)
    if isinstance(found, Card):
        return found
    assert isinstance(found, Service)
    if not ask.may(Role.VIEWER, found.stack):
        return refusal(Role.VIEWER)
    first, managed = found.containers[0], managed_of(ask.view, found)
    version = await ask.face.versions.last_good(managed.id) if managed is not None else None
    blocks: list[Block] = [service_line(ask.view, found, full_name=True), Gap()]
    blocks += _image(first, version)
    blocks += _reach(ask, found, managed)
    blocks += _needs(first)
    blocks += _bounds(first)
    if managed is not None:
        blocks.append(last_line(ask.view, await known_of(ask.view, managed)))
    for incident in incidents_of(ask.view, found.stack, found.name):
        state = text(f"incidents.state.{incident.state}")
        blocks.append(line(text("status.incident", id=incident.id, state=state), tone=Tone.WATCH))
    blocks += _places(ask, found)
    return Card(blocks=tuple(blocks), buttons=(_buttons(ask, found, managed),))


def _row(label: str, *pieces: Words | Span) -> Block:
    return line(faint(text(f"info.{label}")), " ", *pieces)


def _image(container: Container, version: StackVersion | None) -> Iterator[Block]:
    yield _row("image", code(container.image.split("@", 1)[0]))
    digest = version.image_ids.get(container.service, "") if version is not None else ""
    named = digest.rpartition("@")[2] if "@" in digest else ""
    yield _row("digest", code((named or container.image_id).removeprefix("sha256:")[:12] or "–"))


def _reach(ask: CommandContext, service: Service, managed: ManagedResource | None) -> Iterator[Block]:
    container = service.containers[0]
    if container.ports:
        yield _row("ports", ", ".join(_port(one) for one in dict.fromkeys(container.ports)))
    view = ask.face.platform()
    for domain in managed.domains if managed is not None else ():
        if domain.is_enabled and domain.service == service.name:
            yield domain_line(ask.view, domain, view.domains.get(domain.id) if view is not None else None)
    if container.networks:
        yield _row("networks", ", ".join(container.networks))


def _port(spelled: str) -> str:
    """Shorten `0.0.0.0:8080->80/tcp` to `8080 → 80/tcp`; a specific address stays."""
    outside, arrow, inside = spelled.partition("->")
    if not arrow:
        return spelled
    for everywhere in ("0.0.0.0:", ":::", "[::]:"):
        outside = outside.removeprefix(everywhere)
    return f"{outside} → {inside}"


def _needs(container: Container) -> Iterator[Block]:
    if container.depends_on:
        yield _row("needs", ", ".join(one.service for one in container.depends_on))


def _bounds(container: Container) -> Iterator[Block]:
    limit: Words = text("info.no_limit")
    if container.memory_limit_bytes:
        limit = memory(container.memory_limit_bytes)
    yield _row("memory", limit)
    yield _row("cpu", text("info.cores", count=container.cpu_limit) if container.cpu_limit else text("info.no_limit"))
    pieces: list[Words | Span] = [container.restart_policy]
    if container.restart_count:
        pieces += [faint(" · "), text("info.restarted", count=container.restart_count)]
    yield _row("policy", *pieces)


def _places(ask: CommandContext, service: Service) -> Iterator[Block]:
    """Containers and mounts, folded: long and seldom needed."""
    lines: list[Words] = []
    for one in service.containers:
        up = uptime(ask.view, one)
        lines.append(" · ".join(part for part in (one.ref, one.id[:12], short_image(one.image), up) if part))
    lines += [f"{_short(one)}" for one in service.containers[0].mounts[:MOUNTS_SHOWN]]
    yield Folded(heading=text("info.places"), lines=tuple(lines))


def _short(mount: str) -> str:
    """Shorten a mount: the volume's name or path, cut in its middle, and the mount point."""
    source, _, target = mount.rpartition(":")
    if len(source) > PATH_SHOWN:
        half = PATH_SHOWN // 2
        source = f"{source[:half]}…{source[-half:]}"
    return f"{source} → {target}"


def _buttons(ask: CommandContext, service: Service, managed: ManagedResource | None) -> tuple[CardButton, ...]:
    wanted: list[tuple[str, Words, str]] = [(one, text(f"button.{one}"), service.title) for one in ("logs", "metrics")]
    if managed is not None:
        wanted.append(("compose", text("managed.button.compose"), managed.name))
    return side_by_side(ask, wanted)
