"""Prompt assembly: adds the schema, drops old thinking and keeps the prompt within the context.

Ollama drops the oldest messages of a prompt that is too large without a word, so it is cut here, and marked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from core.errors import ModelFailed, ModelFailure
from core.language_model import ChatMessage, ChatRole, ModelRequest, ToolSpec, assistant, system, user
from integrations.ollama.model_errors import UnusableReply

CUT = "[cut]"
CHARS_PER_TOKEN = 3.5
_FRAME_TOKENS = 200
"""Harmony's own system message, which Ollama adds."""
_MESSAGE_TOKENS = 12
_MARGIN = 0.05
_MOST_CHARS_PER_TOKEN = 6
_FLOOR_CHARS = 240
"""Length below which no message is cut."""
_QUOTED_REPLY_CHARS = 2000
_WORDS = re.compile(r"[^\W\d_]+")
_DIGITS_AND_SIGNS = re.compile(r"\d{1,3}|[^\w\s]|_")
"""Pieces the model's tokenizer splits off: digits by threes, signs by themselves."""


def estimate_tokens(content: str) -> int:
    """Estimate the model's token count, erring high: ids, times and hashes take more tokens than words."""
    words = sum(max(1.0, len(word.encode()) / 4) for word in _WORDS.findall(content))
    split = words + len(_DIGITS_AND_SIGNS.findall(content))
    return int(max(len(content.encode()) / CHARS_PER_TOKEN, split)) + 1


def messages_with_schema(request: ModelRequest) -> tuple[ChatMessage, ...]:
    """Return the messages with the wanted schema in the instructions: the server enforces it only after thinking."""
    if request.answer is None:
        return request.messages
    schema = json.dumps(request.answer.model_json_schema(), ensure_ascii=False)
    told = f"Answer with one JSON object and nothing else. It must fit this JSON schema:\n{schema}"
    position = next((i for i, message in enumerate(request.messages) if message.role is ChatRole.SYSTEM), None)
    if position is None:
        return (system(told), *request.messages)
    found = request.messages[position]
    extended = replace(found, content=f"{found.content}\n\n{told}")
    return (*request.messages[:position], extended, *request.messages[position + 1 :])


def with_correction(messages: Sequence[ChatMessage], fault: UnusableReply) -> tuple[ChatMessage, ...]:
    """Return the conversation with the model's answer and the correction added."""
    said = (assistant(_shortened(fault.said, _QUOTED_REPLY_CHARS)),) if fault.said.strip() else ()
    return (*messages, *said, user(fault.note))


def fit_to_context(messages: Sequence[ChatMessage], tools: Sequence[ToolSpec], room: int) -> tuple[ChatMessage, ...]:
    """Return the messages cut to `room` tokens: tool outputs first, longest first; the newest and people's last.

    Instructions are never cut; raises ModelFailed (too long) if the rest cannot be cut enough.
    """
    kept = [_roughly_cut(message, room) for message in _without_old_thinking(messages)]
    budget = int(room * (1 - _MARGIN)) - _FRAME_TOKENS - sum(estimate_tokens(_tool_text(tool)) for tool in tools)
    excess = sum(_message_tokens(message) for message in kept) - budget
    for group in _cut_order(kept):
        for index in sorted(group, key=lambda i: len(kept[i].content), reverse=True):
            if excess <= 0:
                return tuple(kept)
            before = _message_tokens(kept[index])
            kept[index] = _cut(kept[index], excess)
            excess -= before - _message_tokens(kept[index])
    if excess > 0:
        raise ModelFailed(
            ModelFailure.TOO_LONG,
            f"the question needs about {excess} tokens more than the context of the model; "
            "ask for less or raise `ollama.num_ctx`",
        )
    return tuple(kept)


def prompt_tokens(messages: Sequence[ChatMessage], tools: Sequence[ToolSpec]) -> int:
    """Estimate the tokens of the whole prompt."""
    said = sum(_message_tokens(message) for message in messages)
    return said + sum(estimate_tokens(_tool_text(tool)) for tool in tools) + _FRAME_TOKENS


def _without_old_thinking(messages: Sequence[ChatMessage]) -> tuple[ChatMessage, ...]:
    """Drop thinking from before the last user message: it belongs to the turn under way only."""
    last = max((i for i, message in enumerate(messages) if message.role is ChatRole.USER), default=-1)
    return tuple(
        replace(message, thinking="") if index < last and message.thinking else message
        for index, message in enumerate(messages)
    )


def _roughly_cut(message: ChatMessage, room: int) -> ChatMessage:
    """Cut a message that cannot fit anyway, roughly: counting the tokens of megabytes would take seconds."""
    most = room * _MOST_CHARS_PER_TOKEN
    if message.role is ChatRole.SYSTEM or len(message.content) <= most:
        return message
    return replace(message, content=_shortened(message.content, most))


def _cut_order(messages: Sequence[ChatMessage]) -> list[list[int]]:
    tools = [i for i, message in enumerate(messages) if message.role is ChatRole.TOOL]
    talk = [i for i, message in enumerate(messages) if message.role in (ChatRole.USER, ChatRole.ASSISTANT)]
    return [tools[:-1], tools[-1:], talk[:-1], talk[-1:]]


def _message_tokens(message: ChatMessage) -> int:
    call = json.dumps(message.tool_call.arguments) + message.tool_call.name if message.tool_call else ""
    return estimate_tokens(message.content) + estimate_tokens(message.thinking + call) + _MESSAGE_TOKENS


def _tool_text(tool: ToolSpec) -> str:
    return tool.name + tool.description + json.dumps(tool.parameters)


def _cut(message: ChatMessage, excess: int) -> ChatMessage:
    """Shorten the message by `excess` tokens, or as far as the floor allows."""
    content = message.content
    tokens = estimate_tokens(content)
    per_token = len(content) / tokens
    target = int(len(content) - (excess + 8) * per_token)
    shortened = _shortened(content, max(target, _FLOOR_CHARS))
    while target < len(shortened) > _FLOOR_CHARS and tokens - estimate_tokens(shortened) < excess:
        shortened = _shortened(content, max(int(len(shortened) * 0.8), _FLOOR_CHARS))
    return replace(message, content=shortened)


def _shortened(content: str, chars: int) -> str:
    """Keep head and tail, more of the tail: a log's end tells most."""
    if len(content) <= chars:
        return content
    room = max(chars - len(CUT) - 2, 0)
    head = room // 3
    return f"{content[:head]}\n{CUT}\n{content[len(content) - (room - head) :]}"
