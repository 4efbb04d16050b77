"""Methods about chats and their members, and leaving a chat."""

from playground.api.backend import BotApiBackend, bot_api_method, chat_member
from playground.api.bot_api_wire import CallArguments, Json, bad_request
from playground.chats.posting import post_message


@bot_api_method("getChat")
async def get_chat(backend: BotApiBackend, arguments: CallArguments) -> Json:
    chat = backend.known_chat(arguments)
    wire = backend.world.chat_wire(chat) | {
        "accent_color_id": 0,
        "max_reaction_count": 11,
        "accepted_gift_types": {
            "unlimited_gifts": False,
            "limited_gifts": False,
            "unique_gifts": False,
            "premium_subscription": False,
            "gifts_from_channels": False,
        },
    }
    if chat.pinned and (pinned := backend.world.message(chat.id, chat.pinned[-1])):
        wire["pinned_message"] = pinned.body
    if not chat.is_private:
        wire["permissions"] = {"can_send_messages": True, "can_send_polls": True, "can_invite_users": True}
    return wire


@bot_api_method("getChatMember")
async def get_chat_member(backend: BotApiBackend, arguments: CallArguments) -> Json:
    chat = backend.known_chat(arguments)
    user = backend.world.users.get(arguments.integer("user_id"))
    if user is None:
        raise bad_request("PARTICIPANT_ID_INVALID")
    return chat_member(backend.world, chat, user)


@bot_api_method("getChatMemberCount")
async def get_chat_member_count(backend: BotApiBackend, arguments: CallArguments) -> int:
    chat = backend.known_chat(arguments)
    return len(chat.members) + (chat.bot_status in {"member", "administrator"})


@bot_api_method("getChatAdministrators")
async def get_chat_administrators(backend: BotApiBackend, arguments: CallArguments) -> list[Json]:
    chat = backend.known_chat(arguments)
    if chat.is_private:
        raise bad_request("there are no administrators in the private chat")
    people = [backend.world.users[user_id] for user_id in chat.administrators]
    if chat.bot_status == "administrator":
        people.append(backend.bot)
    return [chat_member(backend.world, chat, person) for person in people]


@bot_api_method("leaveChat")
async def leave_chat(backend: BotApiBackend, arguments: CallArguments) -> bool:
    chat = backend.writable_chat(arguments)
    if chat.is_private:
        raise bad_request("chat member status can't be changed in private chats")
    post_message(backend.world, chat, backend.bot, {"left_chat_member": backend.bot.wire()})
    chat.bot_status = "left"
    backend.world.save_chat(chat)
    return True
