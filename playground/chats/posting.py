"""Adds messages to chats with ids, dates, replies and topics; for the bot and for people alike."""

from dataclasses import dataclass

from playground.api.backend import BotApiBackend
from playground.api.bot_api_wire import CallArguments, Json, bad_request
from playground.api.message_text import FormattedText
from playground.chats.chat_records import ChatRecord, MessageRecord, UserRecord
from playground.chats.chat_world import PlaygroundState
from playground.formatting.keyboards import read_reply_markup


@dataclass(frozen=True, kw_only=True)
class ReplyTarget:
    """The message replied to, and the quoted part of it."""

    message: MessageRecord
    quote: Json | None = None


def text_fields(world: PlaygroundState, content: FormattedText, *, caption: bool = False) -> Json:
    """Return text and entities as fields of a Message object."""
    if not content.text:
        return {}
    fields: Json = {"caption" if caption else "text": content.text}
    if entities := world.complete_entities(content.wire_entities()):
        fields["caption_entities" if caption else "entities"] = entities
    return fields


def post_message(
    world: PlaygroundState,
    chat: ChatRecord,
    sender: UserRecord,
    fields: Json,
    *,
    thread_id: int = 0,
    reply: ReplyTarget | None = None,
    silent: bool = False,
) -> MessageRecord:
    """Add a message to the chat and return it; `fields`: its content as fields of a Message object."""
    body: Json = {
        "message_id": world.next_message_id(chat),
        "from": sender.wire(),
        "chat": world.chat_wire(chat),
        "date": int(world.clock.now()),
    }
    if thread_id:
        body |= {"message_thread_id": thread_id, "is_topic_message": True}
    if reply is not None:
        body["reply_to_message"] = {k: v for k, v in reply.message.body.items() if k != "reply_to_message"}
        if reply.quote:
            body["quote"] = reply.quote
    body |= fields
    record = MessageRecord(
        chat_id=chat.id, message_id=body["message_id"], body=body, from_bot=sender.id == world.bot.id, silent=silent
    )
    world.note_version(record)
    world.save_message(record)
    return record


def reply_target(backend: BotApiBackend, chat: ChatRecord, arguments: CallArguments) -> ReplyTarget | None:
    """Return the message that a call replies to, by `reply_parameters` or by the older argument."""
    parameters = arguments.object("reply_parameters", "reply parameters") or {}
    message_id = int(parameters.get("message_id") or arguments.integer("reply_to_message_id"))
    if not message_id:
        return None
    record = backend.world.message(chat.id, message_id)
    if record is None:
        if parameters.get("allow_sending_without_reply") or arguments.flag("allow_sending_without_reply"):
            return None
        raise bad_request("message to be replied not found")
    quote = parameters.get("quote")
    if not quote:
        return ReplyTarget(message=record)
    position = record.text.find(str(quote))
    if position < 0:
        raise bad_request("QUOTE_TEXT_INVALID")
    return ReplyTarget(message=record, quote={"text": quote, "position": position, "is_manual": True})


def post_bot_message(backend: BotApiBackend, chat: ChatRecord, arguments: CallArguments, fields: Json) -> MessageRecord:
    """Send a message of the bot, with the arguments that all send methods share."""
    thread_id = backend.thread(chat, arguments)
    reply = reply_target(backend, chat, arguments)
    markup = read_reply_markup(arguments)
    if not thread_id and reply is not None and chat.is_forum:
        thread_id = int(reply.message.body.get("message_thread_id", 0))
    if markup and "inline_keyboard" in markup:
        fields = {**fields, "reply_markup": markup}
    if arguments.flag("protect_content"):
        fields = {**fields, "has_protected_content": True}
    if effect := arguments.text("message_effect_id"):
        fields = {**fields, "effect_id": effect}
    backend.ephemera.message_came(chat.id)
    silent = arguments.flag("disable_notification")
    record = post_message(backend.world, chat, backend.bot, fields, thread_id=thread_id, reply=reply, silent=silent)
    if markup and markup.get("force_reply"):
        record.force_reply = markup
        backend.world.save_message(record)
    return record
