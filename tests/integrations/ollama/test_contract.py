"""What every language model promises: the one behind Ollama and the scripted one of fast tests alike."""

from collections.abc import Callable, Sequence

import pytest
from pydantic import BaseModel

from core.errors import ModelFailed, ModelFailure
from core.language_model import LanguageModel, ModelRequest, ToolCall, tool_result
from tests.integrations.ollama.conftest import MakeModel
from tests.integrations.ollama.requests import GOOD_VERDICT, Verdict, for_verdict, talk, with_tools
from tests.standins.ollama import OllamaStandIn
from tests.standins.ollama_replies import Reply, calls, model_missing, says
from tests.standins.scripted_model import Line, ScriptedModel

LOOK = ToolCall(id="c1", name="disk_usage", arguments={"host": "web1"})
INVENTED = ToolCall(id="c2", name="docker_rm", arguments={"name": "db"})
GONE = ModelFailed(ModelFailure.MISSING, "no model")

Speaker = Callable[[Sequence[Line]], LanguageModel]


def _reply(line: Line) -> Reply:
    if isinstance(line, ToolCall):
        return calls(line.name, line.arguments)
    if isinstance(line, ModelFailed):
        return model_missing()
    return says(line.model_dump_json() if isinstance(line, BaseModel) else line)


@pytest.fixture(params=["ollama", "scripted"])
def speaker(request: pytest.FixtureRequest, ollama: OllamaStandIn, make_model: MakeModel) -> Speaker:
    """A factory: the model that will say these lines."""

    def speak(lines: Sequence[Line]) -> LanguageModel:
        if request.param == "scripted":
            return ScriptedModel(lines)
        ollama.script([_reply(line) for line in lines])
        return make_model()

    return speak


async def test_it_answers_in_words(speaker: Speaker) -> None:
    answer = await speaker(["Disk is at 91 %."]).ask(talk())
    assert (answer.content, answer.tool_call, answer.parsed, answer.tries) == ("Disk is at 91 %.", None, None, 1)
    assert answer.tokens > 0


async def test_it_answers_with_an_object(speaker: Speaker) -> None:
    wanted = Verdict(cause="disk", confidence=0.9)
    assert (await speaker([wanted]).ask(for_verdict())).parsed == wanted
    assert (await speaker(["no idea", GOOD_VERDICT]).ask(for_verdict())).tries == 2


async def test_it_checks_what_the_caller_checks(speaker: Speaker) -> None:
    request = for_verdict(check=lambda verdict: "no such evidence")
    with pytest.raises(ModelFailed, match="no such evidence") as caught:
        await speaker([GOOD_VERDICT] * 3).ask(request)
    assert caught.value.kind is ModelFailure.MALFORMED
    assert caught.value.tokens > 0


async def test_it_calls_a_tool_and_goes_on(speaker: Speaker) -> None:
    model = speaker([LOOK, "It is at 91 %."])
    request = with_tools()
    first = await model.ask(request)
    assert first.tool_call is not None
    assert (first.tool_call.name, first.tool_call.arguments) == (LOOK.name, LOOK.arguments)
    turn = (*request.messages, first.as_message(), tool_result(first.tool_call, "91 %"))
    assert (await model.ask(ModelRequest(messages=turn))).content == "It is at 91 %."


async def test_it_invents_no_tools(speaker: Speaker) -> None:
    answer = await speaker([INVENTED, LOOK]).ask(with_tools())
    assert answer.tool_call is not None
    assert (answer.tool_call.name, answer.tries) == ("disk_usage", 2)
    with pytest.raises(ModelFailed) as caught:
        await speaker([INVENTED] * 3).ask(with_tools())
    assert caught.value.kind is ModelFailure.MALFORMED


async def test_it_calls_where_it_must(speaker: Speaker) -> None:
    assert (await speaker(["I would look.", LOOK]).ask(with_tools(must_call=True))).tries == 2


async def test_it_streams_words(speaker: Speaker) -> None:
    pieces = [piece async for piece in speaker(["Disk is at 91 %."]).stream(talk())]
    assert len(pieces) > 1
    assert "".join(pieces) == "Disk is at 91 %."


async def test_it_tells_text_as_it_grows(speaker: Speaker) -> None:
    shown: list[str] = []

    async def show(so_far: str) -> None:
        shown.append(so_far)

    await speaker(["Disk is at 91 %."]).ask(talk(on_text=show))
    assert shown[-1] == "Disk is at 91 %."


async def test_it_fails_by_kind(speaker: Speaker) -> None:
    model = speaker([GONE])
    with pytest.raises(ModelFailed) as caught:
        await model.ask(talk())
    assert caught.value.kind is ModelFailure.MISSING
    assert model.is_up
    assert model.since.tzinfo is not None


async def test_it_refuses_to_stream_what_must_be_checked(speaker: Speaker) -> None:
    with pytest.raises(ValueError, match="use `ask`"):
        await anext(speaker([GOOD_VERDICT]).stream(for_verdict()))
