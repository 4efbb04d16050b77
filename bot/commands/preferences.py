"""/settings: language, quiet hours and time zone of a person, the language of a chat, and invitations."""

from __future__ import annotations

import re
from dataclasses import replace
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.arguments.target_choice import ReplyOption, choices
from bot.command_context import CommandContext, CommandReply
from bot.commands.command_table import command
from core.actions.catalog import Role
from core.people import Person
from core.text import LANGUAGES, text
from core.views.cards import Block, Card, CardButton, Tone, code, line, refusal, said, strong

_HOURS = re.compile(r"([01]?\d|2[0-3])(?::([0-5]\d))?\s*[-–]\s*([01]?\d|2[0-3])(?::([0-5]\d))?")


@command("settings", family="know", role=Role.VIEWER)
async def settings(ask: CommandContext) -> CommandReply:
    """Show the preferences with buttons, or change one in words: `quiet 23-7`, `timezone Europe/Madrid`."""
    what, _, value = ask.words.strip().partition(" ")
    changes = {"language": _language, "quiet": _quiet, "timezone": _timezone, "chat": _chat_language, "invite": _invite}
    change = changes.get(what.casefold())
    if change is not None:
        return await change(ask, value.strip())
    if what:
        return said(text("settings.unknown", what=what[:40]), Tone.UNKNOWN)
    return await _overview(ask)


async def _overview(ask: CommandContext) -> Card:
    person = await _person(ask)
    quiet = f"{person.quiet_from}–{person.quiet_to}" if person.quiet_from else text("settings.none")
    chat = await ask.face.changed.language(ask.place.chat_id) or ask.face.settings.language
    blocks: list[Block] = [
        line(strong(text("settings.title"))),
        line(text("settings.language", language=text(f"language.{ask.language}"))),
        line(text("settings.chat_language", language=text(f"language.{chat}"))),
        line(text("settings.quiet", hours=quiet)),
        line(text("settings.timezone", zone=str(ask.zone))),
    ]
    rows: list[tuple[CardButton, ...]] = []
    mine = [ReplyOption(label=text(f"language.{one}"), words=f"language {one}") for one in LANGUAGES]
    rows += choices(ask, "", mine).buttons
    theirs = [
        ReplyOption(label=text("settings.chat_button", language=text(f"language.{one}")), words=f"chat {one}")
        for one in LANGUAGES
    ]
    rows += choices(ask, "", theirs).buttons
    hours = [
        ReplyOption(label=text("settings.quiet_on"), words="quiet 23:00-07:00"),
        ReplyOption(label=text("settings.quiet_off"), words="quiet off"),
    ]
    rows += choices(ask, "", hours).buttons
    if ask.person.role is Role.ADMIN:
        invites = [ReplyOption(label=text(f"settings.invite.{one}"), words=f"invite {one}") for one in Role]
        rows += choices(ask, "", invites, per_row=3).buttons
    return Card(blocks=tuple(blocks), buttons=tuple(rows), is_replaced=True)


async def _person(ask: CommandContext) -> Person:
    """The person as recorded: of whoever speaks, the language may be a guess."""
    known = await ask.face.people.get(ask.person.user_id)
    return known or Person(user_id=ask.person.user_id, name=ask.person.name)


async def _save(ask: CommandContext, person: Person) -> None:
    await ask.face.people.save(replace(person, name=ask.person.name), by=person.actor_id)


async def _language(ask: CommandContext, value: str) -> CommandReply:
    chosen = next((one for one in LANGUAGES if one == value.casefold()), None)
    if chosen is None:
        options = [ReplyOption(label=text(f"language.{one}"), words=f"language {one}") for one in LANGUAGES]
        return choices(ask, text("settings.which_language"), options)
    await _save(ask, replace(await _person(ask), language=chosen))
    return said(ask.face.texts.render(text("settings.language_set"), chosen), Tone.GOOD)


async def _chat_language(ask: CommandContext, value: str) -> CommandReply:
    chosen = next((one for one in LANGUAGES if one == value.casefold()), None)
    if not ask.may(Role.OPERATOR, None):
        return refusal(Role.OPERATOR)
    if chosen is None:
        return said(text("settings.which_language"), Tone.UNKNOWN)
    await ask.face.changed.set_language(ask.place.chat_id, chosen, by=ask.person.actor_id)
    return said(ask.face.texts.render(text("settings.chat_set"), chosen), Tone.GOOD)


async def _quiet(ask: CommandContext, value: str) -> CommandReply:
    if value.casefold() in ("off", "no", "none", "nunca"):
        await _save(ask, replace(await _person(ask), quiet_from=None, quiet_to=None))
        return said(text("settings.quiet_cleared"), Tone.GOOD)
    match = _HOURS.fullmatch(value)
    if match is None:
        return said(text("settings.quiet_how"), Tone.UNKNOWN)
    begins = f"{int(match[1]):02d}:{match[2] or '00'}"
    ends = f"{int(match[3]):02d}:{match[4] or '00'}"
    await _save(ask, replace(await _person(ask), quiet_from=begins, quiet_to=ends))
    return said(text("settings.quiet_set", begins=begins, ends=ends), Tone.GOOD)


async def _timezone(ask: CommandContext, value: str) -> CommandReply:
    try:
        zone = ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return said(text("settings.timezone_how"), Tone.UNKNOWN)
    person = await _person(ask)
    await _save(ask, replace(person, preferences={**person.preferences, "timezone": zone.key}))
    return said(text("settings.timezone_set", zone=zone.key), Tone.GOOD)


async def _invite(ask: CommandContext, value: str) -> CommandReply:
    """Create a one-time link that gives a role; only in private chats, as whoever reads it may use it."""
    role = next((one for one in Role if one == value.casefold()), None)
    if ask.person.role is not Role.ADMIN:
        return refusal(Role.ADMIN)
    if role is None or not ask.place.is_private:
        return said(text("settings.invite_private"), Tone.UNKNOWN)
    actor = ask.person.actor(None)
    token = await ask.face.people.invite(role, by=actor.id)
    await ask.face.audit.add(actor, "invite", role)
    link = f"https://t.me/{ask.bot_name}?start={token}"
    return Card(blocks=(line(text("settings.invited", role=text(f"role.{role}"))), line(code(link))))
