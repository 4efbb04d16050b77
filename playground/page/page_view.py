"""View of the chat page for one person, as JSON."""

from playground.api.backend import BotApiBackend
from playground.api.bot_api_wire import Json
from playground.api.methods.bot_profile import commands_for
from playground.chats.chat_records import ChatRecord, MessageRecord, UserRecord

HISTORY_LIMIT = 300  # newest messages of a chat that a page loads
PREVIEW_LIMIT = 120


def visible_chats(backend: BotApiBackend, user: UserRecord) -> list[ChatRecord]:
    """Return the person's private chat, then the groups they are in."""
    chats = [chat for chat in backend.world.chats.values() if user.id in chat.members and not chat.migrated_to]
    return sorted(chats, key=lambda chat: (not chat.is_private, chat.title))


def page_state(backend: BotApiBackend, user: UserRecord) -> Json:
    """Return everything but the messages: the bot, the people, the chats and their commands."""
    store = backend.world.store
    language = user.language_code

    def about(field: str, default: str = "") -> str:
        return str(store.get(f"bot {field}", language) or store.get(f"bot {field}", "") or default)

    people = [person for person in backend.world.users.values() if not person.is_bot]
    return {
        "type": "frame",
        "bot": {
            "id": backend.bot.id,
            "name": about("name", backend.bot.first_name),
            "username": backend.bot.username,
            "description": about("description"),
            "is_listening": backend.is_listening,
        },
        "me": _person(user),
        "people": [_person(person) for person in people],
        "chats": [_chat(backend, chat, user) for chat in visible_chats(backend, user)],
    }


def _person(user: UserRecord) -> Json:
    return {"id": user.id, "name": user.first_name, "note": user.note, "language": user.language_code,
            "has_blocked": user.has_blocked}  # fmt: skip


def _chat(backend: BotApiBackend, chat: ChatRecord, user: UserRecord) -> Json:
    pinned = [record for id in chat.pinned if (record := backend.world.message(chat.id, id)) is not None]
    return {
        "id": chat.id,
        "type": chat.type,
        "title": chat.title,
        "members": len(chat.members) + (chat.bot_status in {"member", "administrator"}),
        "topics": [{"id": topic.thread_id, "name": topic.name} for topic in chat.topics.values()],
        "pinned": {"id": pinned[-1].message_id, "text": message_preview(pinned[-1])} if pinned else None,
        "commands": commands_for(backend.world, chat, user),
    }


def history_view(backend: BotApiBackend, chat: ChatRecord, user: UserRecord) -> list[Json]:
    records = [record for record in backend.world.messages.get(chat.id, {}).values() if not record.deleted]
    return [message_view(backend, record, user) for record in records[-HISTORY_LIMIT:]]


def message_preview(record: MessageRecord) -> str:
    """Return one line about a message, for quotes and pins."""
    text = " ".join(record.text.split())
    if not text and "document" in record.body:
        text = str(record.body["document"]["file_name"])
    return text if len(text) <= PREVIEW_LIMIT else text[:PREVIEW_LIMIT].rstrip() + "…"


def message_view(backend: BotApiBackend, record: MessageRecord, user: UserRecord) -> Json:
    """Return one message as the page shows it."""
    if record.deleted:
        return {"id": record.message_id, "chat_id": record.chat_id, "is_deleted": True}
    body = record.body
    sender = body["from"]
    view: Json = {
        "id": record.message_id,
        "chat_id": record.chat_id,
        "is_own": sender["id"] == user.id,
        "from_bot": record.from_bot,
        "sender": {"id": sender["id"], "name": sender["first_name"]},
        "date": body["date"],
        "is_edited": "edit_date" in body,
        "is_silent": record.silent,
        "text": record.text,
        "entities": record.entities,
        "buttons": record.keyboard,
        "thread_id": body.get("message_thread_id", 0),
        "reactions": sorted(record.reactions.values()),
        "is_forwarded": "forward_origin" in body,
        "versions": [version.text for version in record.versions[:-1]],
        **_service(body),
        **_media(body),
    }
    if replied := body.get("reply_to_message"):
        original = backend.world.message(record.chat_id, replied["message_id"])
        view["reply"] = {"id": replied["message_id"], "name": replied["from"]["first_name"],
                         "text": message_preview(original) if original else ""}  # fmt: skip
    if "poll" in body:
        votes = backend.world.store.get("votes", body["poll"]["id"], {})
        view["poll"] = body["poll"] | {"own": votes.get(str(user.id), [])}
    if record.force_reply:
        view["asks_reply"] = {"placeholder": record.force_reply.get("input_field_placeholder", "")}
    return view


def _media(body: Json) -> Json:
    if "photo" in body:
        size = body["photo"][-1]
        return {"photo": {"file_id": size["file_id"], "width": size["width"], "height": size["height"]}}
    if "document" in body:
        document = body["document"]
        return {
            "document": {"file_id": document["file_id"], "name": document["file_name"], "size": document["file_size"]}
        }
    return {}


_SERVICES = (
    "pinned_message", "forum_topic_created", "forum_topic_edited", "forum_topic_closed", "forum_topic_reopened",
    "new_chat_members", "left_chat_member", "migrate_to_chat_id", "migrate_from_chat_id",
)  # fmt: skip


def _service(body: Json) -> Json:
    for kind in _SERVICES:
        if kind in body:
            detail = body[kind]
            name = detail.get("name", "") if isinstance(detail, dict) else ""
            if kind == "new_chat_members":
                name = ", ".join(member["first_name"] for member in detail)
            elif kind == "left_chat_member":
                name = detail["first_name"]
            return {"service": {"kind": kind, "name": name}}
    return {}
