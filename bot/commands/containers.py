"""/restart, /up, /stop: submitted to the gateway; the reply shows the outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.arguments.target_choice import ReplyOption, choices, which_target
from bot.command_context import CommandContext, CommandReply
from bot.commands.command_table import command
from core.actions.calls import Call, CallState
from core.actions.catalog import Role
from core.actions.gateway import CallReceipt
from core.monitoring.inventory import Container, Service, Stack, Target, title
from core.text import Text, text
from core.views.cards import ButtonStyle, Card, Tone, refusal, said

WHOLE_STACK_MARK = "!all"
"""Suffix to a stack's name: the person confirmed that the whole stack is meant."""


@dataclass(frozen=True, kw_only=True)
class _ContainerCommand:
    name: str
    action: str
    changes_running: bool
    """Acts on running containers (restart, stop); False: on stopped ones (up)."""


@command("restart", family="act", role=Role.OPERATOR, changes=True)
async def restart(ask: CommandContext) -> CommandReply:
    """Restart a service, or a whole stack after a confirmation."""
    return await _order(ask, _ContainerCommand(name="restart", action="docker.restart", changes_running=True))


@command("up", family="act", role=Role.OPERATOR, changes=True)
async def up(ask: CommandContext) -> CommandReply:
    """Start stopped containers."""
    return await _order(ask, _ContainerCommand(name="up", action="docker.start", changes_running=False))


@command("stop", family="act", role=Role.OPERATOR, changes=True)
async def stop(ask: CommandContext) -> CommandReply:
    """Stop a service, or a whole stack after a confirmation."""
    return await _order(ask, _ContainerCommand(name="stop", action="docker.stop", changes_running=True))


async def _order(ask: CommandContext, act: _ContainerCommand) -> CommandReply:
    is_confirmed = ask.words.endswith(WHOLE_STACK_MARK)
    found = which_target(ask, ask.words.removesuffix(WHOLE_STACK_MARK))
    if isinstance(found, Card):
        return found
    stack = found.name if isinstance(found, Stack) else found.stack
    if not ask.may(Role.OPERATOR, stack):
        return refusal(Role.OPERATOR)
    containers = _concerned(found, act)
    if isinstance(found, Stack) and not found.services:
        return _no_containers(ask, found)
    if not containers:
        return said(text(f"act.{act.name}.nothing", target=title(found)), Tone.GOOD)
    if isinstance(found, Stack) and len(containers) > 1 and act.changes_running and not is_confirmed:
        return _confirm(ask, act, found, containers)
    return await submit_calls(ask, _calls(ask, act, found, containers))


def _no_containers(ask: CommandContext, stack: Stack) -> Card:
    """Offer a deploy for a stack without containers: never brought up, or taken down."""
    message = text("act.no_containers", stack=stack.name)
    option = ReplyOption(label=text("managed.button.deploy"), words=stack.name)
    return choices(ask, message, [option] if stack.managed is not None else [], command="deploy")


def _concerned(target: Target, act: _ContainerCommand) -> list[Container]:
    services: Sequence[Service] = target.services if isinstance(target, Stack) else (target,)
    every = [container for service in services for container in service.containers]
    if not act.changes_running:
        return [one for one in every if not one.is_running]
    if act.name == "stop":
        return [one for one in every if one.is_running or one.state == "restarting"]
    return every


def _confirm(ask: CommandContext, act: _ContainerCommand, stack: Stack, containers: Sequence[Container]) -> Card:
    message = text(f"act.{act.name}.whole_stack", stack=stack.name, count=len(containers))
    everything = ReplyOption(
        label=text(f"act.{act.name}.all", count=len(containers)),
        words=f"{stack.name} {WHOLE_STACK_MARK}",
        weight=ButtonStyle.DANGER,
    )
    single = [ReplyOption(label=one.name, words=one.title) for one in stack.services[:12]]
    return choices(ask, message, [everything, *single])


def _calls(ask: CommandContext, act: _ContainerCommand, target: Target, containers: Sequence[Container]) -> list[Call]:
    stack = target.name if isinstance(target, Stack) else target.stack
    keys = [f"{ask.key}:{place}" if len(containers) > 1 else ask.key for place in range(len(containers))]
    origin = ask.origin()
    if len(keys) > 1:
        origin["group"] = list(keys)
    return [
        Call(
            key=key,
            action=act.action,
            params={"container": container.ref},
            actor=ask.person.actor(stack),
            message=text(f"act.{act.name}.says", target=_shown(container, containers)),
            origin=origin,
        )
        for key, container in zip(keys, containers, strict=True)
    ]


def _shown(container: Container, among: Sequence[Container]) -> str:
    """The service's name, or the container's own where the service has several."""
    own = (container.host, container.stack, container.service)
    if sum((one.host, one.stack, one.service) == own for one in among) > 1:
        return container.name
    return container.title


async def submit_calls(ask: CommandContext, calls: Sequence[Call]) -> CommandReply:
    """Submit calls that belong together; returns what is known at once, the outcome is posted when it comes."""
    receipts = await ask.face.gateway.submit_plan(calls)
    first = receipts[0]
    if first.verdict is None and first.is_final:
        return said(text("act.before", what=_outcome(first)), Tone.SKIPPED)
    denied = next((one for one in receipts if one.state is CallState.DENIED), None)
    if denied is not None:
        return said(_outcome(denied), Tone.BAD)
    if first.approval is None or len(calls) > 1:
        await ask.replies.acknowledge(calls[0].key)
    return None  # an approval has a card of its own


def _outcome(receipt: CallReceipt) -> Text:
    return receipt.result.message if receipt.result is not None else text(f"call.state.{receipt.state}")
