"""GPT-OSS through LangChain's Ollama client; imported on the first question only, since the import takes a second.

One answer at a time: the stream is turned into pieces, every fault of the wire into a ModelFailed.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_ollama import ChatOllama
from ollama import ResponseError

from core.errors import ModelFailed, ModelFailure
from core.language_model import ChatMessage, ChatRole, Effort, ToolSpec
from core.settings import OllamaSettings
from integrations.ollama.model_errors import UnusableReply, failure_from_status
from integrations.ollama.model_reply import ModelReply, RawToolCall
from integrations.ollama.ollama_address import shown_address


class GptOssChat(ChatOllama):
    """ChatOllama that names the tool each tool message comes from.

    Expected: tool messages carry `tool_name`. Actual (langchain-ollama 1.1.0): they carry none, and GPT-OSS reads
    `functions. to=assistant`. Delete when the wire test passes without it.
    """

    def _convert_messages_to_ollama_messages(self, messages: list[BaseMessage]) -> Sequence[Any]:
        converted = super()._convert_messages_to_ollama_messages(messages)
        for source, wired in zip(messages, converted, strict=True):
            if isinstance(source, ToolMessage) and source.name:
                wired["tool_name"] = source.name
        return converted

    async def aclose(self) -> None:
        """Close the connections."""
        await self._async_client.close()  # type: ignore[no-untyped-call]
        self._client.close()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, kw_only=True)
class ChatRequest:
    """One request as it goes over the wire."""

    messages: tuple[ChatMessage, ...]
    effort: Effort
    num_predict: int
    tools: tuple[ToolSpec, ...] = ()
    schema: dict[str, Any] | None = None


@dataclass(kw_only=True)
class _Collected:
    content: list[str] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    calls: list[RawToolCall] = field(default_factory=list)
    is_done: bool = False
    done_reason: str = ""
    prompt_tokens: int = 0
    output_tokens: int = 0

    def add(self, chunk: AIMessageChunk) -> str:
        """Add a chunk; return its visible text."""
        visible = chunk.text
        self.content.append(visible)
        self.thinking.append(chunk.additional_kwargs.get("reasoning_content") or "")
        self.calls += [
            RawToolCall(id=call["id"] or "", name=call["name"], arguments=call["args"]) for call in chunk.tool_calls
        ]
        if chunk.usage_metadata:
            self.prompt_tokens = chunk.usage_metadata["input_tokens"]
            self.output_tokens = chunk.usage_metadata["output_tokens"]
        if chunk.response_metadata.get("done"):
            self.is_done = True
            self.done_reason = chunk.response_metadata.get("done_reason") or ""
        return visible

    def reply(self) -> ModelReply:
        return ModelReply(
            content="".join(self.content),
            thinking="".join(self.thinking),
            calls=tuple(self.calls),
            done_reason=self.done_reason,
            prompt_tokens=self.prompt_tokens,
            output_tokens=self.output_tokens,
        )


class ChatConnection:
    """Open client; made in a thread because its import is slow."""

    def __init__(self, settings: OllamaSettings) -> None:
        self._settings = settings
        client: dict[str, Any] = {
            "timeout": httpx.Timeout(settings.timeout_s, connect=settings.connect_timeout_s),
            # A proxy meant for Telegram must not see prompts; certificates still come from the system.
            "trust_env": False,
        }
        if settings.url.startswith("https://"):
            client["verify"] = ssl.create_default_context()
        self._chat = GptOssChat(
            model=settings.model,
            base_url=settings.url,
            keep_alive=settings.keep_alive,
            validate_model_on_init=False,
            client_kwargs=client,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._chat.aclose()

    async def pieces(self, question: ChatRequest) -> AsyncGenerator[str | ModelReply, None]:
        """Yield visible text as it comes, then the ModelReply; raises ModelFailed, or Unusable if a retry may help."""
        collected = _Collected()
        messages = [_to_langchain(message) for message in question.messages]
        try:
            async for chunk in self._chat.astream(messages, **self._parameters(question)):
                if isinstance(chunk, AIMessageChunk) and (visible := collected.add(chunk)):
                    yield visible
        except ResponseError as error:
            raise failure_from_status(error.status_code, error.error, self._settings.model) from error
        except httpx.HTTPError as error:
            raise _from_http(error, self._settings) from error
        except (ValueError, OutputParserException) as error:
            raise UnusableReply(
                ModelFailure.MALFORMED,
                f"the server's answer cannot be read: {error}",
                note="Your last answer was cut short. Answer again, briefly.",
            ) from error
        if not collected.is_done:
            raise ModelFailed(
                ModelFailure.UNREACHABLE, f"{shown_address(self._settings)} stopped in the middle of its answer"
            )
        yield collected.reply()

    def _parameters(self, question: ChatRequest) -> dict[str, Any]:
        parameters: dict[str, Any] = {
            "reasoning": str(question.effort),
            "options": {
                "num_ctx": self._settings.num_ctx,
                "num_predict": question.num_predict,
                # What OpenAI recommends for GPT-OSS; Ollama's defaults differ.
                "temperature": 1.0,
                "top_p": 1.0,
                "top_k": 0,
            },
        }
        if question.schema is not None:
            parameters["format"] = question.schema
        if question.tools:
            parameters["tools"] = [_to_function(tool) for tool in question.tools]
        return parameters


def _to_function(tool: ToolSpec) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
    }


def _to_langchain(message: ChatMessage) -> BaseMessage:
    match message.role:
        case ChatRole.SYSTEM:
            return SystemMessage(message.content)
        case ChatRole.USER:
            return HumanMessage(message.content)
        case ChatRole.TOOL:
            return ToolMessage(message.content, tool_call_id=message.tool_call_id, name=message.tool_name)
    call = message.tool_call
    return AIMessage(
        message.content,
        tool_calls=[{"id": call.id, "name": call.name, "args": dict(call.arguments)}] if call else [],
        additional_kwargs={"reasoning_content": message.thinking} if message.thinking else {},
    )


def _from_http(error: httpx.HTTPError, settings: OllamaSettings) -> ModelFailed:
    if isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout | httpx.PoolTimeout):
        return ModelFailed(ModelFailure.TIMED_OUT, f"{settings.model!r} was silent for {settings.timeout_s:g} s")
    reason = str(error) or type(error).__name__
    return ModelFailed(ModelFailure.UNREACHABLE, f"Ollama at {shown_address(settings)} can't be reached: {reason}")
