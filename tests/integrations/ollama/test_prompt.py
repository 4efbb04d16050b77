"""The prompt never exceeds the context, and never silently."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ModelFailed, ModelFailure
from core.language_model import (
    ChatMessage,
    ChatRole,
    ModelRequest,
    ToolCall,
    assistant,
    system,
    tool_result,
    user,
)
from integrations.ollama.prompt_budget import CUT, estimate_tokens, fit_to_context, prompt_tokens
from tests.integrations.ollama.conftest import MakeModel
from tests.integrations.ollama.requests import DISK_USAGE, talk
from tests.standins.ollama import OllamaStandIn
from tests.standins.ollama_replies import says

CALL = ToolCall(id="c1", name="logs", arguments={"service": "api"})
LOG_LINE = "2026-11-20T12:00:00.123Z ERROR conn=4f3a9c1e duration=5012ms status=503\n"


def used_tool(output: str) -> tuple[ChatMessage, ...]:
    return (ChatMessage(role=ChatRole.ASSISTANT, tool_call=CALL), tool_result(CALL, output))


def test_a_prompt_that_fits_is_unchanged() -> None:
    messages = (system("You guard."), user("Why?"), *used_tool(LOG_LINE))
    assert fit_to_context(messages, (), 4000) == messages


def test_the_longest_old_output_is_cut_first_and_marked() -> None:
    messages = (
        system("You guard."),
        user("Why?"),
        *used_tool("START " + LOG_LINE * 400 + " END"),
        *used_tool(LOG_LINE * 20),
        *used_tool(LOG_LINE * 50),
    )
    kept = fit_to_context(messages, (DISK_USAGE,), 6000)
    assert prompt_tokens(kept, (DISK_USAGE,)) <= 6000
    assert CUT in kept[3].content
    assert kept[3].content.startswith("START")
    assert kept[3].content.endswith("END")
    assert kept[5:] == messages[5:]


def test_the_question_is_cut_last_and_instructions_never() -> None:
    messages = (system("RULES " * 200), user("old " * 4000), assistant("answer"), user("new " * 3000))
    kept = fit_to_context(messages, (), 2500)
    assert prompt_tokens(kept, ()) <= 2500
    assert kept[0] == messages[0]
    assert CUT in kept[1].content
    assert CUT in kept[3].content
    assert len(kept[3].content) > len(kept[1].content)


def test_instructions_that_do_not_fit_are_an_error_with_the_next_step() -> None:
    with pytest.raises(ModelFailed, match="num_ctx") as caught:
        fit_to_context((system("RULES " * 5000), user("Why?")), (), 4000)
    assert caught.value.kind is ModelFailure.TOO_LONG


@pytest.mark.parametrize(
    ("content", "least"),
    [("word " * 100, 100), (LOG_LINE * 10, 300), ("ñandú " * 100, 170), ("9f" * 100, 100), ("日本" * 50, 80), ("", 0)],
)
def test_the_estimate_errs_upwards(content: str, least: int) -> None:
    assert estimate_tokens(content) >= least


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20_000), st.sampled_from(["word ", LOG_LINE, "ñ", "日本", "{}\\"])), max_size=8),
    st.integers(2048, 20_000),
)
def test_any_prompt_fits_the_context_or_is_refused(outputs: list[tuple[int, str]], room: int) -> None:
    messages: tuple[ChatMessage, ...] = (system("You guard."), user("Why is api down?"))
    for size, unit in outputs:
        messages += used_tool((unit * size)[:size])
    try:
        kept = fit_to_context(messages, (DISK_USAGE,), room)
    except ModelFailed as failure:
        assert failure.kind is ModelFailure.TOO_LONG
        return
    assert prompt_tokens(kept, (DISK_USAGE,)) <= room
    assert len(kept) == len(messages)
    for before, after in zip(messages, kept, strict=True):
        assert after.content == before.content or CUT in after.content


async def test_room_for_the_answer_is_left_in_the_context(ollama: OllamaStandIn, make_model: MakeModel) -> None:
    model = make_model(num_ctx=4096, num_predict=4096)
    ollama.script([says("ok")])
    request = talk()
    await model.ask(ModelRequest(messages=(*request.messages, *used_tool(LOG_LINE * 1000))))
    [sent] = ollama.requests
    assert sent["options"]["num_predict"] == 2048
    said = sum(estimate_tokens(message.get("content", "")) for message in sent["messages"])
    assert said + sent["options"]["num_predict"] < 4096
    assert CUT in sent["messages"][-1]["content"]


async def test_corrections_also_stay_within_the_context(ollama: OllamaStandIn, make_model: MakeModel) -> None:
    model = make_model(num_ctx=4096, num_predict=1024)
    ollama.script([says(""), says(""), says("ok")])
    await model.ask(ModelRequest(messages=(*talk().messages, *used_tool(LOG_LINE * 1000))))
    for sent in ollama.requests:
        said = sum(estimate_tokens(message.get("content", "")) for message in sent["messages"])
        assert said + sent["options"]["num_predict"] < 4096


def test_megabytes_are_cut_in_time() -> None:
    messages = (system("You guard."), user("Why?"), *used_tool(LOG_LINE * 150_000))
    started = time.perf_counter()
    kept = fit_to_context(messages, (), 28_000)
    assert time.perf_counter() - started < 1.0
    assert 20_000 < prompt_tokens(kept, ()) <= 28_000
