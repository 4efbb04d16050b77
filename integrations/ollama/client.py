"""Client of the language model behind Ollama: one queue, a circuit breaker, bounded retries and typed failures.

Build one per process: it holds the only waiting line. LangChain is imported on the first question, in a thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from core.breaker import CircuitBreaker
from core.clock import Clock
from core.errors import ModelFailed, ModelFailure
from core.language_model import ChatMessage, Effort, ModelAnswer, ModelRequest
from core.settings import OllamaSettings
from integrations.ollama import prompt_budget
from integrations.ollama.model_errors import UnusableReply
from integrations.ollama.model_queue import ModelQueue
from integrations.ollama.model_reply import CheckedReply, ModelReply, check_reply
from integrations.ollama.ollama_address import check_address, shown_address
from integrations.ollama.ollama_api import OllamaApi
from integrations.ollama.presence import ServerPresence

if TYPE_CHECKING:
    from integrations.ollama.gpt_oss_chat import ChatConnection, ChatRequest

RETRIES = 2
BACK_OFF_S = (1.0, 4.0)
"""Pauses between tries while the server answers 503."""
_BREAKER_FAILURES = (ModelFailure.UNREACHABLE, ModelFailure.BUSY)
"""Failures that count towards opening the circuit breaker."""


@dataclass(frozen=True, kw_only=True)
class _Attempt:
    """Prompt and limits of one try."""

    request: ModelRequest
    messages: tuple[ChatMessage, ...]
    effort: Effort
    num_predict: int
    deadline: float

    def after(self, fault: UnusableReply, most: int) -> _Attempt:
        """Build the next try: with the correction, and less thinking or more room where tokens ran out."""
        changed = replace(self, messages=prompt_budget.with_correction(self.messages, fault))
        if not fault.shrink:
            return changed
        room = self.num_predict if self.effort is not Effort.LOW else min(2 * self.num_predict, most)
        return replace(changed, effort=self.effort.lower(), num_predict=room)


class _UsageMeter:
    """Counter of the tokens and tries of one question."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.prompt_tokens = 0
        self.output_tokens = 0
        self.tries = 0

    def add(self, reply: ModelReply) -> None:
        self.prompt_tokens += reply.prompt_tokens
        self.output_tokens += reply.output_tokens

    def answer(self, reply: ModelReply, judged: CheckedReply) -> ModelAnswer:
        return ModelAnswer(
            content=reply.content,
            parsed=judged.parsed,
            tool_call=judged.tool_call,
            thinking=reply.thinking,
            prompt_tokens=self.prompt_tokens,
            output_tokens=self.output_tokens,
            duration_s=time.monotonic() - self.started,
            tries=self.tries,
            is_cut=reply.is_cut,
        )


class OllamaModel:
    """Language model served by Ollama; implements `core.model.LanguageModel`."""

    def __init__(self, settings: OllamaSettings, *, clock: Clock, back_off_s: Sequence[float] = BACK_OFF_S) -> None:
        check_address(settings)
        self.settings = settings
        self._back_off_s = tuple(back_off_s)
        self._presence = ServerPresence(shown_address(settings), clock)
        self._turns = ModelQueue(parallel=settings.parallel, queue=settings.queue)
        self._breaker = CircuitBreaker(
            failures=settings.breaker_failures,
            rest_s=settings.breaker_rest_s,
            monotonic=time.monotonic,
            refusal=_breaker_open,
        )
        self.api = OllamaApi(settings, self._presence)
        self._wire: ChatConnection | None = None
        self._opening = asyncio.Lock()

    @property
    def is_up(self) -> bool:
        """True if the server answered the last request."""
        return self._presence.is_up

    @property
    def since(self) -> datetime:
        """Moment of the last change of `is_up`."""
        return self._presence.since

    @property
    def waiting(self) -> int:
        """Number of questions waiting in line."""
        return self._turns.waiting

    async def aclose(self) -> None:
        """Close every connection."""
        await self.api.aclose()
        if self._wire is not None:
            await self._wire.aclose()

    async def probe(self) -> bool:
        """Ask the server for its version and return whether it answered; cheap, for the job that notices its return."""
        with suppress(ModelFailed):
            await self.api.version()
        return self.is_up

    async def preload(self) -> None:
        """Import LangChain in a thread, so that the first question does not wait for it."""
        await self._opened()

    async def warm_up(self) -> None:
        """Load the model with the one context size used everywhere; raises ModelFailed."""
        deadline = self._deadline(None)
        async with self._turns.turn(deadline=deadline):
            await self.api.load()

    async def ask(self, request: ModelRequest) -> ModelAnswer:
        """Return the whole answer, checked; ask again at most twice if it cannot be used. Raises ModelFailed."""
        deadline = self._deadline(request)
        self._breaker.refuse_if_open()
        meter = _UsageMeter()
        async with self._turns.turn(deadline=deadline, on_wait=request.on_wait):
            draft = self._first_draft(request, deadline)
            while True:
                try:
                    reply = await self._whole(draft, meter)
                    return meter.answer(reply, check_reply(reply, request))
                except UnusableReply as fault:
                    draft = self._next_draft(draft, fault, meter)
                except ModelFailed as failure:
                    failure.tokens = meter.prompt_tokens + meter.output_tokens
                    raise

    async def stream(self, request: ModelRequest) -> AsyncGenerator[str, None]:
        """Yield the visible text piece by piece; ask again only while nothing was shown. Raises ModelFailed.

        Close it (`contextlib.aclosing`) if you stop early: that stops the model.
        """
        if request.answer is not None or request.tools:
            raise ValueError("only plain text can be streamed: use `ask` for objects and tools")
        deadline = self._deadline(request)
        self._breaker.refuse_if_open()
        meter = _UsageMeter()
        async with self._turns.turn(deadline=deadline, on_wait=request.on_wait):
            draft = self._first_draft(request, deadline)
            is_over = False
            while not is_over:
                is_shown = False
                try:
                    async with aclosing(self._pieces(draft, meter)) as pieces:
                        async for piece in pieces:
                            if isinstance(piece, str):
                                is_shown = is_shown or bool(piece.strip())
                                yield piece
                            else:
                                check_reply(piece, request)
                                is_over = True
                                if piece.is_cut:
                                    yield "…"
                except UnusableReply as fault:
                    if is_shown:
                        raise
                    draft = self._next_draft(draft, fault, meter)

    # -- one try ---------------------------------------------------------------------------------------------------

    def _deadline(self, request: ModelRequest | None) -> float:
        limit_s = request.time_limit_s if request is not None else None
        return asyncio.get_running_loop().time() + (limit_s or self.settings.timeout_s)

    def _first_draft(self, request: ModelRequest, deadline: float) -> _Attempt:
        return _Attempt(
            request=request,
            messages=prompt_budget.messages_with_schema(request),
            effort=request.effort,
            num_predict=min(self.settings.num_predict, self._most_output()),
            deadline=deadline,
        )

    def _next_draft(self, draft: _Attempt, fault: UnusableReply, meter: _UsageMeter) -> _Attempt:
        if meter.tries > RETRIES:
            fault.tokens = meter.prompt_tokens + meter.output_tokens
            raise fault
        return draft.after(fault, self._most_output())

    def _most_output(self) -> int:
        return self.settings.num_ctx // 2

    async def _whole(self, draft: _Attempt, meter: _UsageMeter) -> ModelReply:
        shown = ""
        async with aclosing(self._pieces(draft, meter)) as pieces:
            async for piece in pieces:
                if isinstance(piece, ModelReply):
                    return piece
                shown += piece
                if draft.request.on_text is not None:
                    await draft.request.on_text(shown)
        raise ModelFailed(ModelFailure.UNREACHABLE, "the answer stopped before its end")

    async def _pieces(self, draft: _Attempt, meter: _UsageMeter) -> AsyncGenerator[str | ModelReply, None]:
        """Send one try; wait and repeat while the server is busy and nothing has arrived."""
        wire = await self._opened()
        question = self._question(draft)
        meter.tries += 1
        for pause_s in (*self._back_off_s, None):
            try:
                async with aclosing(self._guarded(wire, question, draft.deadline)) as pieces:
                    async for piece in pieces:
                        if isinstance(piece, ModelReply):
                            meter.add(piece)
                        yield piece
                return
            except ModelFailed as failure:
                if failure.kind is not ModelFailure.BUSY or pause_s is None or self._breaker.is_open:
                    raise
                if asyncio.get_running_loop().time() + pause_s >= draft.deadline:
                    raise
                await asyncio.sleep(pause_s)

    async def _guarded(
        self, wire: ChatConnection, question: ChatRequest, deadline: float
    ) -> AsyncGenerator[str | ModelReply, None]:
        """Yield the pieces within the time limit; report success or failure to breaker and presence."""
        self._breaker.enter()
        is_settled = False
        try:
            async with aclosing(wire.pieces(question)) as pieces:
                while True:
                    async with asyncio.timeout_at(deadline):
                        piece = await anext(pieces, None)
                    if piece is None:
                        return
                    if not is_settled:
                        is_settled = True
                        self._arrived()
                    yield piece
        except TimeoutError as error:
            raise ModelFailed(
                ModelFailure.TIMED_OUT, f"{self.settings.model!r} did not finish within its time"
            ) from error
        except ModelFailed as failure:
            is_settled = self._note_failure(failure) or is_settled
            raise
        finally:
            if not is_settled:
                self._breaker.abandoned()

    def _arrived(self) -> None:
        self._breaker.succeeded()
        self._presence.seen()

    def _note_failure(self, failure: ModelFailed) -> bool:
        """Report the failure to breaker and presence; return False if it says nothing about the server."""
        if failure.kind is ModelFailure.TIMED_OUT:
            return False
        if failure.kind not in _BREAKER_FAILURES:
            self._arrived()
            return True
        self._breaker.failed()
        if failure.kind is ModelFailure.UNREACHABLE:
            self._presence.missed(str(failure))
        else:
            self._presence.seen()
        return True

    def _question(self, draft: _Attempt) -> ChatRequest:
        from integrations.ollama.gpt_oss_chat import ChatRequest

        answer = draft.request.answer
        return ChatRequest(
            messages=prompt_budget.fit_to_context(
                draft.messages, draft.request.tools, self.settings.num_ctx - draft.num_predict
            ),
            effort=draft.effort,
            num_predict=draft.num_predict,
            tools=draft.request.tools,
            schema=answer.model_json_schema() if answer is not None else None,
        )

    async def _opened(self) -> ChatConnection:
        async with self._opening:
            if self._wire is None:
                self._wire = await asyncio.to_thread(_open_wire, self.settings)
            return self._wire


def _open_wire(settings: OllamaSettings) -> ChatConnection:
    from integrations.ollama.gpt_oss_chat import ChatConnection

    return ChatConnection(settings)


def _breaker_open(in_a_row: int, rest_s: float) -> ModelFailed:
    return ModelFailed(
        ModelFailure.BREAKER_OPEN, f"the model failed {in_a_row} times in a row and is left alone for {rest_s:g} s"
    )
