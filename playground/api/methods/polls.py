"""Polls: sending and stopping; people vote through `PlaygroundPerson`."""

from playground.api.backend import BotApiBackend, bot_api_method
from playground.api.bot_api_wire import CallArguments, Json, bad_request
from playground.chats.posting import post_bot_message
from playground.formatting.keyboards import read_reply_markup

QUESTION_LIMIT = 300
OPTION_LIMIT = 100
OPTIONS_LIMIT = 12


def _options(arguments: CallArguments) -> list[str]:
    given = arguments.parsed("options", "poll options")
    if not isinstance(given, list) or not given:
        raise bad_request("poll must have at least 1 option")
    if len(given) > OPTIONS_LIMIT:
        raise bad_request(f"poll can't have more than {OPTIONS_LIMIT} options")
    texts = [str(option.get("text", "")) if isinstance(option, dict) else str(option) for option in given]
    for text in texts:
        if not text.strip():
            raise bad_request("poll options must be non-empty")
        if len(text) > OPTION_LIMIT:
            raise bad_request(f"poll options length must not exceed {OPTION_LIMIT}")
    return texts


@bot_api_method("sendPoll")
async def send_poll(backend: BotApiBackend, arguments: CallArguments) -> Json:
    chat = backend.writable_chat(arguments)
    question = arguments.text("question").strip()
    if not question:
        raise bad_request("poll question must be non-empty")
    if len(question) > QUESTION_LIMIT:
        raise bad_request(f"poll question length must not exceed {QUESTION_LIMIT}")
    poll: Json = {
        "id": str(backend.world.store.count_up("poll", 5_000_000_001)),
        "question": question,
        "options": [
            {"text": text, "voter_count": 0, "persistent_id": str(index)}
            for index, text in enumerate(_options(arguments))
        ],
        "total_voter_count": 0,
        "is_closed": arguments.flag("is_closed"),
        "is_anonymous": "is_anonymous" not in arguments.values or arguments.flag("is_anonymous"),
        "type": arguments.text("type", "regular") or "regular",
        "allows_multiple_answers": arguments.flag("allows_multiple_answers"),
        "allows_revoting": True,
        "members_only": False,
    }
    return post_bot_message(backend, chat, arguments, {"poll": poll}).body


@bot_api_method("stopPoll")
async def stop_poll(backend: BotApiBackend, arguments: CallArguments) -> Json:
    chat = backend.writable_chat(arguments)
    record = backend.world.message(chat.id, arguments.integer("message_id"))
    if record is None or "poll" not in record.body or not record.from_bot:
        raise bad_request("message with poll to stop not found")
    if record.body["poll"]["is_closed"]:
        raise bad_request("poll has already been closed")
    record.body["poll"]["is_closed"] = True
    record.body.pop("reply_markup", None)
    if markup := read_reply_markup(arguments):
        record.body["reply_markup"] = markup
    backend.world.note_version(record)
    backend.world.save_message(record)
    poll: Json = record.body["poll"]
    return poll
