"""A language model without a server: says what it was told to, judged by the same rules as the real one."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from datetime import UTC, datetime

from pydantic import BaseModel

from core.errors import ModelFailed, ModelFailure
from core.language_model import ModelAnswer, ModelRequest, ToolCall
from integrations.ollama.model_errors import UnusableReply
from integrations.ollama.model_reply import ModelReply, RawToolCall, check_reply

RETRIES = 2
Line = str | BaseModel | ToolCall | ModelFailed
"""Words, an object (said as JSON), a tool call, or a failure."""


class ScriptedModel:
    """Implements `core.model.LanguageModel`; an empty script answers as if nobody listened."""

    def __init__(self, lines: Iterable[Line] | Callable[[ModelRequest], Line] = ()) -> None:
        self.requests: list[ModelRequest] = []
        self.is_up = True
        self.since = datetime(2026, 11, 20, 12, tzinfo=UTC)
        self._answerer = lines if callable(lines) else None
        self._lines: deque[Line] = deque(() if callable(lines) else lines)

    def script(self, lines: Iterable[Line]) -> None:
        """Replace what is left of the script."""
        self._answerer = None
        self._lines = deque(lines)

    async def ask(self, request: ModelRequest) -> ModelAnswer:
        """The next line, judged; a line that cannot be used costs a retry, as with the real model."""
        self.requests.append(request)
        for tries in range(1, RETRIES + 2):
            reply = self._reply(request)
            if request.on_text is not None and reply.content:
                await request.on_text(reply.content)
            try:
                judged = check_reply(reply, request)
            except UnusableReply as fault:
                if tries > RETRIES:
                    fault.tokens = 100 * tries
                    raise
                continue
            return ModelAnswer(
                content=reply.content,
                parsed=judged.parsed,
                tool_call=judged.tool_call,
                prompt_tokens=90 * tries,
                output_tokens=10 * tries,
                duration_s=0.0,
                tries=tries,
            )
        raise AssertionError("unreachable")

    async def stream(self, request: ModelRequest) -> AsyncGenerator[str, None]:
        """The next line, word by word."""
        if request.answer is not None or request.tools:
            raise ValueError("only plain text can be streamed: use `ask` for objects and tools")
        answer = await self.ask(request)
        words = answer.content.split(" ")
        for number, word in enumerate(words, start=1):
            yield word if number == len(words) else f"{word} "

    def _reply(self, request: ModelRequest) -> ModelReply:
        line = self._answerer(request) if self._answerer else self._next()
        if isinstance(line, ModelFailed):
            self.is_up = line.kind is not ModelFailure.UNREACHABLE
            raise line
        self.is_up = True
        if isinstance(line, ToolCall):
            return ModelReply(calls=(RawToolCall(id=line.id, name=line.name, arguments=line.arguments),))
        return ModelReply(content=line.model_dump_json() if isinstance(line, BaseModel) else line)

    def _next(self) -> Line:
        if not self._lines:
            return ModelFailed(ModelFailure.UNREACHABLE, "the script of the model is at its end")
        return self._lines.popleft()
