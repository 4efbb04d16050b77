"""Bounded tool loop: the model asks for tools until it answers in words, within a number of steps."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from core.errors import ModelFailed
from core.language_model import (
    ChatMessage,
    Effort,
    LanguageModel,
    ModelAnswer,
    ModelRequest,
    ToolCall,
    ToolSpec,
    tool_result,
    user,
)

MAX_STEPS = 6
_LAST_WORD = "Answer now, in words, from what you have. You have no tools any more."


@dataclass(frozen=True, kw_only=True)
class LoopTools:
    """Tools for one loop, and the function that runs them."""

    specs: Sequence[ToolSpec]
    use: Callable[[ToolCall], Awaitable[str]]
    """Runs one tool that `specs` names and returns its result for the model; an error is a result too."""


class ToolLoop:
    """One conversation of the model with its tools, from the first step to the last word.

    A call with the same arguments is answered without running it again, and twice of that ends the looking: the model
    is then asked for its last word without tools.
    """

    def __init__(
        self,
        model: LanguageModel,
        tools: LoopTools,
        *,
        effort: Effort = Effort.LOW,
        max_steps: int = MAX_STEPS,
        on_text: Callable[[str], Awaitable[None]] | None = None,
        on_wait: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        """`on_text`: the words so far of an answer; `on_wait`: the place in line before the model."""
        self._model = model
        self._tools = tools
        self._names = {one.name for one in tools.specs}
        self._effort = effort
        self._max_steps = max_steps
        self._on_text = on_text
        self._on_wait = on_wait
        self._seen: set[str] = set()
        self._repeats = 0
        self.tokens = 0
        """Tokens of all steps so far."""

    async def run(self, messages: Sequence[ChatMessage]) -> ModelAnswer | None:
        """Return the answer in words; None when the model would not stop using tools. Raises ModelFailed."""
        said = list(messages)
        for _ in range(self._max_steps - 1):
            answer = await self._ask(said, self._tools.specs)
            if answer.tool_call is None:
                return answer
            said += [answer.as_message(), tool_result(answer.tool_call, await self._use(answer.tool_call))]
            if self._repeats > 1:
                break
        try:
            return await self._ask([*said, user(_LAST_WORD)], ())
        except ModelFailed as failure:
            if failure.kind.value in ("empty", "malformed"):
                self.tokens += failure.tokens
                return None
            raise

    async def _ask(self, messages: list[ChatMessage], tools: Sequence[ToolSpec]) -> ModelAnswer:
        answer = await self._model.ask(
            ModelRequest(
                messages=tuple(messages),
                effort=self._effort,
                tools=tuple(tools),
                on_wait=self._on_wait,
                on_text=self._on_text,
            )
        )
        self.tokens += answer.tokens
        return answer

    async def _use(self, call: ToolCall) -> str:
        fingerprint = f"{call.name} {json.dumps(call.arguments, sort_keys=True, default=str)}"
        if fingerprint in self._seen:
            self._repeats += 1
            return "error: you have called this with the same arguments already; its result stands above"
        self._seen.add(fingerprint)
        if call.name not in self._names:
            return f"error: there is no tool {call.name[:60]!r}"
        return await self._tools.use(call)
