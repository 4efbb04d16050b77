"""Finds the last stack trace in log lines: the exception, its message, and a fingerprint of its place."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agent.logs.line_templates import line_template

LINES_LIMIT = 5_000
LINE_LIMIT = 1_000
FRAMES_LIMIT = 60

_PYTHON_HEAD = "Traceback (most recent call last):"
_PYTHON_FRAME = re.compile(r'^\s*File "(?P<file>[^"]{1,300})", line \d+, in (?P<name>\S{1,100})')
_PYTHON_END = re.compile(r"^(?P<type>[A-Za-z_][\w.]{0,100})(?:: ?(?P<says>.*))?$")
_AT_FRAME = re.compile(r"^\s+at (?P<name>[^\s(]{1,200}(?: \[as [^\]]{1,60}\])?)")
_ANY_END = re.compile(
    r"(?:^|\s)(?P<type>(?:[A-Za-z_][\w.$]{0,150})?(?:Error|Exception|Throwable|Failure))(?:: ?(?P<says>.*))?$"
)
_JAVA_CAUSE = re.compile(r"^Caused by: (?P<type>[\w.$]{1,150})(?:: ?(?P<says>.*))?$")
_GO_HEAD = re.compile(r"^(?:panic|fatal error): (?P<says>.*)$")
_GO_FRAME = re.compile(r"^(?P<name>[\w./*()-]{1,200})\(")
_PREFIX = re.compile(r"^(?:\[[^\]]{0,80}\] ?|\d{4}-\d\d-\d\d[T ][\d:.,]{5,20}Z? ?|[\w.-]{1,40} +\| ){0,3}")
"""Prefix that loggers and Compose put before a line."""

ProgramLanguage = Literal["python", "node", "java", "go"]


@dataclass(frozen=True, kw_only=True)
class StackTrace:
    """A stack trace."""

    language: ProgramLanguage
    exception: str
    """Class without its package: `KeyError`."""
    line: str
    """The line that names the error: `KeyError: 'DATABASE_URL'`."""
    at: int
    """Index of that line among those read."""
    frames: tuple[str, ...]
    """Innermost last in Python, first elsewhere."""
    fingerprint: str
    """Equal for the same place and kind of error, whatever its values: 12 hexadecimal digits."""


def last_stack_trace(lines: Sequence[str]) -> StackTrace | None:
    """Return the last stack trace in these lines, or None."""
    cut = [line[:LINE_LIMIT].rstrip() for line in lines[-LINES_LIMIT:]]
    for index in range(len(cut) - 1, -1, -1):
        line = cut[index]
        if _PYTHON_HEAD in line:
            found = _python(cut, index, line.index(_PYTHON_HEAD))
        elif _GO_HEAD.match(line):
            found = _go(cut, index)
        elif _AT_FRAME.match(line) and not (index and _AT_FRAME.match(cut[index - 1])):
            found = _at(cut, index)
        else:
            continue
        if found is not None:
            return found
    return None


def _python(lines: Sequence[str], head: int, indent: int) -> StackTrace | None:
    """Read a trace from its head line: frames are indented further, the error is the first line that is not."""
    frames: list[str] = []
    for at, line in enumerate(lines[head + 1 : head + 1 + 4 * FRAMES_LIMIT], head + 1):
        body = line[indent:]
        frame = _PYTHON_FRAME.match(body)
        if frame:
            frames.append(f"{frame['file'].rpartition('/')[2]}:{frame['name']}")
        elif body and not body[0].isspace():
            end = _PYTHON_END.match(body)
            return _trace("python", end["type"], body, at, frames) if end and frames else None
    return None


def _at(lines: Sequence[str], first: int) -> StackTrace | None:
    """Read a trace from its first `at …` line: the error is in a line before; Java's last cause counts."""
    frames = [found["name"] for line in lines[first : first + FRAMES_LIMIT] if (found := _AT_FRAME.match(line))]
    language: ProgramLanguage = (
        "node" if any("(node:" in line or ".js:" in line for line in lines[first : first + 5]) else "java"
    )
    for at in range(first - 1, max(0, first - 6) - 1, -1):
        body = _PREFIX.sub("", lines[at]).removeprefix("Uncaught ")
        found = _JAVA_CAUSE.match(body) or _ANY_END.search(body)
        if found:
            return _trace(language, found["type"], body.removeprefix("Caused by: ").strip(), at, frames)
    return None


def _go(lines: Sequence[str], head: int) -> StackTrace | None:
    after = lines[head + 1 : head + 1 + FRAMES_LIMIT]
    if not any(line.startswith("goroutine ") for line in after[:6]):
        return None
    frames = [found["name"] for line in after if (found := _GO_FRAME.match(line))]
    return _trace("go", "panic", lines[head], head, frames)


def _trace(language: ProgramLanguage, exception: str, line: str, at: int, frames: Sequence[str]) -> StackTrace:
    short = exception.rpartition(".")[2]
    place = "\n".join([language, short, *frames[:FRAMES_LIMIT], "" if frames else line_template(line)])
    return StackTrace(
        language=language,
        exception=short,
        line=line.strip(),
        at=at,
        frames=tuple(frames[:FRAMES_LIMIT]),
        fingerprint=hashlib.sha256(place.encode()).hexdigest()[:12],
    )
