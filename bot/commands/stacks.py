"""/status, /services, /health: the state of everything, of a stack, or of a service."""

from __future__ import annotations

from bot.arguments.target_choice import which_target
from bot.command_context import CommandContext, CommandReply
from bot.commands.command_table import command
from core.actions.catalog import Role
from core.monitoring.inventory import Stack, Target
from core.views.cards import Card
from core.views.stack_card import health_card, stack_card
from core.views.status_overview import status_overview


@command("status", family="look", role=Role.VIEWER)
async def status(ask: CommandContext) -> CommandReply:
    """Everything at a glance, or one stack's services."""
    if not ask.words.strip():
        return await status_overview(ask.view, is_frozen=await ask.face.changed.freeze() is not None)
    return await _card(ask, which_target(ask, ask.words))


@command("services", family="look", role=Role.VIEWER)
async def services(ask: CommandContext) -> CommandReply:
    """A stack's services with state, health, restarts, image and uptime."""
    return await _card(ask, which_target(ask, ask.words, stacks_only=True))


@command("health", family="look", role=Role.VIEWER)
async def health(ask: CommandContext) -> CommandReply:
    """Health with its reason: what the last probes said."""
    found = which_target(ask, ask.words)
    return found if isinstance(found, Card) else await health_card(ask.view, found)


async def _card(ask: CommandContext, found: Target | Card) -> Card:
    if isinstance(found, Card):
        return found
    return await (stack_card(ask.view, found) if isinstance(found, Stack) else health_card(ask.view, found))
