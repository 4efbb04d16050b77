"""Answers free text through the dialogue: streams the answer, and offers proposed commands as buttons."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from functools import partial

import structlog
from telegram import Bot

from agent.chat.conversation import (
    AnswerChunk,
    AnswerMessage,
    AnswerPart,
    AnswerProgress,
    ChatQuestion,
    Dialogue,
    ModelUsage,
    ProposeCommand,
    RunCommand,
)
from bot.arguments.target_choice import ReplyOption, choices
from bot.command_context import CommandContext
from bot.commands.command_table import COMMANDS
from bot.delivery.telegram_client import TelegramClient
from bot.incoming.callbacks import CallbackQueries
from bot.incoming.inbox import SlowAnswer
from bot.rendering import model_markdown
from bot.rendering.telegram_html import split_message
from bot.replies import ReplySender
from core.notifications import OutgoingMessage
from core.tasks import Tasks
from core.text import Text, text
from core.views.cards import (
    Block,
    ButtonAction,
    ButtonStyle,
    Card,
    CardButton,
    Tone,
    Words,
    faint,
    line,
    said,
)
from knowledge.outbox_worker import OutboxWriter

PROGRESS_AFTER_S = 2.0
"""Delay before a slow answer shows a progress line with a cancel button."""
DRAFT_PACE_S = 1.2
"""Pause between two versions of a draft; Telegram refuses faster ones for minutes."""
PART_LIMIT = 3500
PARTS_SHOWN = 4
SHOW_LIMIT_S = 20.0
"""Limit for an update of the answer in flight, before the final one is posted."""
FREE_TEXT_LIMIT_S = 900.0
"""Time limit of an answer; the model has its own limits far below."""
log = structlog.get_logger(__name__)


@dataclass(kw_only=True)
class _CollectedAnswer:
    """The parts of an answer received so far."""

    ask: CommandContext
    said: list[Text] = field(default_factory=list)
    streamed: str = ""
    doing: Text | None = None
    proposals: list[ProposeCommand] = field(default_factory=list)
    command: RunCommand | None = None
    model: ModelUsage | None = None
    is_over: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, part: AnswerPart) -> None:
        match part:
            case AnswerMessage():
                self.said.append(part.message)
            case AnswerChunk():
                self.streamed = part.text
            case ProposeCommand():
                self.proposals.append(part)
            case RunCommand():
                self.command = part
            case ModelUsage():
                self.model = part
        self.doing = part.message if isinstance(part, AnswerProgress) else None


class FreeTextResponder:
    """Answers free text; each question is work of its own, run beside the others."""

    def __init__(
        self,
        *,
        dialogue: Dialogue,
        writer: OutboxWriter,
        client: TelegramClient,
        answering: ReplySender,
        taps: CallbackQueries,
        tasks: Tasks,
    ) -> None:
        self._dialogue = dialogue
        self._writer = writer
        self._client = client
        self._answering = answering
        self._taps = taps
        self._tasks = tasks

    def answer(self, ask: CommandContext) -> SlowAnswer:
        """Return the work that answers a message."""

        async def work() -> None:
            self._taps.began(ask)
            try:
                async with (
                    self._answering.explaining(ask, partial(self._post, ask)),
                    asyncio.timeout(FREE_TEXT_LIMIT_S),
                ):
                    await self._answer(ask)
            except asyncio.CancelledError:
                await self._stopped(ask)
                raise
            finally:
                self._taps.ended(ask)

        return work

    async def _stopped(self, ask: CommandContext) -> None:
        if not self._taps.is_cancelled(ask):
            return
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(self._post(ask, said(text("chat.stopped"), Tone.SKIPPED)))

    async def _answer(self, ask: CommandContext) -> None:
        answer = _CollectedAnswer(ask=ask)
        question = ChatQuestion(
            text=_without_name(ask.words, self._client.username),
            language=ask.language,
            actor=replace(ask.person.actor(None), role=ask.person.best_role),
            chat=f"{ask.place.chat_id}:{ask.place.thread_id or 0}",
            incident_id=ask.incident_id,
        )
        showing = self._tasks.start(f"show the answer to {ask.key}", lambda: self._show(answer))
        try:
            async with self._answering.typing(ask.place):
                async for part in self._dialogue.answer(question):
                    answer.take(part)
        finally:
            answer.is_over.set()
            await asyncio.wait([showing], timeout=SHOW_LIMIT_S)  # or what it shows would come after the end
        await self._finish(answer)

    # -- while it comes ----------------------------------------------------------------------------------------------

    async def _show(self, answer: _CollectedAnswer) -> None:
        """Show a draft in private chats and a growing message in groups; after a moment, a cancel button in both."""
        began = asyncio.get_running_loop().time()
        shown = ""
        has_button = False
        pace_s = DRAFT_PACE_S if answer.ask.place.is_private else PROGRESS_AFTER_S
        while not await _is_set_within(answer.is_over, pace_s):
            is_late = asyncio.get_running_loop().time() - began >= PROGRESS_AFTER_S
            if is_late and (not has_button or not answer.ask.place.is_private):
                has_button = True
                await self._progress(answer)
            if answer.ask.place.is_private and answer.streamed and answer.streamed != shown:
                shown = answer.streamed
                await self._draft(answer.ask, shown)

    async def _draft(self, ask: CommandContext, words: str) -> None:
        part = split_message(words, PART_LIMIT)[0]

        async def send(bot: Bot) -> bool:
            return await bot.send_message_draft(
                ask.place.chat_id, ask.update_id or 1, part, message_thread_id=ask.place.thread_id
            )

        await self._client.attempt(send, "a draft")

    async def _progress(self, answer: _CollectedAnswer) -> None:
        blocks: list[Block] = []
        if answer.streamed and not answer.ask.place.is_private:
            blocks += model_markdown.markdown_blocks(split_message(answer.streamed, PART_LIMIT)[0])
        blocks.append(line(answer.doing or text("chat.thinking"), "…", tone=Tone.BUSY))
        stop = CardButton(
            press=ButtonAction.CANCEL,
            label=text("button.cancel"),
            weight=ButtonStyle.NORMAL,
            subject=str(answer.ask.update_id),
        )
        await self._post(answer.ask, Card(blocks=tuple(blocks), buttons=((stop,),)))

    # -- the end -----------------------------------------------------------------------------------------------------

    async def _finish(self, answer: _CollectedAnswer) -> None:
        cards = self._cards(answer)
        if cards:
            for place, card in enumerate(cards):
                await self._post(answer.ask, card, place)
        if answer.command is not None:
            await self._run(answer.ask, answer.command, has_text=bool(cards))
        elif not cards:
            await self._post(answer.ask, said(text("chat.no_answer"), Tone.UNKNOWN))

    async def _run(self, ask: CommandContext, wanted: RunCommand, *, has_text: bool) -> None:
        """Run a read-only command as if it had been typed."""
        command = COMMANDS.get(wanted.name)
        if command is None or command.changes:
            log.error("the dialogue wants a command that it may not run", command=wanted.name)
            await self._post(ask, said(text("chat.no_answer"), Tone.UNKNOWN))
            return
        key = None if has_text else self._key(ask)
        slow = await self._taps.run(ask.for_command(wanted.name, wanted.arguments), command, replaces=key)
        if slow is not None:
            await slow()

    def _cards(self, answer: _CollectedAnswer) -> list[Card]:
        blocks: list[Block] = [line(one) for one in answer.said]
        parts = split_message(answer.streamed, PART_LIMIT)[:PARTS_SHOWN] if answer.streamed.strip() else []
        cards = [Card(blocks=tuple(model_markdown.markdown_blocks(part))) for part in parts]
        if blocks:
            first = cards[0].blocks if cards else ()
            cards[:1] = [Card(blocks=(*blocks, *first))]
        if answer.model is not None and cards:
            note: list[Words] = [text("chat.by_model", seconds=round(answer.model.seconds), tokens=answer.model.tokens)]
            note += [" · ", text("model.cut")] if answer.model.is_cut else []
            last = cards[-1]
            cards[-1] = Card(blocks=(*last.blocks, line(*(faint(one) for one in note))), buttons=last.buttons)
        cards += [self._proposal(answer.ask, one) for one in answer.proposals]
        return cards

    def _proposal(self, ask: CommandContext, wish: ProposeCommand) -> Card:
        """Offer a command that changes something; it runs when the person who asked taps it."""
        option = ReplyOption(label=text("button.do_it"), words=wish.arguments, weight=ButtonStyle.PRIMARY)
        return choices(ask, text("chat.shall_i", what=wish.message), [option], command=wish.name)

    async def _post(self, ask: CommandContext, card: Card, place: int = 0) -> None:
        await self._writer.post(
            OutgoingMessage(
                destination=ask.place.destination,
                card=card,
                language=ask.language,
                key=self._key(ask) if place == 0 else f"{self._key(ask)}:{place}",
                reply_to=None if ask.place.is_private else ask.message_id,
                incident_id=ask.incident_id,
            )
        )

    def _key(self, ask: CommandContext) -> str:
        return f"talk:{ask.key}"


async def _is_set_within(event: asyncio.Event, limit_s: float) -> bool:
    try:
        async with asyncio.timeout(limit_s):
            return await event.wait()
    except TimeoutError:
        return False


def _without_name(words: str, username: str) -> str:
    mention = f"@{username}"
    at = words.lower().find(mention.lower())
    return words if at < 0 else f"{words[:at]}{words[at + len(mention) :]}".strip(" ,:\n") or words
