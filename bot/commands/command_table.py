"""The command table, filled by the `@command` decorator; help and menu are built from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.command_context import CommandContext, CommandReply
from core.actions.catalog import Role
from core.errors import closest

CommandFunction = Callable[[CommandContext], Awaitable[CommandReply]]


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command; its texts are `command.<name>.about` and `command.<name>.usage`."""

    name: str
    family: str
    role: Role | None
    """Least role, on any stack; None: anybody, strangers too. The role on the target is checked once that is known."""
    changes: bool
    """It changes something: refused when the message is too old."""
    is_listed: bool
    answer: CommandFunction


COMMAND_FAMILIES = ("basics", "look", "incidents", "act", "quiet", "know")
"""In the order in which help shows them."""
COMMANDS: dict[str, Command] = {}


def command(
    name: str, *, family: str, role: Role | None, changes: bool = False, is_listed: bool = True
) -> Callable[[CommandFunction], CommandFunction]:
    """Register `async def name(ask) -> CommandReply` as a chat command."""

    def enter(answer: CommandFunction) -> CommandFunction:
        if name in COMMANDS or family not in COMMAND_FAMILIES:
            raise ValueError(f"the command {name!r} is there twice, or of the unknown family {family!r}")
        COMMANDS[name] = Command(
            name=name, family=family, role=role, changes=changes, is_listed=is_listed, answer=answer
        )
        return answer

    return enter


def listed_commands() -> list[Command]:
    """The commands that help and menu show, by family."""
    return sorted(
        (one for one in COMMANDS.values() if one.is_listed), key=lambda one: COMMAND_FAMILIES.index(one.family)
    )


def nearest_command(name: str) -> str | None:
    """The command most like a mistyped one."""
    return closest(name, COMMANDS)
