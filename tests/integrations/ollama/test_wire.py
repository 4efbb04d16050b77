"""What really goes over the wire: one test per promise to GPT-OSS."""

import pytest

from core.language_model import Effort, ModelRequest, system, tool_result, user
from integrations.ollama.client import OllamaModel
from tests.integrations.ollama.requests import DISK_USAGE, GOOD_VERDICT, Verdict, for_verdict, talk, with_tools
from tests.standins.ollama import OllamaStandIn
from tests.standins.ollama_replies import calls, says


async def test_a_question_with_tools_carries_everything_gpt_oss_needs(
    ollama: OllamaStandIn, model: OllamaModel
) -> None:
    ollama.script([calls("disk_usage", {"host": "web1"})])
    answer = await model.ask(with_tools())
    [sent] = ollama.requests
    assert sent["model"] == "gpt-oss:20b"
    assert sent["stream"] is True
    assert sent["think"] == "medium"
    assert sent["keep_alive"] == "30m"
    assert sent["options"] == {"num_ctx": 32768, "num_predict": 4096, "temperature": 1.0, "top_p": 1.0, "top_k": 0}
    assert "format" not in sent
    [tool] = sent["tools"]
    assert tool["function"]["name"] == "disk_usage"
    assert tool["function"]["parameters"]["properties"]["host"]["description"].startswith("The host's name")
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]
    assert answer.tool_call is not None
    assert (answer.tool_call.name, answer.tool_call.arguments) == ("disk_usage", {"host": "web1"})
    assert (answer.prompt_tokens, answer.output_tokens, answer.tokens) == (300, 40, 340)
    assert answer.tries == 1
    assert answer.duration_s > 0


async def test_within_a_turn_the_tool_is_named_and_thinking_goes_back(
    ollama: OllamaStandIn, model: OllamaModel
) -> None:
    ollama.script([calls("disk_usage", {"host": "web1"}, thinking="I need the disk."), says("Disk is at 91 %.")])
    request = with_tools()
    first = await model.ask(request)
    assert first.tool_call is not None
    turn = (*request.messages, first.as_message(), tool_result(first.tool_call, "91 %"))
    second = await model.ask(ModelRequest(messages=turn, tools=request.tools))
    assert second.content == "Disk is at 91 %."
    assistant, tool = ollama.requests[1]["messages"][2:]
    assert assistant["thinking"] == "I need the disk."
    assert assistant["tool_calls"][0]["function"] == {"name": "disk_usage", "arguments": {"host": "web1"}}
    assert (tool["role"], tool["tool_name"], tool["content"]) == ("tool", "disk_usage", "91 %")


async def test_thinking_of_an_earlier_turn_stays_here(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([calls("disk_usage", {"host": "web1"}, thinking="SECRET THOUGHT"), says("ok")])
    request = with_tools()
    first = await model.ask(request)
    assert first.tool_call is not None
    later = (*request.messages, first.as_message(), tool_result(first.tool_call, "91 %"), user("And web2?"))
    await model.ask(ModelRequest(messages=later, tools=request.tools))
    assert "SECRET THOUGHT" not in str(ollama.requests[1])


async def test_an_object_is_asked_for_in_words_and_by_schema(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([says(GOOD_VERDICT)])
    answer = await model.ask(for_verdict())
    assert answer.parsed == Verdict(cause="disk", confidence=0.9)
    [sent] = ollama.requests
    assert sent["format"] == Verdict.model_json_schema()
    assert sent["think"] == "low"
    assert not sent.get("tools")
    told = sent["messages"][0]
    assert told["role"] == "system"
    assert told["content"].startswith("You guard servers.")
    assert '"confidence"' in told["content"]


async def test_an_object_is_asked_for_without_instructions_of_ones_own(
    ollama: OllamaStandIn, model: OllamaModel
) -> None:
    ollama.script([says(GOOD_VERDICT)])
    await model.ask(ModelRequest(messages=(user("What is it?"),), answer=Verdict))
    assert [message["role"] for message in ollama.requests[0]["messages"]] == ["system", "user"]


@pytest.mark.parametrize("effort", list(Effort))
async def test_the_reasoning_effort_comes_from_the_request(
    ollama: OllamaStandIn, model: OllamaModel, effort: Effort
) -> None:
    ollama.script([says("ok")])
    await model.ask(talk(effort=effort))
    assert ollama.requests[0]["think"] == effort.value


async def test_every_request_uses_the_same_context_size(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([says("ok"), says(GOOD_VERDICT), says("ok")])
    await model.warm_up()
    await model.ask(talk())
    await model.ask(for_verdict())
    assert "".join([piece async for piece in model.stream(talk())]) == "ok"
    sizes = {body["options"]["num_ctx"] for body in (*ollama.loads, *ollama.requests)}
    assert sizes == {32768}
    assert len(ollama.loads) == 1


async def test_a_text_parameter_stays_text_though_it_looks_like_json(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([calls("disk_usage", {"host": "web1", "note": '{"a": 1}'})])
    answer = await model.ask(with_tools())
    assert answer.tool_call is not None
    assert answer.tool_call.arguments["note"] == '{"a": 1}'


async def test_a_proxy_in_the_environment_is_not_used(ollama: OllamaStandIn, model: OllamaModel) -> None:
    ollama.script([says("ok")])
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        environment.setenv("NO_PROXY", "")
        answer = await model.ask(ModelRequest(messages=(system("x"), user("y"))))
    assert answer.content == "ok"


def test_a_request_takes_an_object_or_tools() -> None:
    with pytest.raises(ValueError, match="not both"):
        talk(answer=Verdict, tools=(DISK_USAGE,))
    with pytest.raises(ValueError, match="needs `tools`"):
        talk(must_call=True)


async def test_objects_and_tools_are_not_streamed(model: OllamaModel) -> None:
    with pytest.raises(ValueError, match="use `ask`"):
        await anext(model.stream(with_tools()))
