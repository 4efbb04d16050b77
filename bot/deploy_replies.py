"""Keeps one card per deploy up to date in the chat it was requested in, and posts the verdict there."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import structlog

from bot.bot_deps import BotDeps
from bot.call_replies import CallReplies
from core.actions.calls import CallRecord
from core.actions.executor import CallFinished
from core.deployments.deploys import Deploy, DeployChanged, DeployPhase
from core.incidents.incident_notices import IncidentNotices
from core.views.deploy_card import deploy_card, verdict_line
from knowledge.outbox_worker import OutboxWriter

CARD_UPDATE_EVERY_S = 5.0
"""Interval at which the elapsed time on the card of a running deploy is updated."""
RESYNC_SPAN = timedelta(hours=24)
"""Deploys that ended within this time get their last edit again at a start: they may have missed it."""
DEPLOYS_RESYNCED = 50
PHASES_WITHOUT_VERDICT = frozenset({DeployPhase.CANCELLED})
"""Outcomes without a message of their own: a person requested them here and sees them on the card."""
log = structlog.get_logger(__name__)


class DeployReplies:
    """Subscribes to the bus and writes to the outbox; every card is built from the records."""

    def __init__(self, face: BotDeps, writer: OutboxWriter, replies: CallReplies, notices: IncidentNotices) -> None:
        self._face = face
        self._writer = writer
        self._replies = replies
        self._notices = notices
        self._live: dict[str, Deploy] = {}

    def subscribe(self) -> None:
        """Subscribe to everything that changes a card."""
        self._face.bus.subscribe(DeployChanged, self._changed)
        self._face.bus.subscribe(CallFinished, self._finished)

    async def resync(self) -> None:
        """Bring every card up to date after a start."""
        since = self._face.clock.now() - RESYNC_SPAN
        recent = await self._face.deploys.recent(DEPLOYS_RESYNCED, since=since)
        known = {one.key: one for one in [*await self._face.deploys.unfinished(), *reversed(recent)]}
        for deploy in known.values():
            await self._take(deploy)

    async def run(self) -> None:
        """Update the elapsed time of running deploys until cancelled."""
        while True:
            await asyncio.sleep(CARD_UPDATE_EVERY_S)
            for deploy in tuple(self._live.values()):
                await self._show(deploy, is_urgent=False)

    async def _changed(self, event: DeployChanged) -> None:
        is_news = event.before is None or event.before.phase is not event.deploy.phase
        await self._take(event.deploy, is_urgent=is_news)

    async def _finished(self, event: CallFinished) -> None:
        """Update the card once more: nobody follows the deploy if the call itself failed."""
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
            record = await self._face.gateway.ledger.get(deploy.key)
            if record is not None:
                await self._write(known, record, is_urgent=is_urgent)

    async def _write(self, deploy: Deploy, record: CallRecord, *, is_urgent: bool) -> None:
        """Write the card in place of the call's first reply, and the verdict in place of its outcome."""
        view = await self._face.views.deploy(deploy, record, self._face.zone_of(None))
        # a call that needed an approval: its request becomes the card
        key = f"ask:{record.approval_id}" if record.approval_id is not None else f"run:{deploy.key}"
        card = self._replies.reply(record, key, deploy_card(view))
        if card is None:
            return
        messages = [replace(card, is_urgent=is_urgent)]
        if deploy.phase.is_over and deploy.phase not in PHASES_WITHOUT_VERDICT:
            end = self._replies.reply(record, f"end:{deploy.key}", verdict_line(deploy))
            messages += [replace(one, reply_to=None, under=key, only_once=True) for one in (end,) if one]
        await self._writer.post(*messages)
