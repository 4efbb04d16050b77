"""Answers to taps on inline buttons."""

from playground.api.backend import BotApiBackend, bot_api_method
from playground.api.bot_api_wire import CallArguments, bad_request

ANSWER_LIMIT = 200
ANSWERABLE_S = 150.0
CALLBACK_TOO_OLD = "query is too old and response timeout expired or query ID is invalid"


@bot_api_method("answerCallbackQuery")
async def answer_callback_query(backend: BotApiBackend, arguments: CallArguments) -> bool:
    tap = backend.world.taps.get(arguments.text("callback_query_id"))
    if tap is None or backend.world.clock.now() - tap.tapped_at > ANSWERABLE_S:
        raise bad_request(CALLBACK_TOO_OLD)
    text = arguments.text("text")
    if len(text) > ANSWER_LIMIT:
        raise bad_request("MESSAGE_TOO_LONG")
    if tap.answer is None:
        tap.answer = {"text": text, "show_alert": arguments.flag("show_alert"), "url": arguments.text("url")}
        backend.world.save_tap(tap)
    return True
