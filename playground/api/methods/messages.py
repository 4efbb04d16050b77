"""Sending text, drafts and chat actions; deleting; reactions; pins."""

import json

from telegram.constants import ReactionEmoji

from playground.api.backend import BotApiBackend, bot_api_method
from playground.api.bot_api_wire import CallArguments, Json, bad_request
from playground.api.message_text import TEXT_LIMIT, read_formatted_text, read_message_text
from playground.chats.chat_records import MessageRecord
from playground.chats.posting import post_bot_message, post_message, text_fields

CHAT_ACTIONS = frozenset({
    "typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice", "upload_document",
    "choose_sticker", "find_location", "record_video_note", "upload_video_note",
})  # fmt: skip
DELETABLE_S = 48 * 3600  # a message older than 48 hours stays
DELETE_LIMIT = 100
REACTION_EMOJI = frozenset(emoji.value for emoji in ReactionEmoji)


@bot_api_method("sendMessage")
async def send_message(backend: BotApiBackend, arguments: CallArguments) -> Json:
    chat = backend.writable_chat(arguments)
    fields = text_fields(backend.world, read_message_text(arguments))
    if options := arguments.object("link_preview_options", "link preview options"):
        fields["link_preview_options"] = options
    return post_bot_message(backend, chat, arguments, fields).body


@bot_api_method("sendMessageDraft")
async def send_message_draft(backend: BotApiBackend, arguments: CallArguments) -> bool:
    chat = backend.writable_chat(arguments)
    if not chat.is_private:
        raise bad_request("PEER_ID_INVALID")
    if not arguments.integer("draft_id"):
        raise bad_request("DRAFT_ID_INVALID")
    content = read_formatted_text(arguments)
    if len(content.text) > TEXT_LIMIT:
        raise bad_request("message is too long")
    entities = backend.world.complete_entities(content.wire_entities())
    backend.ephemera.show(chat.id, arguments.integer("draft_id"), content.text, entities)
    return True


@bot_api_method("sendChatAction")
async def send_chat_action(backend: BotApiBackend, arguments: CallArguments) -> bool:
    chat = backend.writable_chat(arguments)
    action = arguments.text("action").lower()
    if action not in CHAT_ACTIONS:
        raise bad_request("wrong parameter action in request")
    backend.ephemera.act(chat.id, backend.thread(chat, arguments), action)
    return True


def _delete(backend: BotApiBackend, record: MessageRecord) -> None:
    record.deleted = True
    backend.world.save_message(record)


def _may_delete(backend: BotApiBackend, record: MessageRecord) -> bool:
    chat = backend.world.chats[record.chat_id]
    own = record.from_bot or chat.is_private or chat.bot_status == "administrator"
    return own and backend.world.clock.now() - int(record.body["date"]) < DELETABLE_S


@bot_api_method("deleteMessage")
async def delete_message(backend: BotApiBackend, arguments: CallArguments) -> bool:
    chat = backend.writable_chat(arguments)
    record = backend.world.message(chat.id, arguments.integer("message_id"))
    if record is None:
        raise bad_request("message to delete not found")
    if not _may_delete(backend, record):
        raise bad_request("message can't be deleted")
    _delete(backend, record)
    return True


@bot_api_method("deleteMessages")
async def delete_messages(backend: BotApiBackend, arguments: CallArguments) -> bool:
    """Delete several messages; unknown ones are skipped, as on the server."""
    chat = backend.writable_chat(arguments)
    ids = arguments.parsed("message_ids", "message identifiers")
    if not isinstance(ids, list) or not ids:
        raise bad_request("message identifiers are not specified")
    if len(ids) > DELETE_LIMIT:
        raise bad_request("too many message identifiers specified")
    records = [record for message_id in ids if (record := backend.world.message(chat.id, int(message_id)))]
    if not all(_may_delete(backend, record) for record in records):
        raise bad_request("message can't be deleted")
    for record in records:
        _delete(backend, record)
    return True


@bot_api_method("setMessageReaction")
async def set_message_reaction(backend: BotApiBackend, arguments: CallArguments) -> bool:
    chat = backend.writable_chat(arguments)
    record = backend.world.message(chat.id, arguments.integer("message_id"))
    if record is None:
        raise bad_request("message to react not found")
    reactions = arguments.objects("reaction", "reaction types")
    if len(reactions) > 1:
        raise bad_request("REACTIONS_TOO_MANY")
    for reaction in reactions:
        if reaction.get("type") != "emoji" or reaction.get("emoji") not in REACTION_EMOJI:
            raise bad_request("REACTION_INVALID")
    record.reactions.pop(str(backend.bot.id), None)
    if reactions:
        record.reactions[str(backend.bot.id)] = str(reactions[0]["emoji"])
    backend.world.save_message(record)
    return True


@bot_api_method("pinChatMessage")
async def pin_chat_message(backend: BotApiBackend, arguments: CallArguments) -> bool:
    chat = backend.writable_chat(arguments)
    backend.require_right(chat, "not enough rights to manage pinned messages in the chat")
    record = backend.world.message(chat.id, arguments.integer("message_id"))
    if record is None:
        raise bad_request("message to pin not found")
    if record.message_id not in chat.pinned:
        chat.pinned.append(record.message_id)
        backend.world.save_chat(chat)
        pinned = json.loads(json.dumps(record.body))
        silent = arguments.flag("disable_notification") or chat.is_private
        post_message(backend.world, chat, backend.bot, {"pinned_message": pinned}, silent=silent)
    return True


@bot_api_method("unpinChatMessage")
async def unpin_chat_message(backend: BotApiBackend, arguments: CallArguments) -> bool:
    chat = backend.writable_chat(arguments)
    backend.require_right(chat, "not enough rights to manage pinned messages in the chat")
    message_id = arguments.integer("message_id") or (chat.pinned[-1] if chat.pinned else 0)
    if message_id not in chat.pinned:
        raise bad_request("message to unpin not found")
    chat.pinned.remove(message_id)
    backend.world.save_chat(chat)
    return True


@bot_api_method("unpinAllChatMessages")
async def unpin_all_chat_messages(backend: BotApiBackend, arguments: CallArguments) -> bool:
    chat = backend.writable_chat(arguments)
    backend.require_right(chat, "not enough rights to manage pinned messages in the chat")
    chat.pinned.clear()
    backend.world.save_chat(chat)
    return True
