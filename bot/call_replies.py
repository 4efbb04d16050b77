"""Replies to a person's calls in the chat they came from: approval request, progress, outcome."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from bot.bot_deps import BotDeps
from bot.delivery.destinations import chat_destination
from bot.notifier import TelegramNotifier
from core.actions.approvals import Approval
from core.actions.calls import CallRecord
from core.actions.catalog import JsonObject
from core.actions.executor import CallFinished
from core.actions.gateway import ApprovalAsked, ApprovalClosed
from core.actions.gateway import call_description as call_says
from core.actions.policy import ActorKind
from core.decisions import ApprovalDecided
from core.incidents.incident_notices import IncidentNotices
from core.notifications import OutgoingMessage
from core.text import LANGUAGES
from core.views.call_cards import end_card, group_card, group_end_card, question_card, running_card
from core.views.cards import Card
from knowledge.outbox_worker import OutboxWriter

CALLS_RESYNCED = 50


class CallReplies:
    """Subscribes to the bus and writes to the outbox; every card is built from the records."""

    def __init__(
        self, face: BotDeps, writer: OutboxWriter, notifier: TelegramNotifier, notices: IncidentNotices
    ) -> None:
        self._face = face
        self._writer = writer
        self._notifier = notifier
        self._notices = notices
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def subscribe(self) -> None:
        """Subscribe to approvals and to finished calls."""
        bus = self._face.bus
        bus.subscribe(ApprovalAsked, self._question_moved)
        bus.subscribe(ApprovalClosed, self._question_moved)
        bus.subscribe(ApprovalDecided, self._confirmed)
        bus.subscribe(CallFinished, self._finished)

    async def resync(self) -> None:
        """Catch up after a start: post pending approvals, and outcomes that may not have been posted."""
        for approval in await self._face.gateway.approvals.pending():
            await self._show_question(approval)
        for run in await self._face.runs.list(kind="call", limit=CALLS_RESYNCED):
            record = await self._face.gateway.ledger.get(str(run.payload.get("key", "")))
            if record is not None and record.state.is_final:
                await self._tell_end(record)

    # -- approvals ---------------------------------------------------------------------------------------------------

    async def _confirmed(self, event: ApprovalDecided) -> None:
        """Update the card of an approval: a confirmation may have been added."""
        if event.approval.incident_id is not None:
            self._notices.mark(event.approval.incident_id)
        else:
            await self._show_question(event.approval)

    async def _question_moved(self, event: ApprovalAsked | ApprovalClosed) -> None:
        await self._show_question(event.approval)

    async def _show_question(self, approval: Approval) -> None:
        if approval.incident_id is not None or not approval.call_keys:
            return
        record = await self._face.gateway.ledger.get(approval.call_keys[0])
        if record is None:
            return
        async with self.lock(record.call.key):
            if await self._has_card(record):
                return
            now, zone = self._face.clock.now(), self._face.zone_of(None)
            await self._post(record, f"ask:{approval.id}", question_card(approval, now, zone, await self._face.names()))

    # -- under way, and the end --------------------------------------------------------------------------------------

    async def acknowledge(self, key: str) -> None:
        """Post the first reply to a call that is under way; calls of one group share one reply."""
        record = await self._face.gateway.ledger.get(key)
        if record is None or await self._has_card(record):
            return
        group = record.call.origin.get("group")
        stem = str(group[0]) if isinstance(group, list) else key
        async with self.lock(stem):
            if isinstance(group, list):
                await self._group(record, [str(one) for one in group])
                return
            record = await self._face.gateway.ledger.get(key) or record
            if await self._has_card(record):
                return
            first = f"run:{key}"
            if record.state.is_final and not await self._writer.was_said(first):
                return  # it ended at once: the outcome is enough
            await self._post(record, first, running_card(call_says(record.call), record.state))
        if record.state.is_final:
            self._locks.pop(stem, None)

    async def _finished(self, event: CallFinished) -> None:
        await self._tell_end(event.record)

    async def _tell_end(self, record: CallRecord) -> None:
        """Post the outcome to the person who requested the call, and update the first reply."""
        if record.call.incident_id is not None or record.call.actor.kind is not ActorKind.PERSON:
            return
        if await self._has_card(record):
            return
        if not isinstance(record.call.origin.get("group"), list):
            card = end_card(record, call_says(record.call), await self._face.names())
            await self._post(record, f"end:{record.call.key}", card, only_once=True)
        await self.acknowledge(record.call.key)

    async def _group(self, record: CallRecord, keys: Sequence[str]) -> None:
        found = [await self._face.gateway.ledger.get(key) for key in keys]
        records = [one for one in found if one is not None]
        await self._post(record, f"run:{keys[0]}", group_card(records))
        if all(one.state.is_final for one in records):
            await self._post(record, f"end:{keys[0]}", group_end_card(records), only_once=True)

    async def _has_card(self, record: CallRecord) -> bool:
        """Return whether the call's deploy has a card of its own that covers this state."""
        deploy = await self._face.deploys.get(record.call.key)
        return deploy is not None and (deploy.phase.is_over or not record.state.is_final)

    # -- where it came from ------------------------------------------------------------------------------------------

    def lock(self, key: str) -> asyncio.Lock:
        """Lock to hold while writing the first reply to a call, or the card that replaces it."""
        return self._locks[key]

    def reply(self, record: CallRecord, key: str, card: Card) -> OutgoingMessage | None:
        """Build a message for the chat a call came from, under `key`; None: it came from no chat."""
        origin = record.call.origin
        chat, language = origin.get("chat"), origin.get("language")
        if not isinstance(chat, int):
            return None
        return OutgoingMessage(
            destination=self._notifier.current(chat_destination(chat, _whole(origin, "thread"))),
            card=card,
            language=next((one for one in LANGUAGES if one == language), self._face.settings.language),
            key=key,
            reply_to=_whole(origin, "message"),
        )

    async def _post(self, record: CallRecord, key: str, card: Card, *, only_once: bool = False) -> None:
        message = self.reply(record, key, card)
        if message is not None:
            await self._writer.post(replace(message, only_once=only_once))


def _whole(origin: JsonObject, name: str) -> int | None:
    value = origin.get(name)
    return value if isinstance(value, int) else None
