"""/start, /help, /whoami: the welcome, the commands, and a person's own roles."""

from __future__ import annotations

from bot.arguments.target_choice import ReplyOption, choices
from bot.command_context import CommandContext, CommandReply
from bot.commands.command_table import COMMAND_FAMILIES, COMMANDS, command, listed_commands
from core.actions.catalog import Role
from core.text import text
from core.views.cards import Block, Card, Gap, Tone, code, faint, line, said, strong


@command("start", family="basics", role=None)
async def start(ask: CommandContext) -> CommandReply:
    """Welcome a person with a few buttons; with an invitation, give its role."""
    if ask.words:
        enrolled = await ask.access.enrol_known(ask.words[:64], ask.person)
        if enrolled is None:
            return said(text("access.bad_token"), Tone.BAD)
        role = text(f"role.{enrolled.best_role}")
        return said(text("access.enrolled", role=role, name=enrolled.name), Tone.GOOD)
    blocks: list[Block] = [
        line(strong(text("welcome.hello", name=ask.person.name))),
        line(text("welcome.what")),
        Gap(),
        line(text("welcome.how")),
    ]
    options = [ReplyOption(label=text(f"welcome.button.{name}"), words="") for name in ("status", "incidents", "help")]
    rows = [choices(ask, "", [one], command=name).buttons[0] for one, name in zip(options, _FIRST, strict=True)]
    return Card(blocks=tuple(blocks), buttons=(tuple(button for row in rows for button in row),))


_FIRST = ("status", "incidents", "help")


@command("help", family="basics", role=None)
async def help_(ask: CommandContext) -> CommandReply:
    """List the commands that the person may use, or explain one."""
    wanted = COMMANDS.get(ask.words.strip().lstrip("/").lower())
    if wanted is not None and wanted.is_listed:
        return Card(
            blocks=(
                line(strong(f"/{wanted.name}"), " ", text(f"command.{wanted.name}.usage")),
                line(text(f"command.{wanted.name}.about")),
            )
        )
    best = ask.person.best_role
    blocks: list[Block] = [line(strong(text("help.title")))]
    for family in COMMAND_FAMILIES:
        members = [
            one
            for one in listed_commands()
            if one.family == family and (one.role is None or (best and best.covers(one.role)))
        ]
        if not members:
            continue
        blocks += [Gap(), line(strong(text(f"help.family.{family}")))]
        for one in members:
            about = text(f"command.{one.name}.about")
            usage = ask.face.texts.render(text(f"command.{one.name}.usage"), ask.language)
            gap = " " if usage else ""
            blocks.append(line(f"/{one.name}{gap}", faint(usage), " – ", about))
    blocks += [Gap(), line(text("help.talk"))]
    return Card(blocks=tuple(blocks))


@command("whoami", family="basics", role=None)
async def whoami(ask: CommandContext) -> CommandReply:
    """Show the person's user id and roles."""
    person = ask.person
    blocks: list[Block] = [line(strong(person.name), "  ", code(str(person.user_id)))]
    if person.role is not None:
        blocks.append(line(text("whoami.role", role=text(f"role.{person.role}"))))
    for stack, role in sorted(person.stack_roles.items()):
        blocks.append(line(text("whoami.stack_role", stack=stack, role=text(f"role.{role}")), indent=True))
    may = [role for role in Role if person.best_role is not None and person.best_role.covers(role)]
    for role in may:
        blocks.append(line(text(f"whoami.may.{role}"), tone=Tone.GOOD))
    return Card(blocks=tuple(blocks))
