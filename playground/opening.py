"""Opens the playground beside the bot: people of the chat, and settings that connect the bot to it."""

from __future__ import annotations

from contextlib import AsyncExitStack

from pydantic import SecretStr

from core.errors import SettingsError
from core.settings import Settings
from playground.server import BotApiServer

PLAYGROUND_TOKEN = "100000001:local-playground-only-no-telegram-token"
ADMIN, VIEWER, STRANGER = 1, 2, 3


async def open_playground(settings: Settings, stack: AsyncExitStack) -> BotApiServer:
    """Start the chat page and its server, on this machine only; the person named in the settings is admin.

    Raises SettingsError when the port is taken.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    port = settings.playground.port
    server = BotApiServer(token=PLAYGROUND_TOKEN, state_path=settings.data_dir / "playground.db", port=port)
    try:
        await stack.enter_async_context(server)
    except OSError as error:
        raise SettingsError(
            f"playground.port {port} cannot be opened ({error.strerror}); "
            "set another one with INFRAGUARDIAN_PLAYGROUND__PORT (0: any free port)"
        ) from error
    server.person(ADMIN, settings.playground.person, language_code=settings.language, note="admin")
    server.person(VIEWER, "Grace", language_code="es", note="viewer")
    server.person(STRANGER, "Mallory", note="stranger")
    return server


def settings_for_playground(settings: Settings, server: BotApiServer) -> Settings:
    """Return the settings with the playground in place of Telegram."""
    telegram = settings.telegram.model_copy(
        update={
            "token": SecretStr(PLAYGROUND_TOKEN),
            "api_url": server.base_url.removesuffix("/bot"),
            "admins": (*settings.telegram.admins, ADMIN),
            "viewers": (*settings.telegram.viewers, VIEWER),
            "webhook_url": None,
        }
    )
    return settings.model_copy(update={"telegram": telegram})
