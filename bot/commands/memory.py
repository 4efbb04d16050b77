"""/memory: past incidents like this one, and what helped."""

from __future__ import annotations

from collections.abc import Sequence

from bot.arguments.target_choice import ReplyOption, choices
from bot.command_context import CommandContext, CommandReply, Later
from bot.commands.command_table import command
from core.actions.catalog import Role
from core.durations import clock_time
from core.text import Text, text
from core.views.cards import Block, Card, Tone, Words, faint, line, said, strong

LESSONS_SHOWN = 5
LESSON_TEXT_LIMIT = 300
QUERY_LIMIT = 1000


@command("memory", family="know", role=Role.VIEWER)
async def memory(ask: CommandContext) -> CommandReply:
    """Show similar past incidents; in reply to a card, those like its incident."""
    query = ask.words.strip()[:QUERY_LIMIT]
    if not query and ask.incident_id is None:
        return said(text("memory.ask"), Tone.INFO)

    async def recall() -> CommandReply:
        incident = await ask.face.tracker.get(ask.incident_id) if ask.incident_id is not None and not query else None
        if incident is not None:
            found = await ask.face.memory.similar(incident, LESSONS_SHOWN)
        else:
            found = await ask.face.memory.recall(query, LESSONS_SHOWN)
        found = [one for one in found if ask.may(Role.VIEWER, one.lesson.stack)]
        if not found:
            return said(text("memory.none"), Tone.UNKNOWN)
        blocks: list[Block] = [line(strong(text("memory.title")))]
        for one in found:
            lesson = one.lesson
            tone = Tone.GOOD if lesson.held else Tone.BAD if lesson.held is False else Tone.UNKNOWN
            when = clock_time(lesson.at, ask.now, ask.zone)
            blocks.append(line(strong(lesson.target), "  ", faint(when), tone=tone))
            shown = lesson.text if len(lesson.text) <= LESSON_TEXT_LIMIT else f"{lesson.text[:LESSON_TEXT_LIMIT]}…"
            blocks.append(line(shown, indent=True))
            if lesson.actions:
                key = "memory.helped" if lesson.held else "memory.tried"
                blocks.append(line(text(key, what=_done(ask, lesson.actions[:3])), indent=True))
        numbers = [one.lesson.incident_id for one in found if one.lesson.incident_id is not None]
        options = [ReplyOption(label=text("incidents.number", id=number), words=str(number)) for number in numbers]
        return Card(blocks=tuple(blocks), buttons=choices(ask, "", options, command="incident", per_row=3).buttons)

    return Later(work=recall)


def _done(ask: CommandContext, actions: Sequence[str]) -> Words:
    """Actions taken, in words; the lesson is about one incident, so the container need not be named again."""
    words = [_did(ask, one.partition(" ")[0]) for one in actions]
    joined = words[0]
    for one in words[1:]:
        joined = text("card.listed", first=joined, second=one)
    return joined


def _did(ask: CommandContext, action: str) -> Words:
    """Word for an action taken; one that has none (it only looked, or is no longer there) is named."""
    key = f"did.{action}"
    return Text(key) if ask.face.texts.has(key) else action
