"""Keeps one card per deploy true, in the chat where it was ordered, and says its verdict to whoever waits for it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import structlog

from bot.call_replies import CallReplies
from bot.chat_face_deps import BotDeps
from bot.delivery.outbox_worker import OutboxWriter
from bot.views import zone_of
from core.actions.calls import CallRecord
from core.actions.executor import CallFinished
from core.deployments.deploys import Deploy, DeployChanged, DeployPhase
from core.incidents.incident_notices import IncidentNotices
from core.views.deploy_card import deploy_card, verdict_line

TICK_S = 5.0
"""How often the seconds of a deploy that goes on are brought up to date."""
SHOWN_AGAIN = timedelta(hours=24)
"""At a start, deploys that ended so lately still get the last edit they may have missed."""
RECENT = 50
UNTOLD = frozenset({DeployPhase.CANCELLED})
"""Ends that somebody here ordered, and sees in the card."""
log = structlog.get_logger(__name__)


class DeployNotifier:
    """Listens to the bus and writes to the outbox; what it writes comes from the records alone."""

    def __init__(self, face: BotDeps, writer: OutboxWriter, replies: CallReplies, notices: IncidentNotices) -> None:
        self._face = face
        self._writer = writer
        self._replies = replies
        self._notices = notices
        self._live: dict[str, Deploy] = {}

    def subscribe(self) -> None:
        """Hear of everything that changes a card."""
        self._face.bus.subscribe(DeployChanged, self._changed)
        self._face.bus.subscribe(CallFinished, self._finished)

    async def resync(self) -> None:
        """After a start: bring every card to what the records say."""
        since = self._face.clock.now() - SHOWN_AGAIN
        recent = await self._face.deploys.recent(RECENT, since=since)
        known = {one.key: one for one in [*await self._face.deploys.unfinished(), *reversed(recent)]}
        for deploy in known.values():
            await self._take(deploy)

    async def run(self) -> None:
        """Let the seconds of what goes on pass; until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            for deploy in tuple(self._live.values()):
                await self._show(deploy, is_urgent=False)

    async def _changed(self, event: DeployChanged) -> None:
        is_news = event.before is None or event.before.phase is not event.deploy.phase
        await self._take(event.deploy, is_urgent=is_news)

    async def _finished(self, event: CallFinished) -> None:
        """The order itself may have failed: then nobody follows the deploy, and its card ends with the call."""
        deploy = await self._face.deploys.get(event.record.call.key)
        if deploy is not None:
            await self._show(deploy, is_urgent=True)
            self._live.pop(deploy.key, None)

    async def _take(self, deploy: Deploy, *, is_urgent: bool = True) -> None:
        if deploy.phase.is_over:
            self._live.pop(deploy.key, None)
        else:
            self._live[deploy.key] = deploy
        await self._show(deploy, is_urgent=is_urgent)

    async def _show(self, deploy: Deploy, *, is_urgent: bool) -> None:
        if deploy.incident_id is not None:
            self._notices.mark(deploy.incident_id)
            return
        async with self._replies.lock(deploy.key):
            known = await self._face.deploys.get(deploy.key) or deploy
            record = await self._face.door.ledger.get(deploy.key)
            if record is not None:
                await self._write(known, record, is_urgent=is_urgent)

    async def _write(self, deploy: Deploy, record: CallRecord, *, is_urgent: bool) -> None:
        """The card takes the place of the call's first answer; the verdict that of its end."""
        view = await self._face.views.deploy(deploy, record, zone_of(self._face, None))
        # where it was asked, the question becomes the card
        key = f"ask:{record.approval_id}" if record.approval_id is not None else f"run:{deploy.key}"
        card = self._replies.reply(record, key, deploy_card(view))
        if card is None:
            return
        messages = [replace(card, is_urgent=is_urgent)]
        if deploy.phase.is_over and deploy.phase not in UNTOLD:
            end = self._replies.reply(record, f"end:{deploy.key}", verdict_line(deploy))
            messages += [replace(one, reply_to=None, under=key, only_once=True) for one in (end,) if one]
        await self._writer.post(*messages)
