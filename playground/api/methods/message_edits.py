"""Edits of the bot's own messages."""

from playground.api.backend import BotApiBackend, bot_api_method
from playground.api.bot_api_wire import CallArguments, Json, bad_request
from playground.api.message_text import read_caption, read_message_text
from playground.chats.chat_records import MessageRecord
from playground.chats.posting import text_fields
from playground.formatting.keyboards import read_reply_markup

NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current "
    "content and reply markup of the message"
)
_CONTENT = ("text", "entities", "caption", "caption_entities", "reply_markup")


def _apply(backend: BotApiBackend, record: MessageRecord, content: Json) -> Json:
    """Replace the content of the message; an edit without a keyboard removes the old one."""
    if {key: record.body[key] for key in _CONTENT if key in record.body} == content:
        raise bad_request(NOT_MODIFIED)
    body = {key: value for key, value in record.body.items() if key not in _CONTENT} | content
    record.body = body | {"edit_date": int(backend.world.clock.now())}
    backend.world.note_version(record)
    backend.world.save_message(record)
    return record.body


def _keyboard(arguments: CallArguments) -> Json:
    markup = read_reply_markup(arguments)
    return {"reply_markup": markup} if markup and "inline_keyboard" in markup else {}


@bot_api_method("editMessageText")
async def edit_message_text(backend: BotApiBackend, arguments: CallArguments) -> Json:
    record = backend.own_message(arguments)
    content = read_message_text(arguments)
    if "text" not in record.body:
        raise bad_request("there is no text in the message to edit")
    return _apply(backend, record, text_fields(backend.world, content) | _keyboard(arguments))


@bot_api_method("editMessageCaption")
async def edit_message_caption(backend: BotApiBackend, arguments: CallArguments) -> Json:
    record = backend.own_message(arguments)
    content = read_caption(arguments)
    if "photo" not in record.body and "document" not in record.body:
        raise bad_request("there is no caption in the message to edit")
    return _apply(backend, record, text_fields(backend.world, content, caption=True) | _keyboard(arguments))


@bot_api_method("editMessageReplyMarkup")
async def edit_message_reply_markup(backend: BotApiBackend, arguments: CallArguments) -> Json:
    record = backend.own_message(arguments)
    kept = {key: record.body[key] for key in _CONTENT if key in record.body and key != "reply_markup"}
    return _apply(backend, record, kept | _keyboard(arguments))
