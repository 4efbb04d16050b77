"""/updates: running images with a newer version under their tag."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bot.arguments.platform_stack import look
from bot.arguments.target_choice import side_by_side, which_target
from bot.command_context import CommandContext, CommandReply, Later
from bot.commands.command_table import command
from bot.result_data import list_in, objects_in
from core.actions.catalog import JsonObject, Role
from core.deployments.platform import ManagedKind
from core.deployments.versions import short_image
from core.monitoring.inventory import Service, Stack, Target
from core.text import text
from core.views.cards import Block, Card, CardButton, Folded, Span, Tone, Words, faint, line, strong

NEWER_SHOWN = 20
USERS_SHOWN = 3
BUTTONS_SHOWN = 6


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
    rows = [one for one in objects_in(result.data, "images") if _may_see(ask, one)]
    newer = [one for one in rows if one.get("is_newer") is True]
    untold = [one for one in rows if one.get("is_newer") is None]
    key = "newer.some" if newer else "newer.none" if rows else "newer.nothing"
    blocks: list[Block] = [
        line(strong(text(key, count=len(newer), of=len(rows))), tone=Tone.WARNING if newer else Tone.WELL)
    ]
    blocks += [_newer_line(ask, one) for one in newer[:NEWER_SHOWN]]
    if untold:
        message = tuple(_untold_line(ask, one) for one in untold)
        blocks.append(Folded(heading=text("newer.untold", count=len(untold)), lines=message))
    away = [str(one) for one in list_in(result.data, "unreachable_hosts")]
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
    found = (ask.face.inventory().container(str(ref)) for ref in list_in(one, "containers"))
    seen = [container for container in found if container is not None and ask.may(Role.VIEWER, container.stack)]
    names = dict.fromkeys(each.title for each in seen)
    shown = ", ".join(list(names)[:USERS_SHOWN]) or "–"
    return f"{shown} +{len(names) - USERS_SHOWN}" if len(names) > USERS_SHOWN else shown


def _may_see(ask: CommandContext, one: JsonObject) -> bool:
    stacks = [str(stack) for stack in list_in(one, "stacks")]
    return any(ask.may(Role.VIEWER, stack) for stack in stacks) or ask.may(Role.VIEWER, None)


def _update_buttons(ask: CommandContext, newer: Sequence[JsonObject]) -> Iterator[tuple[CardButton, ...]]:
    """Update buttons, one for each stack that Dokploy can redeploy."""
    inventory = ask.face.inventory()
    stacks = dict.fromkeys(str(stack) for one in newer for stack in list_in(one, "stacks"))
    for name in list(stacks)[:BUTTONS_SHOWN]:
        managed = inventory.managed_one(name)
        if managed is not None and managed.kind is ManagedKind.COMPOSE and ask.may(Role.OPERATOR, name):
            yield side_by_side(ask, [("update", text("newer.button", stack=name), name)])
