"""Checks Telegram for `infraguardian check`: the token, a leftover webhook, a known admin."""

from __future__ import annotations

from collections.abc import AsyncIterator

from telegram import Bot
from telegram.error import InvalidToken, TelegramError
from telegram.request import HTTPXRequest

from core.integration import CheckLine
from core.settings import TelegramSettings
from core.text import text

TELEGRAM_CHECK_LIMIT_S = 10.0


async def check(settings: TelegramSettings, *, has_admin: bool) -> AsyncIterator[CheckLine]:
    """Check the token, the webhook and the admin; a single line when there is no token."""
    if settings.token is None:
        yield CheckLine(name=text("check.no_token"), ok=True)
        return
    request = HTTPXRequest(connect_timeout=TELEGRAM_CHECK_LIMIT_S, read_timeout=TELEGRAM_CHECK_LIMIT_S)
    bot = Bot(settings.token.get_secret_value(), base_url=f"{settings.api_url}/bot", request=request)
    try:
        me = await bot.get_me()
        hook = await bot.get_webhook_info()
    except InvalidToken:
        yield CheckLine(
            name=text("check.token_wrong"),
            ok=False,
            problem=text("check.token_refused"),
            next_step=text("check.next.token"),
        )
        return
    except TelegramError as error:
        yield CheckLine(
            name=text("check.telegram_down", url=settings.api_url),
            ok=False,
            problem=text("check.problem", problem=type(error).__name__),
            next_step=text("check.next.telegram"),
        )
        return
    finally:
        await request.shutdown()
    yield CheckLine(name=text("check.token", name=f"@{me.username}"), ok=True)
    if hook.url and settings.webhook_url is None:
        yield CheckLine(
            name=text("check.webhook"),
            ok=False,
            problem=text("check.webhook_set"),
            next_step=text("check.next.webhook"),
        )
    yield CheckLine(
        name=text("check.admin" if has_admin else "check.no_admin"),
        ok=has_admin,
        next_step=None if has_admin else text("check.next.admin"),
    )
