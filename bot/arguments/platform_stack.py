"""Finds the stack of a platform that is meant, and says so where Dokploy does not manage it, or is not there at all."""

from __future__ import annotations

from dataclasses import replace

from bot.arguments.target_choice import CHOICES_SHOWN, NAME_SHOWN, ReplyOption, choices, side_by_side, unknown
from bot.command_context import CommandContext
from core.actions.catalog import JsonObject, Result
from core.deployments.platform import ManagedKind, ManagedResource
from core.monitoring.inventory import Inventory, Service, Stack, Target, find, title
from core.text import text
from core.views.cards import Block, Card, CardButton, Tone, code, line, said
from core.views.platform_lines import blind_line

DEPLOYS = "dokploy.compose.deploy"
WORKING_DIR = "com.docker.compose.project.working_dir"
DEPLOYABLE = (ManagedKind.COMPOSE, ManagedKind.APPLICATION)


def has_platform(ask: CommandContext) -> bool:
    """Return True if there is a Dokploy at all, answering or not."""
    catalog = ask.face.gateway.catalog
    return DEPLOYS in catalog and catalog.get(DEPLOYS).unavailable() is None


def which_managed(
    ask: CommandContext, words: str, *, only: tuple[ManagedKind, ...] = DEPLOYABLE
) -> ManagedResource | Card:
    """The managed stack that the words mean, or the card that asks, or says why there is none."""
    inventory = ask.view.inventory
    if not has_platform(ask):
        return _without_platform(ask, inventory, words)
    known = [one for one in inventory.managed if one.kind in only]
    if not known:
        return _nothing_known(ask, inventory, words)
    if not words.strip():
        options = [ReplyOption(label=one.name, words=one.name) for one in sorted(known, key=lambda one: one.name)]
        return choices(ask, text("choose.which"), options[:CHOICES_SHOWN])
    found = _by_name(inventory, known, words)
    if len(found) == 1:
        return found[0]
    if found:
        options = [ReplyOption(label=one.name, words=one.name) for one in found[:CHOICES_SHOWN]]
        return choices(ask, text("choose.several", name=words.strip()[:NAME_SHOWN]), options)
    plain = find(inventory, words[:200])
    return not_managed(ask, plain[0]) if plain else unknown(ask, words)


def _by_name(inventory: Inventory, known: list[ManagedResource], words: str) -> list[ManagedResource]:
    """By its own name, else by the name of a service or container of it."""
    shadows = tuple(replace(one, kind=ManagedKind.COMPOSE) for one in known)
    names = [one.name for one in find(Inventory(managed=shadows), words[:200])]
    if not names:
        targets = find(inventory, words[:200])
        names = [one.name if isinstance(one, Stack) else one.stack or "" for one in targets]
    return [one for one in known if one.name in names]


def split_target(ask: CommandContext, words: str) -> tuple[str, str]:
    """`granada fix the memory` → what names a stack, and the rest: the longest exact name, else the longest fitting."""
    inventory = ask.view.inventory
    shadow = Inventory(managed=tuple(replace(one, kind=ManagedKind.COMPOSE) for one in inventory.managed))
    parts = words.split()
    exact = {_plain(one.name) for one in inventory.managed} | {_plain(one.name) for one in inventory.stacks()}
    exact |= {_plain(one.title) for one in inventory.services()}
    for size in range(len(parts), 0, -1):
        if _plain(parts[size - 1]) and _plain(" ".join(parts[:size])) in exact:
            return " ".join(parts[:size]), " ".join(parts[size:])
    for size in range(min(len(parts), 4), 0, -1):
        name = " ".join(parts[:size])
        if find(shadow, name) or find(inventory, name):
            return name, " ".join(parts[size:])
    return " ".join(parts[:1]), " ".join(parts[1:])


def _plain(name: str) -> str:
    return " ".join("".join(char if char.isalnum() else " " for char in name.casefold()).split())


def with_words(card: Card, rest: str) -> Card:
    """The question which one is meant, its buttons keeping what was typed behind the name."""
    if not rest:
        return card
    rows = tuple(tuple(replace(one, detail=f"{one.detail} {rest}"[:200]) for one in row) for row in card.buttons)
    return replace(card, buttons=rows)


def not_managed(ask: CommandContext, target: Target) -> Card:
    """It runs here, but Dokploy does not have it: what can be done all the same."""
    key = "managed.not_managed" if has_platform(ask) else "managed.no_platform_for"
    blocks: list[Block] = [line(text(key, stack=_stack_name(target)), tone=Tone.UNKNOWN)]
    folder = _folder(target)
    if folder is not None:
        blocks.append(line(text("managed.by_hand", host=target.host)))
        blocks.append(line(code(f"cd {folder} && docker compose pull && docker compose up -d")))
    return Card(blocks=tuple(blocks), buttons=(_instead(ask, target),))


def _nothing_known(ask: CommandContext, inventory: Inventory, words: str) -> Card:
    """Dokploy is there, and nothing in it is known: it may be silent, and what is meant may run without it."""
    blind = blind_line(ask.view)
    if blind is not None:
        return Card(blocks=(blind,))
    found = find(inventory, words[:200]) if words.strip() else ()
    return not_managed(ask, found[0]) if len(found) == 1 else said(text("managed.none"), Tone.UNKNOWN)


def _without_platform(ask: CommandContext, inventory: Inventory, words: str) -> Card:
    found = find(inventory, words[:200]) if words.strip() else ()
    if len(found) == 1:
        return not_managed(ask, found[0])
    return said(text("managed.no_platform"), Tone.UNKNOWN)


def _instead(ask: CommandContext, target: Target) -> tuple[CardButton, ...]:
    name = title(target)
    commands = ("restart", "updates", "info" if isinstance(target, Service) else "services")
    return side_by_side(ask, [(one, text(f"managed.button.{one}"), name) for one in commands])


def _folder(target: Target) -> str | None:
    services = target.services if isinstance(target, Stack) else (target,)
    folders = (one.labels.get(WORKING_DIR) for service in services for one in service.containers)
    return next((one for one in folders if one), None)


def _stack_name(target: Target) -> str:
    return target.name if isinstance(target, Stack) else target.stack or target.name


async def look(ask: CommandContext, action: str, params: JsonObject) -> Result | Card:
    """The result of a READ action of a system; the card that says why there is none."""
    if action not in ask.face.gateway.catalog:
        key = "managed.no_platform" if action.startswith("dokploy.") else "managed.not_here"
        return said(text(key), Tone.UNKNOWN)
    stack = params.get("stack")
    actor = ask.person.actor(stack if isinstance(stack, str) else None)
    result = await ask.face.gateway.read(action, dict(params), actor)
    return result if result.is_ok else said(result.message, Tone.BAD)


def lines_of(data: JsonObject) -> list[str]:
    """`data.lines` as text."""
    raw = data.get("lines")
    return [str(one) for one in raw] if isinstance(raw, list) else []
