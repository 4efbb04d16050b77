"""Every fault seen in the wild: what helps is tried at most twice, what does not is said at once."""

import asyncio
from contextlib import aclosing

import pytest

from core.errors import ModelFailed, ModelFailure
from core.language_model import Effort, ModelRequest, explain
from integrations.ollama.client import OllamaModel
from knowledge.config.text_files import load_texts
from tests.integrations.ollama.conftest import MakeModel, until
from tests.integrations.ollama.requests import GOOD_VERDICT, Verdict, for_verdict, talk, with_tools
from tests.standins.ollama import OllamaStandIn
from tests.standins.ollama_replies import (
    Reply,
    breaks_midway,
    busy,
    calls,
    cut,
    empty,
    model_missing,
    polluted_call,
    reset,
    same_call_for_ever,
    says,
    slow_drip,
    slow_first_token,
    thought_too_long,
    unreadable_call,
    unreadable_call_midway,
    without_done,
)


async def failure_of(model: OllamaModel, request: ModelRequest) -> ModelFailed:
    with pytest.raises(ModelFailed) as caught:
        await model.ask(request)
    return caught.value


# -- what is not tried again ---------------------------------------------------------------------------------------


async def test_a_missing_model_is_said_with_the_command(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([model_missing()])
    failure = await failure_of(model, talk())
    assert failure.kind is ModelFailure.MISSING
    assert "ollama pull gpt-oss:20b" in str(failure)
    assert len(ollama.requests) == 1
    assert "`ollama pull gpt-oss:20b`" in load_texts().render(explain(failure), "es")


@pytest.mark.parametrize("fault", [without_done(), reset()], ids=["without done", "reset"])
async def test_a_truncated_answer_is_a_failure(ollama: OllamaStandIn, model: OllamaModel, fault: Reply) -> None:
    ollama.script([fault])
    failure = await failure_of(model, talk())
    assert failure.kind is ModelFailure.UNREACHABLE
    assert len(ollama.requests) == 1


async def test_an_error_within_the_stream(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([breaks_midway()])
    failure = await failure_of(model, talk())
    assert failure.kind is ModelFailure.SERVER_ERROR
    assert "CUDA error" in str(failure)
    assert model.is_up


async def test_an_unreachable_server_is_reported(ollama: OllamaStandIn, model: OllamaModel) -> None:
    await ollama.stop()
    failure = await failure_of(model, talk())
    assert failure.kind is ModelFailure.UNREACHABLE
    assert ollama.url in str(failure)
    assert not model.is_up


@pytest.mark.parametrize("fault", [slow_first_token(30), slow_drip("x" * 3000, 0.01)], ids=["no token", "drip"])
async def test_the_time_limit_holds_for_any_stream(ollama: OllamaStandIn, model: OllamaModel, fault: Reply) -> None:
    ollama.script([fault])
    failure = await failure_of(model, talk(time_limit_s=1.0))
    assert failure.kind is ModelFailure.TIMED_OUT
    await until(lambda: ollama.hung_up == 1)


async def test_a_silent_server_runs_into_the_setting(ollama: OllamaStandIn, make_model: MakeModel) -> None:
    ollama.script([slow_first_token(30)])
    failure = await failure_of(make_model(timeout_s=0.1), talk(time_limit_s=5))
    assert failure.kind is ModelFailure.TIMED_OUT


async def test_a_slow_answer_in_time_is_an_answer(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([slow_drip("slowly", 0.01)])
    assert (await model.ask(talk())).content == "slowly"


# -- what is tried again -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [unreadable_call(), unreadable_call_midway()], ids=["500", "line"])
async def test_an_unreadable_tool_call_is_asked_for_again(
    ollama: OllamaStandIn, model: OllamaModel, fault: Reply
) -> None:
    ollama.script([fault, fault, calls("disk_usage", {"host": "web1"})])
    answer = await model.ask(with_tools())
    assert answer.tool_call is not None
    assert answer.tries == 3
    assert "one line" in ollama.requests[1]["messages"][-1]["content"]


async def test_unreadable_tool_calls_end_after_two_retries(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([unreadable_call()] * 5)
    failure = await failure_of(model, with_tools())
    assert failure.kind is ModelFailure.MALFORMED
    assert len(ollama.requests) == 3


async def test_a_polluted_tool_name_is_cleaned(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([polluted_call("disk_usage", {"host": "web1"})])
    answer = await model.ask(with_tools())
    assert answer.tool_call is not None
    assert (answer.tool_call.name, answer.tries) == ("disk_usage", 1)


async def test_an_unknown_tool_is_refused_and_the_list_repeated(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([calls("docker_rm", {"name": "db"}), calls("disk_usage", {"host": "web1"})])
    answer = await model.ask(with_tools())
    assert answer.tool_call is not None
    assert answer.tool_call.name == "disk_usage"
    assert (answer.prompt_tokens, answer.output_tokens) == (600, 80)
    correction = ollama.requests[1]["messages"][-1]["content"]
    assert "docker_rm" in correction
    assert "disk_usage" in correction


async def test_a_loop_of_unknown_calls_ends_and_its_tokens_count(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script(same_call_for_ever("docker_rm", {"name": "db"}))
    failure = await failure_of(model, with_tools())
    assert failure.kind is ModelFailure.MALFORMED
    assert len(ollama.requests) == 3
    assert failure.tokens == 3 * 340


async def test_prose_instead_of_an_object_is_corrected(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([says("I think it is the disk."), says('{"cause": "moon", "confidence": 1}'), says(GOOD_VERDICT)])
    answer = await model.ask(for_verdict())
    assert answer.parsed == Verdict(cause="disk", confidence=0.9)
    said, note = ollama.requests[1]["messages"][-2:]
    assert (said["role"], said["content"]) == ("assistant", "I think it is the disk.")
    assert "JSON" in note["content"]
    assert "cause" in ollama.requests[2]["messages"][-1]["content"]


async def test_endless_prose_instead_of_an_object_is_given_up(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script(lambda request: says("I would rather talk."))
    failure = await failure_of(model, for_verdict())
    assert failure.kind is ModelFailure.MALFORMED
    assert len(ollama.requests) == 3


async def test_an_object_in_a_fence_is_taken(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([says(f"```json\n{GOOD_VERDICT}\n```")])
    assert (await model.ask(for_verdict())).tries == 1


async def test_the_caller_s_own_check_is_told_to_the_model(ollama: OllamaStandIn, model: OllamaModel) -> None:
    def knows_evidence(verdict: Verdict) -> str | None:
        return None if verdict.cause == "memory" else "there is no evidence e9"

    ollama.script([says(GOOD_VERDICT), says('{"cause": "memory", "confidence": 0.5}')])
    answer = await model.ask(for_verdict(check=knows_evidence))
    assert answer.parsed == Verdict(cause="memory", confidence=0.5)
    assert "no evidence e9" in ollama.requests[1]["messages"][-1]["content"]


async def test_prose_where_a_call_is_mandatory(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([says('I will call disk_usage(host="web1").'), calls("disk_usage", {"host": "web1"})])
    answer = await model.ask(with_tools(must_call=True))
    assert answer.tool_call is not None
    assert answer.tries == 2


async def test_an_empty_answer_is_retried_once(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([empty(), says("91 %")])
    assert (await model.ask(talk())).content == "91 %"
    ollama.script([empty()] * 3)
    assert (await failure_of(model, talk())).kind is ModelFailure.EMPTY


async def test_thinking_that_leaves_no_room_is_lowered_then_given_more(
    ollama: OllamaStandIn, model: OllamaModel
) -> None:
    ollama.script([thought_too_long(), thought_too_long(), says("91 %")])
    assert (await model.ask(talk(effort=Effort.MEDIUM))).content == "91 %"
    assert [body["think"] for body in ollama.requests] == ["medium", "low", "low"]
    assert [body["options"]["num_predict"] for body in ollama.requests] == [4096, 4096, 8192]
    ollama.script([thought_too_long()] * 3)
    assert (await failure_of(model, talk())).kind is ModelFailure.TOO_LONG


async def test_an_answer_cut_in_mid_sentence_is_marked(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([cut("The disk is"), cut("The disk is")])
    assert (await model.ask(talk())).is_cut
    assert "".join([piece async for piece in model.stream(talk())]) == "The disk is…"


async def test_a_busy_server_is_waited_for(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([busy(), busy(), says("91 %")])
    assert (await model.ask(talk())).content == "91 %"
    assert model.is_up


async def test_a_server_that_stays_busy_is_said(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([busy()] * 9)
    failure = await failure_of(model, talk())
    assert failure.kind is ModelFailure.BUSY
    assert len(ollama.requests) == 3


@pytest.mark.parametrize("raw", ['{"model"', "<html>bad gateway</html>\n", '{"done": true, "message": 7}\n', "\n\n"])
async def test_an_answer_that_is_not_ollamas_is_a_typed_failure(
    ollama: OllamaStandIn, model: OllamaModel, raw: str
) -> None:
    ollama.script(lambda request: Reply(raw=raw))
    assert (await failure_of(model, talk())).kind is ModelFailure.MALFORMED


async def test_arguments_that_are_no_object_are_asked_for_again(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([calls("disk_usage", '{"host": "web1"}'), calls("disk_usage", {"host": "web1"})])
    answer = await model.ask(with_tools())
    assert answer.tool_call is not None
    assert answer.tries == 2


# -- streams -------------------------------------------------------------------------------------------------------


async def test_a_stream_shows_words_and_never_thinking(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([says("Disk is at 91 %.", thinking="SECRET THOUGHT")])
    pieces = [piece async for piece in model.stream(talk())]
    assert len(pieces) == 3
    assert "".join(pieces) == "Disk is at 91 %."


async def test_no_thinking_in_answers_or_their_printed_form(ollama: OllamaStandIn, model: OllamaModel) -> None:
    shown: list[str] = []

    async def show(so_far: str) -> None:
        shown.append(so_far)

    ollama.script([says("Disk is at 91 %.", thinking="SECRET THOUGHT")])
    answer = await model.ask(talk(on_text=show))
    assert shown[-1] == answer.content == "Disk is at 91 %."
    assert len(shown) == 3
    assert "SECRET" not in repr(answer) + repr(answer.as_message()) + "".join(shown)


async def test_a_stream_begins_anew_only_while_nothing_was_shown(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([empty(), says("91 %")])
    assert "".join([piece async for piece in model.stream(talk())]) == "91 %"
    ollama.script([unreadable_call_midway(), says("never asked")])
    shown: list[str] = []
    with pytest.raises(ModelFailed):
        async for piece in model.stream(talk()):
            shown.append(piece)
    assert "".join(shown) == "Let "
    assert ollama.left == 1


async def test_a_stream_that_breaks_says_so(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([without_done("Disk is at 9")])
    with pytest.raises(ModelFailed, match="in the middle of its answer"):
        _ = [piece async for piece in model.stream(talk())]


async def test_cancelling_stops_the_model(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([slow_drip("x" * 3000, 0.01), says("next")])
    asking = asyncio.create_task(model.ask(talk()))
    await until(lambda: ollama.at_once == 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await until(lambda: ollama.hung_up == 1)
    assert (await model.ask(talk())).content == "next"


async def test_closing_a_stream_stops_the_model(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([slow_drip("x" * 3000, 0.01), says("next")])
    async with aclosing(model.stream(talk())) as pieces:
        assert await anext(pieces) == "x"
    await until(lambda: ollama.hung_up == 1)
    assert (await model.ask(talk())).content == "next"
