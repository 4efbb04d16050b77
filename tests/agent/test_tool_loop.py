"""The bounded tool loop serves whoever brings tools: it knows nothing of a chat."""

from __future__ import annotations

import pytest

from agent.llm.tool_loop import MAX_STEPS, LoopTools, ToolLoop
from core.errors import ModelFailed, ModelFailure
from core.language_model import ToolCall, ToolSpec, user
from tests.standins.scripted_model import ScriptedModel

ADD = ToolSpec(name="add", description="Add two numbers.", parameters={"type": "object", "properties": {}})


class Calculator:
    """A tool that is no action: it remembers what it was asked."""

    def __init__(self) -> None:
        self.used: list[ToolCall] = []

    async def use(self, call: ToolCall) -> str:
        self.used.append(call)
        return "3"


def _call(number: int, name: str = "add") -> ToolCall:
    return ToolCall(id=f"c{number}", name=name, arguments={"n": number})


def _loop(model: ScriptedModel, tools: Calculator) -> ToolLoop:
    return ToolLoop(model, LoopTools(specs=(ADD,), use=tools.use))


async def test_a_tool_is_run_and_its_result_goes_back_to_the_model() -> None:
    model, tools = ScriptedModel([_call(1), "It is 3."]), Calculator()
    loop = _loop(model, tools)
    answer = await loop.run([user("1 + 2?")])
    assert answer is not None
    assert (answer.content, len(tools.used)) == ("It is 3.", 1)
    assert [message.content for message in model.requests[1].messages][-1] == "3"
    assert loop.tokens == 200


async def test_the_steps_are_bounded_and_the_last_word_has_no_tools() -> None:
    model, tools = (
        ScriptedModel(lambda request: _call(len(model.requests)) if request.tools else "Enough."),
        Calculator(),
    )
    answer = await _loop(model, tools).run([user("?")])
    assert answer is not None
    assert answer.content == "Enough."
    assert len(model.requests) == MAX_STEPS
    assert not model.requests[-1].tools


async def test_the_same_call_is_run_once_and_a_third_ends_the_looking() -> None:
    model, tools = ScriptedModel([_call(1), _call(1), _call(1), "Then so."]), Calculator()
    answer = await _loop(model, tools).run([user("?")])
    assert answer is not None
    assert (answer.content, len(tools.used)) == ("Then so.", 1)


async def test_a_model_that_is_gone_is_a_failure() -> None:
    gone = ModelFailed(ModelFailure.UNREACHABLE, "nobody listens")
    with pytest.raises(ModelFailed):
        await _loop(ScriptedModel([gone]), Calculator()).run([user("?")])
