"""Registers the bot's commands and descriptions with Telegram, by role and language; only when they changed."""

from __future__ import annotations

import hashlib
import json

import structlog
from telegram import Bot, BotCommand, BotCommandScope, BotCommandScopeChat, BotCommandScopeDefault

from bot.bot_deps import BotDeps
from bot.commands.command_table import listed_commands
from bot.delivery.telegram_client import TelegramClient
from core.actions.catalog import Role
from core.text import LANGUAGES, Language, text

DESCRIPTION_LIMIT = 256
MENU_DIGEST_KEY = "menu"
log = structlog.get_logger(__name__)


class CommandMenu:
    """Registers commands and descriptions."""

    def __init__(self, face: BotDeps, client: TelegramClient) -> None:
        self._face = face
        self._client = client

    async def introduce(self) -> None:
        """Register commands and descriptions if they changed; after a failure the next start tries again."""
        scopes: list[tuple[BotCommandScope, Role]] = [(BotCommandScopeDefault(), Role.VIEWER)]
        for person in await self._face.people.all():
            if person.role is not None and person.role is not Role.VIEWER:
                scopes.append((BotCommandScopeChat(person.user_id), person.role))
        wanted = [(scope, role, language) for scope, role in scopes for language in LANGUAGES]
        mark = self._mark([(str(scope.to_dict()), role) for scope, role, _ in wanted])
        if await self._face.changed.get(MENU_DIGEST_KEY) == mark:
            return
        is_done = True
        for scope, role, language in wanted:
            is_done = await self._commands(scope, role, language) and is_done
        for language in LANGUAGES:
            is_done = await self._describe(language) and is_done
        if is_done:
            await self._face.changed.put(MENU_DIGEST_KEY, mark, by="guardian")

    async def _commands(self, scope: BotCommandScope, role: Role, language: Language) -> bool:
        commands = [BotCommand(name, words) for name, words in self._listed(role, language)]
        code = None if language == "en" else language

        async def set_them(bot: Bot) -> bool:
            return await bot.set_my_commands(commands, scope=scope, language_code=code)

        # an admin who never wrote to the bot has no chat yet: that scope is refused, and set at a later start
        return await self._client.attempt(set_them, "setting the commands") is not None

    def _listed(self, role: Role, language: Language) -> list[tuple[str, str]]:
        return [
            (one.name, self._face.texts.render(text(f"command.{one.name}.about"), language)[:DESCRIPTION_LIMIT])
            for one in listed_commands()
            if (one.role is None or role.covers(one.role))
        ]

    async def _describe(self, language: Language) -> bool:
        code = None if language == "en" else language
        long = self._face.texts.render(text("chat.description"), language)[:512]
        short = self._face.texts.render(text("chat.short_description"), language)[:120]

        async def describe(bot: Bot) -> bool:
            await bot.set_my_description(long, language_code=code)
            return await bot.set_my_short_description(short, language_code=code)

        return await self._client.attempt(describe, "setting the description") is not None

    def _mark(self, scopes: list[tuple[str, Role]]) -> str:
        content = [self._listed(Role.ADMIN, language) for language in LANGUAGES]
        about = [self._face.texts.render(text("chat.description"), language) for language in LANGUAGES]
        exact = json.dumps([self._client.bot_id, scopes, content, about])
        return hashlib.sha256(exact.encode()).hexdigest()[:32]
