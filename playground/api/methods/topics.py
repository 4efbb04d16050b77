"""Forum topics of supergroups."""

from playground.api.backend import BotApiBackend, bot_api_method
from playground.api.bot_api_wire import CallArguments, Json, bad_request
from playground.chats.chat_records import ChatRecord, TopicRecord
from playground.chats.posting import post_message

TOPIC_NAME_LIMIT = 128
NO_TOPIC_RIGHT = (
    "not enough rights to manage topics in the chat"  # the real wording differs between methods and versions
)
TOPIC_COLORS = frozenset({7322096, 16766590, 13338331, 9367192, 16749490, 16478047})


def _forum(backend: BotApiBackend, arguments: CallArguments) -> ChatRecord:
    chat = backend.writable_chat(arguments)
    if not chat.is_forum:
        raise bad_request("the chat is not a forum")
    backend.require_right(chat, NO_TOPIC_RIGHT)
    return chat


def _topic(chat: ChatRecord, arguments: CallArguments) -> TopicRecord:
    topic = chat.topics.get(str(arguments.integer("message_thread_id")))
    if topic is None:
        raise bad_request("message thread not found")
    return topic


def _name(arguments: CallArguments) -> str:
    name = arguments.text("name").strip()
    if not name or len(name) > TOPIC_NAME_LIMIT:
        raise bad_request("TOPIC_TITLE_EMPTY" if not name else "TOPIC_TITLE_TOO_LONG")
    return name


@bot_api_method("createForumTopic")
async def create_forum_topic(backend: BotApiBackend, arguments: CallArguments) -> Json:
    chat = _forum(backend, arguments)
    color = arguments.integer("icon_color", 7322096)
    topic = TopicRecord(thread_id=0, name=_name(arguments), icon_color=color if color in TOPIC_COLORS else 7322096)
    created = {"forum_topic_created": {"name": topic.name, "icon_color": topic.icon_color}}
    record = post_message(backend.world, chat, backend.bot, created)
    topic.thread_id = record.message_id
    record.body |= {"message_thread_id": topic.thread_id, "is_topic_message": True}
    chat.topics[str(topic.thread_id)] = topic
    backend.world.save_message(record)
    backend.world.save_chat(chat)
    return topic.wire()


@bot_api_method("editForumTopic")
async def edit_forum_topic(backend: BotApiBackend, arguments: CallArguments) -> bool:
    chat = _forum(backend, arguments)
    topic = _topic(chat, arguments)
    if "name" in arguments.values:
        name = _name(arguments)
        if name == topic.name:
            raise bad_request("TOPIC_NOT_MODIFIED")
        topic.name = name
    backend.world.save_chat(chat)
    post_message(
        backend.world, chat, backend.bot, {"forum_topic_edited": {"name": topic.name}}, thread_id=topic.thread_id
    )
    return True


def _set_closed(backend: BotApiBackend, arguments: CallArguments, is_closed: bool) -> bool:
    chat = _forum(backend, arguments)
    topic = _topic(chat, arguments)
    if topic.is_closed == is_closed:
        raise bad_request("TOPIC_NOT_MODIFIED")
    topic.is_closed = is_closed
    backend.world.save_chat(chat)
    service: Json = {"forum_topic_closed" if is_closed else "forum_topic_reopened": {}}
    post_message(backend.world, chat, backend.bot, service, thread_id=topic.thread_id)
    return True


@bot_api_method("closeForumTopic")
async def close_forum_topic(backend: BotApiBackend, arguments: CallArguments) -> bool:
    return _set_closed(backend, arguments, True)


@bot_api_method("reopenForumTopic")
async def reopen_forum_topic(backend: BotApiBackend, arguments: CallArguments) -> bool:
    return _set_closed(backend, arguments, False)


@bot_api_method("deleteForumTopic")
async def delete_forum_topic(backend: BotApiBackend, arguments: CallArguments) -> bool:
    chat = _forum(backend, arguments)
    topic = _topic(chat, arguments)
    del chat.topics[str(topic.thread_id)]
    for record in backend.world.messages.get(chat.id, {}).values():
        if record.body.get("message_thread_id") == topic.thread_id:
            record.deleted = True
            backend.world.save_message(record)
    backend.world.save_chat(chat)
    return True
