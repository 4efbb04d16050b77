"""What the stand-in for Ollama can be told to answer: words, tool calls, and every fault seen in the wild."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer of /api/chat; the functions below name the usual ones."""

    content: str = ""
    thinking: str = "The user wants to know."
    calls: tuple[tuple[str, Any], ...] = ()
    """Tool names with their arguments, sent in the last line as GPT-OSS does."""
    done_reason: str = "stop"
    pieces: int = 3
    """In how many lines the content comes."""
    prompt_tokens: int = 300
    output_tokens: int = 40
    status: int = 200
    error: str = ""
    """With a status of 400 or more: the answer. With 200: a line in the stream after the first piece."""
    is_done_sent: bool = True
    is_reset: bool = False
    """The connection breaks after the first piece."""
    delay_s: float = 0.0
    """Before the first line."""
    drip_s: float = 0.0
    """Before each line."""
    held_until: asyncio.Event | None = field(default=None, compare=False)
    """Nothing comes before this is set."""
    raw: str | None = None
    """These bytes instead of everything else."""


Answerer = Callable[[Json], Reply]


def says(content: str, **changes: Any) -> Reply:
    """Plain words."""
    return Reply(content=content, **changes)


def calls(name: str, arguments: Any = None, **changes: Any) -> Reply:
    """A tool call."""
    return Reply(calls=((name, arguments if arguments is not None else {}),), **changes)


def model_missing(model: str = "gpt-oss:20b") -> Reply:
    """404."""
    return Reply(status=404, error=f"model '{model}' not found")


def busy() -> Reply:
    """503."""
    return Reply(status=503, error="server busy, please try again.  maximum pending requests exceeded")


def unreadable_call() -> Reply:
    """500: the arguments of the model's tool call were no JSON."""
    return Reply(status=500, error="error parsing tool call: raw='{\"host\":\"web1\"}]', err=invalid character ']'")


def unreadable_call_midway() -> Reply:
    """The same as a line within a stream that began well."""
    return Reply(content="Let me look", error="error parsing tool call: raw='{', err=unexpected end of JSON input")


def breaks_midway() -> Reply:
    """An error line within the stream."""
    return Reply(content="Disk is at", error="an error was encountered while running the model: CUDA error")


def without_done(content: str = "Disk is at 9") -> Reply:
    """The stream ends before the model did."""
    return Reply(content=content, is_done_sent=False)


def reset() -> Reply:
    """The connection breaks within the stream."""
    return Reply(content="Disk is at 91 %", is_reset=True)


def empty() -> Reply:
    """Thinking, then nothing."""
    return Reply(content="")


def thought_too_long() -> Reply:
    """All tokens went into thinking."""
    return Reply(content="", thinking="Hmm. " * 50, done_reason="length")


def cut(content: str) -> Reply:
    """Ran into the token limit in mid-sentence."""
    return Reply(content=content, done_reason="length")


def slow_first_token(delay_s: float) -> Reply:
    """A cold model."""
    return Reply(content="late", delay_s=delay_s)


def slow_drip(content: str, drip_s: float) -> Reply:
    """A model on a CPU."""
    return Reply(content=content, pieces=max(len(content), 1), drip_s=drip_s)


def polluted_call(name: str, arguments: Json) -> Reply:
    """A tool name with a rest of the harmony format on it."""
    return calls(f"functions.{name}<|channel|>commentary", arguments)


def same_call_for_ever(name: str, arguments: Json) -> Answerer:
    """An answerer that repeats one call, whatever it is told."""
    return lambda request: calls(name, arguments)
