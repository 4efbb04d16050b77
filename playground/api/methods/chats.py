"""Methods about chats and their members, and leaving a chat."""

from playground.api.backend import Backend, member_wire, method
from playground.api.bot_api_wire import Arguments, Json, bad_request
from playground.chats.posting import put_message


@method("getChat")
async def get_chat(backend: Backend, arguments: Arguments) -> Json:
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


@method("getChatMember")
async def get_chat_member(backend: Backend, arguments: Arguments) -> Json:
    chat = backend.known_chat(arguments)
    user = backend.world.users.get(arguments.integer("user_id"))
    if user is None:
        raise bad_request("PARTICIPANT_ID_INVALID")
    return member_wire(backend.world, chat, user)


@method("getChatMemberCount")
async def get_chat_member_count(backend: Backend, arguments: Arguments) -> int:
    chat = backend.known_chat(arguments)
    return len(chat.members) + (chat.bot_status in {"member", "administrator"})


@method("getChatAdministrators")
async def get_chat_administrators(backend: Backend, arguments: Arguments) -> list[Json]:
    chat = backend.known_chat(arguments)
    if chat.is_private:
        raise bad_request("there are no administrators in the private chat")
    people = [backend.world.users[user_id] for user_id in chat.administrators]
    if chat.bot_status == "administrator":
        people.append(backend.bot)
    return [member_wire(backend.world, chat, person) for person in people]


@method("leaveChat")
async def leave_chat(backend: Backend, arguments: Arguments) -> bool:
    chat = backend.writable_chat(arguments)
    if chat.is_private:
        raise bad_request("chat member status can't be changed in private chats")
    put_message(backend.world, chat, backend.bot, {"left_chat_member": backend.bot.wire()})
    chat.bot_status = "left"
    backend.world.save_chat(chat)
    return True
