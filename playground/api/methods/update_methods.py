"""getUpdates, the webhook methods, logOut and close."""

from playground.api.backend import BotApiBackend, bot_api_method
from playground.api.bot_api_wire import ApiError, CallArguments, Json
from playground.api.update_queue import WEBHOOK_ACTIVE

LOGGED_OUT_S = 600  # after logOut the account stays away from this server for ten minutes
MIN_CLOSE_AGE_S = 600  # close is refused during the first ten minutes


def _remember_allowed(backend: BotApiBackend, arguments: CallArguments) -> None:
    """Keep the previous filter when the parameter is omitted; restore the default for an empty list."""
    allowed = arguments.parsed("allowed_updates", "allowed_updates")
    if isinstance(allowed, list):
        backend.updates.allow(allowed)


def _remove(backend: BotApiBackend, arguments: CallArguments) -> bool:
    backend.webhook.remove()
    if arguments.flag("drop_pending_updates"):
        backend.updates.drop(backend.updates.pending)
    return True


@bot_api_method("getUpdates")
async def get_updates(backend: BotApiBackend, arguments: CallArguments) -> list[Json]:
    if backend.webhook.url:
        raise ApiError(409, WEBHOOK_ACTIVE)
    _remember_allowed(backend, arguments)
    limit = arguments.integer("limit", 100)
    return await backend.updates.fetch(
        offset=arguments.integer("offset"),
        limit=limit if 1 <= limit <= 100 else 100,
        timeout_s=max(arguments.integer("timeout"), 0),
    )


@bot_api_method("setWebhook")
async def set_webhook(backend: BotApiBackend, arguments: CallArguments) -> bool:
    url = arguments.text("url")
    if not url:
        return _remove(backend, arguments)
    backend.webhook.set(
        url, secret=arguments.text("secret_token"), max_connections=arguments.integer("max_connections")
    )
    _remember_allowed(backend, arguments)
    if arguments.flag("drop_pending_updates"):
        backend.updates.drop(backend.updates.pending)
    backend.updates.end_poll("Conflict: terminated by setWebhook request")
    return True


@bot_api_method("deleteWebhook")
async def delete_webhook(backend: BotApiBackend, arguments: CallArguments) -> bool:
    return _remove(backend, arguments)


@bot_api_method("getWebhookInfo")
async def get_webhook_info(backend: BotApiBackend, arguments: CallArguments) -> Json:
    return backend.webhook.info()


@bot_api_method("logOut")
async def log_out(backend: BotApiBackend, arguments: CallArguments) -> bool:
    backend.logged_out_until = backend.world.clock.now() + LOGGED_OUT_S
    backend.updates.end_poll("")
    return True


@bot_api_method("close")
async def close(backend: BotApiBackend, arguments: CallArguments) -> bool:
    remaining = int(backend.started_at + MIN_CLOSE_AGE_S - backend.world.clock.now())
    if remaining > 0:
        raise ApiError(429, f"Too Many Requests: retry after {remaining}", {"retry_after": remaining})
    backend.updates.end_poll("")
    return True


@bot_api_method("getMe")
async def get_me(backend: BotApiBackend, arguments: CallArguments) -> Json:
    return backend.bot.wire() | {
        "can_join_groups": True,
        "can_read_all_group_messages": False,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
        "has_topics_enabled": False,
        "allows_users_to_create_topics": False,
    }
