"""The bot's profile: commands per scope and language, name, descriptions, menu button."""

import json
import re

from playground.api.backend import BotApiBackend, bot_api_method
from playground.api.bot_api_wire import CallArguments, Json, bad_request
from playground.chats.chat_records import ChatRecord, UserRecord
from playground.chats.chat_world import PlaygroundState

COMMANDS_LIMIT = 100
_COMMAND = re.compile(r"[a-z0-9_]{1,32}")
_SCOPE_FIELDS = {
    "default": (), "all_private_chats": (), "all_group_chats": (), "all_chat_administrators": (),
    "chat": ("chat_id",), "chat_administrators": ("chat_id",), "chat_member": ("chat_id", "user_id"),
}  # fmt: skip


def _scope(arguments: CallArguments) -> Json:
    """Return the scope reduced to the fields that identify it."""
    scope = arguments.object("scope", "BotCommandScope") or {"type": "default"}
    fields = _SCOPE_FIELDS.get(scope.get("type", ""))
    if fields is None:
        raise bad_request("can't parse BotCommandScope: unsupported type specified")
    if any(field not in scope for field in fields):
        raise bad_request("can't parse BotCommandScope: a field is missing")
    return {"type": scope["type"], **{field: int(scope[field]) for field in fields}}


def _key(scope: Json, language: str) -> str:
    return json.dumps([scope, language], sort_keys=True)


@bot_api_method("setMyCommands")
async def set_my_commands(backend: BotApiBackend, arguments: CallArguments) -> bool:
    commands = arguments.objects("commands", "BotCommand")
    if len(commands) > COMMANDS_LIMIT:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    for command in commands:
        if not _COMMAND.fullmatch(str(command.get("command", "")).removeprefix("/")):
            raise bad_request("BOT_COMMAND_INVALID")
        if not 1 <= len(str(command.get("description", "")).strip()) <= 256:
            raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    kept = [
        {"command": str(c["command"]).removeprefix("/"), "description": str(c["description"]).strip()} for c in commands
    ]
    backend.world.store.put("commands", _key(_scope(arguments), arguments.text("language_code")), kept)
    backend.world.changes.publish({"type": "commands"})
    return True


@bot_api_method("getMyCommands")
async def get_my_commands(backend: BotApiBackend, arguments: CallArguments) -> list[Json]:
    commands: list[Json] = backend.world.store.get(
        "commands", _key(_scope(arguments), arguments.text("language_code")), []
    )
    return commands


@bot_api_method("deleteMyCommands")
async def delete_my_commands(backend: BotApiBackend, arguments: CallArguments) -> bool:
    backend.world.store.delete("commands", _key(_scope(arguments), arguments.text("language_code")))
    backend.world.changes.publish({"type": "commands"})
    return True


def commands_for(world: PlaygroundState, chat: ChatRecord, user: UserRecord) -> list[Json]:
    """Return the commands a person sees in a chat: the most specific scope first, then the language."""
    here = {"chat_id": chat.id}
    scopes: list[Json] = [{"type": "chat", **here}, {"type": "all_private_chats"}]
    if not chat.is_private:
        is_admin = user.id in chat.administrators
        scopes = [
            {"type": "chat_member", **here, "user_id": user.id},
            *([{"type": "chat_administrators", **here}] if is_admin else []),
            {"type": "chat", **here},
            *([{"type": "all_chat_administrators"}] if is_admin else []),
            {"type": "all_group_chats"},
        ]
    for scope in [*scopes, {"type": "default"}]:
        for language in (user.language_code, ""):
            commands: list[Json] = world.store.get("commands", _key(scope, language), [])
            if commands:
                return commands
    return []


def _text_setting(name: str, limit: int) -> None:
    """Register the set… and get… methods of a text that the bot may have in several languages."""
    field = {"Name": "name", "Description": "description", "ShortDescription": "short_description"}[name]

    @bot_api_method(f"setMy{name}")
    async def set_text(backend: BotApiBackend, arguments: CallArguments) -> bool:
        value = arguments.text(field).strip()
        if len(value) > limit:
            raise bad_request(f"the bot's {field.replace('_', ' ')} is too long")
        backend.world.store.put(f"bot {field}", arguments.text("language_code"), value)
        if field == "name" and value and not arguments.text("language_code"):
            backend.bot.first_name = value
            backend.world.save_user(backend.bot)
        backend.world.changes.publish({"type": "profile"})
        return True

    @bot_api_method(f"getMy{name}")
    async def get_text(backend: BotApiBackend, arguments: CallArguments) -> Json:
        default = backend.bot.first_name if field == "name" else ""
        general = backend.world.store.get(f"bot {field}", "", default)
        return {field: backend.world.store.get(f"bot {field}", arguments.text("language_code"), general) or default}


_text_setting("Name", 64)
_text_setting("Description", 512)
_text_setting("ShortDescription", 120)


@bot_api_method("setChatMenuButton")
async def set_chat_menu_button(backend: BotApiBackend, arguments: CallArguments) -> bool:
    button = arguments.object("menu_button", "MenuButton") or {"type": "default"}
    if button.get("type") not in {"commands", "web_app", "default"}:
        raise bad_request("MenuButton has unsupported type")
    backend.world.store.put("menu button", arguments.integer("chat_id"), button)
    return True


@bot_api_method("getChatMenuButton")
async def get_chat_menu_button(backend: BotApiBackend, arguments: CallArguments) -> Json:
    general = backend.world.store.get("menu button", 0, {"type": "commands"})
    button: Json = backend.world.store.get("menu button", arguments.integer("chat_id"), general)
    return button
