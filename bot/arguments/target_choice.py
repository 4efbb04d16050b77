"""Finds the stack or service that is meant: buttons when several fit, the nearest name when none does."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bot.command_context import CommandContext
from core.errors import closest
from core.monitoring.inventory import Container, Service, Stack, Target, find, names_of, title
from core.text import text
from core.views.cards import ButtonStyle, Card, CardButton, Tone, Words, command_button, in_rows, line

CHOICES_SHOWN = 24
NAME_SHOWN = 60
"""Of what a person typed, when it is repeated to them."""


@dataclass(frozen=True, kw_only=True)
class ReplyOption:
    """One button of a question: its label, and the words the command is run with."""

    label: Words
    words: str
    weight: ButtonStyle = ButtonStyle.NORMAL


def choices(
    ask: CommandContext, message: Words, options: Iterable[ReplyOption], *, command: str = "", per_row: int = 2
) -> Card:
    """A question whose buttons run a command with other words; only the person who asked may press them."""
    buttons = [
        command_button(command or ask.command, one.label, one.words, only_for=ask.person.user_id, weight=one.weight)
        for one in options
    ]
    blocks = (line(message, tone=Tone.ASK if buttons else None),)
    return Card(blocks=blocks, buttons=in_rows(buttons, per_row), is_replaced=True)


def side_by_side(ask: CommandContext, options: Iterable[tuple[str, Words, str]]) -> tuple[CardButton, ...]:
    """One row of buttons: each a command, what it shows, and the words behind the command."""
    return tuple(command_button(name, label, words, only_for=ask.person.user_id) for name, label, words in options)


def which_target(
    ask: CommandContext, words: str, *, services_only: bool = False, stacks_only: bool = False
) -> Target | Card:
    """The target that the words mean, or the card that asks or says that there is none."""
    inventory = ask.view.inventory
    if not inventory.containers and not inventory.managed:
        return Card(blocks=(line(text("choose.nothing_known"), tone=Tone.UNKNOWN),))
    if not words.strip():
        return _offer(ask, services_only=services_only, stacks_only=stacks_only)
    exact = inventory.container(words.strip())
    if exact is not None and not stacks_only and "/" in words:
        found: Sequence[Target] = [one for one in inventory.services() if exact in one.containers]
    else:
        found = find(inventory, words[:200])
    if not found:
        return unknown(ask, words)
    if len(found) > 1:
        return _several(ask, words, found)
    only = found[0]
    if services_only and isinstance(only, Stack) and not only.services:
        return Card(blocks=(line(text("choose.no_services", name=only.name), tone=Tone.OFF),))
    if services_only and isinstance(only, Stack):
        return _members(ask, only) if len(only.services) > 1 else only.services[0]
    if stacks_only and isinstance(only, Service):
        stack = inventory.stack(only.stack, only.host) if only.stack else None
        return stack or only
    return only


def which_container(ask: CommandContext, words: str) -> Container | Card:
    """One container: that of the service meant, or the card that asks which of its copies."""
    exact = ask.view.inventory.container(words.strip()) if words.strip() else None
    if exact is not None:
        return exact
    found = which_target(ask, words, services_only=True)
    if isinstance(found, Card):
        return found
    assert isinstance(found, Service)
    if len(found.containers) == 1:
        return found.containers[0]
    options = [ReplyOption(label=one.name, words=one.ref) for one in found.containers[:CHOICES_SHOWN]]
    return choices(ask, text("choose.copy", name=found.title), options)


def unknown(ask: CommandContext, words: str) -> Card:
    """There is nothing of that name; the nearest one is offered."""
    typed = words.strip()
    typed = f"{typed[:NAME_SHOWN]}…" if len(typed) > NAME_SHOWN else typed
    names = names_of(ask.view.inventory)
    near = closest(typed.casefold(), names) or closest(typed.casefold(), {one.rpartition("/")[2] for one in names})
    if near is None:
        return Card(blocks=(line(text("choose.unknown", name=typed), tone=Tone.UNKNOWN),))
    card = choices(ask, text("choose.unknown_near", name=typed, near=near), [ReplyOption(label=near, words=near)])
    return replace(card, blocks=(line(text("choose.unknown_near", name=typed, near=near), tone=Tone.UNKNOWN),))


def _several(ask: CommandContext, words: str, found: Sequence[Target]) -> Card:
    names = [title(one) for one in found]
    options = []
    for one, name in itertools.islice(zip(found, names, strict=True), CHOICES_SHOWN):
        is_twice = names.count(name) > 1
        label = f"{name} ({one.host})" if is_twice else name
        options.append(ReplyOption(label=label, words=_words_for(one, is_twice=is_twice)))
    typed = words.strip()[:NAME_SHOWN]
    return choices(ask, text("choose.several", name=typed), options)


def _words_for(target: Target, *, is_twice: bool) -> str:
    if is_twice and isinstance(target, Service):
        return target.containers[0].ref
    return title(target)


def _offer(ask: CommandContext, *, services_only: bool, stacks_only: bool) -> Card:
    inventory = ask.view.inventory
    stacks = inventory.stacks()
    alone = [one for one in inventory.services() if one.stack is None]
    if services_only and len(stacks) == 1:
        return _members(ask, stacks[0])
    options = [ReplyOption(label=one.name, words=one.name) for one in stacks]
    if not stacks_only:
        options += [ReplyOption(label=one.name, words=one.name) for one in alone]
    return choices(ask, text("choose.which"), options[:CHOICES_SHOWN])


def _members(ask: CommandContext, stack: Stack) -> Card:
    options = [ReplyOption(label=one.name, words=one.title) for one in stack.services[:CHOICES_SHOWN]]
    return choices(ask, text("choose.which_of", name=stack.name), options)
