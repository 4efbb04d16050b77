"""Receives updates by webhook: a route of the web application that answers only after the update is stored."""

from __future__ import annotations

import hashlib
import json
from hmac import compare_digest

import structlog
from aiohttp import web

from bot.delivery.telegram_client import TelegramClient
from bot.incoming.inbox import ALLOWED_UPDATES, InboxWorker
from core.errors import SettingsError, SystemUnavailable
from core.settings import TelegramSettings

TELEGRAM_SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
BODY_LIMIT_BYTES = 512 * 1024
"""Far above any Telegram update."""
WEBHOOK_CONNECTIONS = 20
log = structlog.get_logger(__name__)


class TelegramWebhook:
    """Receives Telegram's requests; one without the secret gets 404."""

    def __init__(self, url: str, secret: str, reception: InboxWorker) -> None:
        self._secret = secret
        self._reception = reception
        # unguessable for whoever does not know the secret, and the same after every start
        self.path = f"/telegram/{hashlib.sha256(f'path {secret}'.encode()).hexdigest()[:32]}"
        self._url = url.rstrip("/") + self.path

    @classmethod
    def wanted(cls, settings: TelegramSettings, reception: InboxWorker) -> TelegramWebhook | None:
        """Build the configured webhook; None: the settings use polling."""
        if settings.webhook_url is None:
            return None
        if settings.webhook_secret is None:
            raise SettingsError(
                "telegram.webhook_url is set, but telegram.webhook_secret is not; "
                "set it to a random word of letters and digits (openssl rand -hex 32)"
            )
        return cls(settings.webhook_url, settings.webhook_secret.get_secret_value(), reception)

    def mount(self, application: web.Application) -> None:
        """Add the route."""
        application.router.add_post(self.path, self._take)

    async def register(self, client: TelegramClient) -> None:
        """Register the webhook with Telegram."""
        await client.bot.set_webhook(
            self._url,
            secret_token=self._secret,
            allowed_updates=ALLOWED_UPDATES,
            max_connections=WEBHOOK_CONNECTIONS,
            drop_pending_updates=False,
        )

    async def _take(self, request: web.Request) -> web.Response:
        brought = request.headers.get(TELEGRAM_SECRET_HEADER, "")
        if not compare_digest(brought.encode(), self._secret.encode()):
            return web.Response(status=404)
        if (request.content_length or 0) > BODY_LIMIT_BYTES:
            return web.Response(status=413)
        try:
            raw = json.loads(await request.read())
        except ValueError:
            return web.Response(status=400)
        if not isinstance(raw, dict):
            return web.Response(status=400)
        try:
            await self._reception.take([raw])
        except SystemUnavailable as error:
            log.warning("an update could not be stored; Telegram sends it again", why=str(error))
            return web.Response(status=503, headers={"Retry-After": "2"})
        return web.Response()
