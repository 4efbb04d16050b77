"""/ports, /disk, /prune: published ports, disk usage by kind, and freeing space."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from bot.arguments.platform_stack import look
from bot.arguments.target_choice import ReplyOption, choices, side_by_side
from bot.command_context import CommandContext, CommandReply, Later
from bot.commands.command_table import command
from bot.commands.containers import submit_calls
from bot.result_data import list_in, number_in, objects_in
from core.actions.calls import Call
from core.actions.catalog import JsonObject, Role
from core.text import Text, text
from core.views.cards import Block, Card, CardButton, Folded, Gap, Span, Tone, Words, faint, line, refusal, said, strong
from core.views.service_line import MIB, memory

PORTS_SHOWN = 30
TROUBLES_SHOWN = 8
LARGEST_SHOWN = 8
HOSTS_SHOWN = 8
WORTH_IT_MB = 1.0
PRUNE_ACTION = "docker.prune"

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
    rows = [one for one in objects_in(result.data, "ports") if _may_see_port(ask, one) and _fits(one, wanted)]
    shown = {str(one.get("container")) for one in rows}
    if not rows:
        return said(text("ports.none_of", words=wanted[:60]) if wanted else text("ports.none"), Tone.OFF)
    blocks: list[Block] = [line(strong(text("ports.title", count=len(rows))))]
    for one in objects_in(result.data, "conflicts")[:TROUBLES_SHOWN]:
        holders = [str(name) for name in list_in(one, "containers")]
        if shown & set(holders):
            port = f"{one.get('port')}/{one.get('protocol')}"
            blocks.append(line(text("ports.conflict", port=port, who=" · ".join(holders)), tone=Tone.CRITICAL))
    for one in objects_in(result.data, "exposed")[:TROUBLES_SHOWN]:
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
    sizes = {part: number_in(usage, f"{part}_mb") for part in _PARTS}
    total = sum(size or 0 for size in sizes.values())
    yield line(strong(host), "  ", text("space.total", size=_size(total)))
    for part, size in sorted(sizes.items(), key=lambda pair: -(pair[1] or 0)):
        if size is None:
            yield line(text(f"space.{part}"), " ", faint(text("space.not_seen")))
        elif size >= WORTH_IT_MB:
            free = number_in(usage, f"{part}_reclaimable_mb")
            unused = [faint(text("space.free", size=_size(free)))] if free else []
            yield line(strong(_size(size)), "  ", text(f"space.{part}"), *unused)
    largest = [
        text("space.one_of", what=text(f"space.{kind}"), name=str(one.get(key)), size=_size(number_in(one, "mb") or 0))
        for kind, name, key in (("volume", "largest_volumes", "name"), ("log", "largest_logs", "container"))
        for one in objects_in(usage, name)[:LARGEST_SHOWN]
        if (number_in(one, "mb") or 0) >= WORTH_IT_MB
    ]
    if largest:
        yield Folded(heading=text("space.largest"), lines=tuple(largest))
    is_worth_it = _reclaimable(usage) >= WORTH_IT_MB
    yield line(text("space.would_free" if is_worth_it else "space.nothing", size=_size(_reclaimable(usage)), host=host))


def _reclaimable(usage: JsonObject) -> float:
    return (number_in(usage, "images_reclaimable_mb") or 0) + (number_in(usage, "build_cache_reclaimable_mb") or 0)


def _size(mb: float) -> str:
    return memory(mb * MIB)


@command("prune", family="act", role=Role.ADMIN, changes=True)
async def prune(ask: CommandContext) -> CommandReply:
    """Remove unused images and build cache after an approval with exact sizes; never a volume."""
    if not ask.may(Role.ADMIN, None):
        return refusal(Role.ADMIN)
    hosts = _hosts(ask, ask.words)
    if not hosts or PRUNE_ACTION not in ask.face.gateway.catalog:
        return said(text("choose.nothing_known"), Tone.UNKNOWN)
    if len(hosts) > 1:
        return choices(ask, text("space.which_host"), [ReplyOption(label=one, words=one) for one in hosts])
    return Later(work=lambda: _prune(ask, hosts[0]))


async def _prune(ask: CommandContext, host: str) -> CommandReply:
    call = Call(
        key=ask.key,
        action=PRUNE_ACTION,
        params={"host": host},
        actor=ask.person.actor(None),
        message=text("space.prune", host=host),
        origin=ask.origin(),
    )
    usage = await look(ask, "docker.disk_usage", {"host": host})
    if not isinstance(usage, Card) and _reclaimable(usage.data) < WORTH_IT_MB:
        return said(text("space.nothing", host=host), Tone.GOOD)
    return await submit_calls(ask, [call])
