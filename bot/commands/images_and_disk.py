"""/updates, /ports, /disk, /prune: what is outdated, who holds which port, what fills the disk, and freeing it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from bot.command_context import CommandContext, CommandReply, Later
from bot.commands.command_table import command
from bot.commands.containers import submit
from bot.commands.platform_stack import look
from bot.commands.service_status import MIB, memory
from bot.commands.target_choice import ReplyOption, choices, refusal, side_by_side, which_target
from core.actions.calls import Call
from core.actions.catalog import JsonObject, Role
from core.deployments.platform import ManagedKind
from core.deployments.versions import short_image
from core.monitoring.inventory import Service, Stack, Target
from core.text import Text, text
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
    line,
    said,
    strong,
)

NEWER_SHOWN = 20
USERS_SHOWN = 3
PORTS_SHOWN = 30
TROUBLES_SHOWN = 8
LARGEST_SHOWN = 8
HOSTS_SHOWN = 8
BUTTONS_SHOWN = 6
WORTH_IT_MB = 1.0
PRUNE = "docker.prune"

# -- newer images ------------------------------------------------------------------------------------------------------


@command("updates", family="look", role=Role.VIEWER)
async def updates(ask: CommandContext) -> CommandReply:
    """Show running images with a newer version under their tag."""
    found: Target | None = None
    if ask.words.strip():
        chosen = which_target(ask, ask.words)
        if isinstance(chosen, Card):
            return chosen
        found = chosen
    return Later(work=lambda: _updates(ask, found))


async def _updates(ask: CommandContext, target: Target | None) -> CommandReply:
    params: JsonObject = {}
    if target is not None:
        stack = target.name if isinstance(target, Stack) else target.stack
        params = {"host": target.host, **({"stack": stack} if stack else {})}
        params |= {"service": target.name} if isinstance(target, Service) else {}
    result = await look(ask, "docker.updates", params)
    if isinstance(result, Card):
        return result
    rows = [one for one in _objects(result.data, "images") if _may_see(ask, one)]
    newer = [one for one in rows if one.get("is_newer") is True]
    untold = [one for one in rows if one.get("is_newer") is None]
    key = "newer.some" if newer else "newer.none" if rows else "newer.nothing"
    blocks: list[Block] = [
        line(strong(text(key, count=len(newer), of=len(rows))), tone=Tone.WARNING if newer else Tone.WELL)
    ]
    blocks += [_newer_line(ask, one) for one in newer[:NEWER_SHOWN]]
    if untold:
        says = tuple(_untold_line(ask, one) for one in untold)
        blocks.append(Folded(heading=text("newer.untold", count=len(untold)), lines=says))
    away = [str(one) for one in _list(result.data, "unreachable_hosts")]
    blocks += [line(text("newer.away", hosts=", ".join(away)), tone=Tone.CRITICAL)] if away else []
    blocks.append(line(faint(text("newer.means"))))
    return Card(blocks=tuple(blocks), buttons=tuple(_update_buttons(ask, newer)))


def _newer_line(ask: CommandContext, one: JsonObject) -> Block:
    pieces: list[Words | Span] = [strong(_users(ask, one)), "  ", short_image(str(one.get("image")))]
    age = one.get("age_days")
    if isinstance(age, int | float):
        pieces.append(faint(text("newer.age", days=round(age))))
    if one.get("is_fetched"):
        pieces.append(faint(text("newer.fetched")))
    return line(*pieces, indent=True)


def _untold_line(ask: CommandContext, one: JsonObject) -> Words:
    why = one.get("why")
    reason = text(f"docker.untold.{why}") if isinstance(why, str) and why else "–"
    return text("newer.untold_line", who=_users(ask, one), image=short_image(str(one.get("image"))), why=reason)


def _users(ask: CommandContext, one: JsonObject) -> str:
    """Services that run the image, as far as the person may see them."""
    found = (ask.face.inventory().container(str(ref)) for ref in _list(one, "containers"))
    seen = [container for container in found if container is not None and ask.may(Role.VIEWER, container.stack)]
    names = dict.fromkeys(each.title for each in seen)
    shown = ", ".join(list(names)[:USERS_SHOWN]) or "–"
    return f"{shown} +{len(names) - USERS_SHOWN}" if len(names) > USERS_SHOWN else shown


def _may_see(ask: CommandContext, one: JsonObject) -> bool:
    stacks = [str(stack) for stack in _list(one, "stacks")]
    return any(ask.may(Role.VIEWER, stack) for stack in stacks) or ask.may(Role.VIEWER, None)


def _update_buttons(ask: CommandContext, newer: Sequence[JsonObject]) -> Iterator[tuple[CardButton, ...]]:
    """Update buttons, one for each stack that Dokploy can redeploy."""
    inventory = ask.face.inventory()
    stacks = dict.fromkeys(str(stack) for one in newer for stack in _list(one, "stacks"))
    for name in list(stacks)[:BUTTONS_SHOWN]:
        managed = inventory.managed_one(name)
        if managed is not None and managed.kind is ManagedKind.COMPOSE and ask.may(Role.OPERATOR, name):
            yield side_by_side(ask, [("update", text("newer.button", stack=name), name)])


# -- ports -------------------------------------------------------------------------------------------------------------


@command("ports", family="look", role=Role.VIEWER)
async def ports(ask: CommandContext) -> CommandReply:
    """Show published ports and their containers: conflicts first, then databases open to everybody."""
    return Later(work=lambda: _ports(ask))


async def _ports(ask: CommandContext) -> CommandReply:
    result = await look(ask, "docker.ports", {})
    if isinstance(result, Card):
        return result
    wanted = ask.words.strip().casefold()
    rows = [one for one in _objects(result.data, "ports") if _may_see_port(ask, one) and _fits(one, wanted)]
    shown = {str(one.get("container")) for one in rows}
    if not rows:
        return said(text("ports.none_of", words=wanted[:60]) if wanted else text("ports.none"), Tone.OFF)
    blocks: list[Block] = [line(strong(text("ports.title", count=len(rows))))]
    for one in _objects(result.data, "conflicts")[:TROUBLES_SHOWN]:
        holders = [str(name) for name in _list(one, "containers")]
        if shown & set(holders):
            port = f"{one.get('port')}/{one.get('protocol')}"
            blocks.append(line(text("ports.conflict", port=port, who=" · ".join(holders)), tone=Tone.CRITICAL))
    for one in _objects(result.data, "exposed")[:TROUBLES_SHOWN]:
        if one.get("container") in shown:
            values = {name: str(one.get(name)) for name in ("program", "port", "container")}
            blocks.append(line(Text("ports.exposed", dict(values)), tone=Tone.WARNING))
    hosts = dict.fromkeys(str(one.get("container")).partition("/")[0] for one in rows)
    for host in hosts:
        own = [_port_line(one) for one in rows if str(one.get("container")).startswith(f"{host}/")]
        heading = host if len(hosts) > 1 or len(own) > PORTS_SHOWN else None
        blocks += [Gap(), line(strong(heading))] if heading else [Gap()]
        blocks += own[:PORTS_SHOWN]
        rest = own[PORTS_SHOWN:]
        if rest:
            blocks.append(line(faint(text("ports.more", count=len(rest)))))
    return Card(blocks=tuple(blocks))


def _port_line(one: JsonObject) -> Block:
    address = str(one.get("address"))
    where = "" if address in ("0.0.0.0", "::", "") else f"{address}:"
    stack = one.get("stack")
    who = f"{stack}/{one.get('service')}" if stack else str(one.get("service"))
    protocol = "" if one.get("protocol") == "tcp" else f"/{one.get('protocol')}"
    pieces: list[Words | Span] = [strong(f"{where}{one.get('port') or '?'}{protocol}"), f" → {who}"]
    pieces.append(faint(f" :{one.get('inside')}"))
    if not one.get("is_open"):
        pieces.append(faint(text("ports.closed")))
    return line(*pieces)


def _may_see_port(ask: CommandContext, one: JsonObject) -> bool:
    stack = one.get("stack")
    return ask.may(Role.VIEWER, str(stack) if stack else None)


def _fits(one: JsonObject, wanted: str) -> bool:
    """Return whether a port matches, by number or by parts of a name."""
    if wanted.isdigit():
        return wanted in (str(one.get("port")), str(one.get("inside")))
    names = f"{one.get('container')} {one.get('stack')} {one.get('service')}".casefold()
    return all(word in names for word in wanted.split())


# -- disk --------------------------------------------------------------------------------------------------------------


@command("disk", family="look", role=Role.VIEWER)
async def disk(ask: CommandContext) -> CommandReply:
    """Show disk usage by kind, largest first, and how much a prune would free."""
    hosts = _hosts(ask, ask.words)
    if not hosts:
        return said(text("choose.nothing_known"), Tone.UNKNOWN)
    return Later(work=lambda: _disk(ask, hosts[:HOSTS_SHOWN]))


def _hosts(ask: CommandContext, words: str) -> list[str]:
    """Hosts whose names begin with the words; all hosts where none does."""
    known = [one.name for one in ask.face.inventory().hosts if not one.is_platform]
    named = [one for one in known if words.strip() and one.casefold().startswith(words.strip().casefold())]
    return named or known


async def _disk(ask: CommandContext, hosts: Sequence[str]) -> CommandReply:
    found = await asyncio.gather(*(look(ask, "docker.disk_usage", {"host": host}) for host in hosts))
    blocks: list[Block] = []
    buttons: list[tuple[CardButton, ...]] = []
    for host, result in zip(hosts, found, strict=True):
        blocks += [Gap()] if blocks else []
        if isinstance(result, Card):
            blocks += [line(strong(host)), *result.blocks]
            continue
        usage = result.data
        blocks += _usage(host, usage)
        if _reclaimable(usage) >= WORTH_IT_MB and ask.person.role is Role.ADMIN:
            label = text("space.button") if len(hosts) == 1 else text("space.button_host", host=host)
            buttons.append(side_by_side(ask, [("prune", label, host)]))
    return Card(blocks=tuple(blocks), buttons=tuple(buttons))


_PARTS = ("images", "volumes", "logs", "build_cache", "containers")


def _usage(host: str, usage: JsonObject) -> Iterator[Block]:
    sizes = {part: _mb(usage, f"{part}_mb") for part in _PARTS}
    total = sum(size or 0 for size in sizes.values())
    yield line(strong(host), "  ", text("space.total", size=_size(total)))
    for part, size in sorted(sizes.items(), key=lambda pair: -(pair[1] or 0)):
        if size is None:
            yield line(text(f"space.{part}"), " ", faint(text("space.not_seen")))
        elif size >= WORTH_IT_MB:
            free = _mb(usage, f"{part}_reclaimable_mb")
            unused = [faint(text("space.free", size=_size(free)))] if free else []
            yield line(strong(_size(size)), "  ", text(f"space.{part}"), *unused)
    largest = [
        text("space.one_of", what=text(f"space.{kind}"), name=str(one.get(key)), size=_size(_mb(one, "mb") or 0))
        for kind, name, key in (("volume", "largest_volumes", "name"), ("log", "largest_logs", "container"))
        for one in _objects(usage, name)[:LARGEST_SHOWN]
        if (_mb(one, "mb") or 0) >= WORTH_IT_MB
    ]
    if largest:
        yield Folded(heading=text("space.largest"), lines=tuple(largest))
    is_worth_it = _reclaimable(usage) >= WORTH_IT_MB
    yield line(text("space.would_free" if is_worth_it else "space.nothing", size=_size(_reclaimable(usage)), host=host))


def _reclaimable(usage: JsonObject) -> float:
    return (_mb(usage, "images_reclaimable_mb") or 0) + (_mb(usage, "build_cache_reclaimable_mb") or 0)


def _size(mb: float) -> str:
    return memory(mb * MIB)


@command("prune", family="act", role=Role.ADMIN, changes=True)
async def prune(ask: CommandContext) -> CommandReply:
    """Remove unused images and build cache after an approval with exact sizes; never a volume."""
    if not ask.may(Role.ADMIN, None):
        return refusal(ask, Role.ADMIN)
    hosts = _hosts(ask, ask.words)
    if not hosts or PRUNE not in ask.face.door.catalog:
        return said(text("choose.nothing_known"), Tone.UNKNOWN)
    if len(hosts) > 1:
        return choices(ask, text("space.which_host"), [ReplyOption(label=one, words=one) for one in hosts])
    return Later(work=lambda: _prune(ask, hosts[0]))


async def _prune(ask: CommandContext, host: str) -> CommandReply:
    call = Call(
        key=ask.key,
        action=PRUNE,
        params={"host": host},
        actor=ask.person.actor(None),
        says=text("space.prune", host=host),
        origin=ask.origin(),
    )
    usage = await look(ask, "docker.disk_usage", {"host": host})
    if not isinstance(usage, Card) and _reclaimable(usage.data) < WORTH_IT_MB:
        return said(text("space.nothing", host=host), Tone.GOOD)
    return await submit(ask, [call])


# -- plain JSON --------------------------------------------------------------------------------------------------------


def _list(data: JsonObject, name: str) -> list[object]:
    found = data.get(name)
    return list(found) if isinstance(found, list) else []


def _objects(data: JsonObject, name: str) -> list[JsonObject]:
    return [one for one in _list(data, name) if isinstance(one, dict)]


def _mb(data: JsonObject, name: str) -> float | None:
    found = data.get(name)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None
