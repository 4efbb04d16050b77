"""Answers a question by the model, which may only read through the gateway; streamed part by part."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path

from agent.chat.chat_deps import QuestionContext
from agent.chat.conversation import (
    AnswerChunk,
    AnswerMessage,
    AnswerPart,
    AnswerProgress,
    ModelUsage,
    ProposeCommand,
)
from agent.chat.intents import asks_for_change
from agent.chat.rule_answers import STACK_INTENTS, propose_change, unknown_name_answer, whole_stacks
from agent.llm.situation import LANGUAGES, describe_incident, describe_situation
from agent.llm.tool_loop import MAX_STEPS, LoopTools, ToolLoop
from agent.llm.tools import PROPOSABLE_COMMANDS, PROPOSE_TOOL, fenced_result, read_tools
from core.actions.catalog import JsonObject, Params
from core.errors import GuardianError, ModelFailed
from core.language_model import (
    ChatMessage,
    LanguageModel,
    ToolCall,
    explain,
    system,
    user,
)
from core.monitoring.inventory import find, title
from core.text import Text, text

MAX_PROPOSALS = 3
MAX_QUESTION_CHARS = 4000
ANSWER_LIMIT_S = 240.0
"""Time limit of the whole answer."""
PROMPT_FILE = Path(__file__).parents[1] / "llm" / "prompts" / "dialogue.md"


class AnswerStream:
    """A stream of answer parts; words not yet taken are replaced by newer ones."""

    def __init__(self) -> None:
        self._waiting: deque[AnswerPart] = deque()
        self._news = asyncio.Event()
        self._is_closed = False

    def put(self, part: AnswerPart) -> None:
        """Add a part."""
        if self._waiting and isinstance(self._waiting[-1], AnswerChunk) and isinstance(part, AnswerChunk):
            self._waiting.pop()
        self._waiting.append(part)
        self._news.set()

    def close(self) -> None:
        """End the stream."""
        self._is_closed = True
        self._news.set()

    async def __aiter__(self) -> AsyncIterator[AnswerPart]:
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self._is_closed:
                return
            self._news.clear()
            await self._news.wait()


class ModelAnswerer:
    """One question to the model, from its first look to its last word."""

    def __init__(
        self, asked: QuestionContext, model: LanguageModel, history: list[ChatMessage], parts: AnswerStream
    ) -> None:
        self._asked = asked
        self._parts = parts
        self._history = history
        tools = tuple(read_tools(asked.parts.gateway.catalog, asked.question.actor.role))
        self._loop = ToolLoop(
            model, LoopTools(specs=tools, use=self._use), on_text=self._on_text, on_wait=self._on_wait
        )
        self._may_propose = asks_for_change(asked.question.text)
        self._proposals: list[ProposeCommand] = []
        self._has_shown = False
        self.answer = ""
        """The answer's words, for the conversation history."""

    async def run(self) -> ModelFailed | None:
        """Stream every part of the answer; returns the failure when there is no answer."""
        began = time.monotonic()
        messages = await self._opening()
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                self._parts.put(AnswerProgress(message=text("dialogue.looking.thinking")))
                last = await self._loop.run(messages)
        except TimeoutError:
            self._close_with(text("model.failed.timed_out"))
            return None
        except ModelFailed as failure:
            self._take_back()
            self._put_proposals()
            return failure
        if last is None:
            self._close_with(text("dialogue.too_many_steps", steps=MAX_STEPS))
            return None
        self.answer = self._asked.parts.redact(last.content.strip())
        self._parts.put(AnswerChunk(text=self.answer))
        self._put_proposals()
        self._parts.put(ModelUsage(tokens=self._loop.tokens, seconds=time.monotonic() - began, is_cut=last.is_cut))
        return None

    async def _opening(self) -> list[ChatMessage]:
        asked = self._asked
        known = describe_situation(asked, await asked.parts.incidents.open_ones())
        told = _prompt().replace("{language}", LANGUAGES[asked.question.language]).replace("{situation}", known)
        question = asked.parts.redact(_bounded(asked.question.text))
        about = f"{describe_incident(asked, asked.incident)}\n\n" if asked.incident is not None else ""
        return [system(told), *self._history, user(f"{about}{question}")]

    async def _on_wait(self, place: int) -> None:
        message = text("dialogue.looking.waiting", place=place) if place else text("dialogue.looking.thinking")
        self._parts.put(AnswerProgress(message=message))

    async def _on_text(self, shown: str) -> None:
        if shown.strip():
            self._has_shown = True
            self._parts.put(AnswerChunk(text=self._asked.parts.redact(shown)))

    # -- tools -------------------------------------------------------------------------------------------------------

    async def _use(self, call: ToolCall) -> str:
        """Run a tool and return its result for the model."""
        if call.name == PROPOSE_TOOL:
            return self._propose(call.arguments)
        return await self._look(call)

    async def _look(self, call: ToolCall) -> str:
        asked = self._asked
        try:
            action = asked.parts.gateway.catalog.get(call.name)
            params = action.parse(call.arguments)
            if (problem := self._hidden(params)) is not None:
                return problem
            self._parts.put(AnswerProgress(message=_looking(action.name, params, asked)))
            result = await asked.parts.gateway.read(action.name, dict(call.arguments), asked.question.actor)
        except GuardianError as error:
            return f"error: {asked.parts.redact(str(error))[:500]}"
        message = asked.parts.redact(asked.english(result.message))
        data = _clean(result.data, asked)
        return fenced_result(result, message, data)

    def _hidden(self, params: Params) -> str | None:
        """Return why this person may not see the target, or None."""
        if self._asked.sees_all:
            return None
        target, stack = params.target(), getattr(params, "stack", None)
        if target is not None and self._asked.inventory.container(target) is not None:
            return None
        if target is None and isinstance(stack, str) and stack and self._asked.may_see(stack):
            return None
        return "error: this person may look at some stacks only; name one container or one stack of the situation"

    def _propose(self, arguments: JsonObject) -> str:
        command, named = str(arguments.get("command", "")), str(arguments.get("target", ""))[:200]
        if command not in PROPOSABLE_COMMANDS:
            return f"error: command must be one of: {', '.join(PROPOSABLE_COMMANDS)}"
        if not self._may_propose:
            return "error: the person did not ask for a change; describe in words what could help"
        found = find(self._asked.inventory, named)
        if not found:
            return f"error: {self._asked.say(unknown_name_answer(self._asked, named).message)}"
        if len(found) > 1:
            return f"error: several fit; name exactly one of: {', '.join(title(one) for one in found[:12])}"
        wanted = whole_stacks(self._asked, found) if command in STACK_INTENTS else found
        offered = propose_change(command, wanted[0])
        if offered not in self._proposals and len(self._proposals) < MAX_PROPOSALS:
            self._proposals.append(offered)
        return (
            f"ok: under your answer the person gets the button “{command} {offered.arguments}”. Nothing is done yet. "
            "Say in one sentence why."
        )

    def _put_proposals(self) -> None:
        for one in self._proposals:
            self._parts.put(one)

    def _take_back(self) -> None:
        """Remove the words shown so far: half a sentence is no answer."""
        if self._has_shown:
            self._parts.put(AnswerChunk(text=""))

    def _close_with(self, message: Text) -> None:
        self._take_back()
        self._put_proposals()
        self._parts.put(AnswerMessage(message=message))


def no_answer_message(failure: ModelFailed | None) -> AnswerMessage:
    """Answer that the model is unavailable and what works without it; None means no model is configured."""
    if failure is None:
        return AnswerMessage(message=text("dialogue.no_model_configured"))
    return AnswerMessage(message=text("dialogue.no_model", problem=explain(failure)))


@cache
def _prompt() -> str:
    return PROMPT_FILE.read_text(encoding="utf-8")


def _bounded(question: str) -> str:
    if len(question) <= MAX_QUESTION_CHARS:
        return question
    head = MAX_QUESTION_CHARS // 2
    return f"{question[:head]}\n[cut]\n{question[-head:]}"


def _looking(action: str, params: Params, asked: QuestionContext) -> Text:
    target = params.target()
    container = asked.inventory.container(target) if target else None
    name = container.title if container else asked.parts.redact(target or "")[:80]
    key = _LOOKING.get(action)
    if key is None:
        return text("dialogue.looking.any", action=action)
    if not name:
        return text("dialogue.looking.all")
    return Text(key, {"target": name})


def _clean(data: JsonObject, asked: QuestionContext) -> JsonObject:
    """Return the data with every text redacted once more, whatever the action did."""

    def cleaned(value: object) -> object:
        if isinstance(value, str):
            return asked.parts.redact(value)
        if isinstance(value, list):
            return [cleaned(one) for one in value]
        if isinstance(value, dict):
            return {name: cleaned(one) for name, one in value.items()}
        return value

    whole = cleaned(data)
    assert isinstance(whole, dict)
    return whole


_LOOKING = {
    "docker.list": "dialogue.looking.state",
    "docker.inspect": "dialogue.looking.state",
    "docker.logs": "dialogue.looking.logs",
    "docker.stats": "dialogue.looking.use",
    "docker.top": "dialogue.looking.processes",
    "history.stats": "dialogue.looking.past",
}
__all__ = ["AnswerStream", "ModelAnswerer", "no_answer_message"]
