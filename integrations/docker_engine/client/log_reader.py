"""Reads container logs in pieces: frames, lines of any length, any bytes, in bounded memory."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from integrations.docker_engine.client.json_fields import json_time
from integrations.docker_engine.engine import LogLine

LogStream = Literal["stdout", "stderr"]

SCAN_LINES = 50_000
"""Number of last lines searched with `grep` or `until`."""
SCAN_BYTES = 64 * 1024 * 1024
"""Size at which reading stops in any case."""
KEPT_CHARS = 2_000_000
"""Length of all lines together; the oldest are dropped first."""
# stream, three zeros, length. https://docs.docker.com/reference/api/engine/version/v1.47/ (ContainerAttach)
FRAME_HEADER_BYTES = 8
STREAMS: dict[int, LogStream] = {0: "stdout", 1: "stdout", 2: "stderr"}

_ANSI = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # colours, cursor
    r"|\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles, links
    r"|[PX^_][^\x1b]*(?:\x1b\\)?"
    r"|[ -/]*[0-~])"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Remaining control characters, and those that change the direction of writing."""


class Demultiplexer:
    """Splits a multiplexed stream into (stream, piece, begins_frame); keeps at most one header."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._left = 0
        self._stream: LogStream = "stdout"
        self._is_new = False

    def feed(self, chunk: bytes) -> Iterator[tuple[LogStream, bytes, bool]]:
        """Yield the pieces in this chunk of the connection."""
        at = 0
        while at < len(chunk):
            if self._left == 0:
                taken = chunk[at : at + FRAME_HEADER_BYTES - len(self._header)]
                self._header += taken
                at += len(taken)
                if len(self._header) == FRAME_HEADER_BYTES:
                    self._stream = STREAMS.get(self._header[0], "stdout")
                    self._left = int.from_bytes(self._header[4:], "big")
                    self._is_new = True
                    self._header.clear()
                continue
            piece = chunk[at : at + self._left]
            at += len(piece)
            self._left -= len(piece)
            yield self._stream, piece, self._is_new
            self._is_new = False


@dataclass(kw_only=True)
class _PartialLine:
    """A line that is not complete yet."""

    kept: bytearray = field(default_factory=bytearray)
    at: datetime | None = None
    was_cut: bool = False
    has_begun: bool = False
    stamp: bytearray | None = None
    """Collects the timestamp at the start of a frame; None once it has been read."""


class LogLineAssembler:
    """Assembles frames into lines; keeps the last `tail` that contain `grep`."""

    def __init__(self, *, tail: int, grep: str | None, max_line: int) -> None:
        self._lines: deque[LogLine] = deque(maxlen=max(1, tail))
        self._grep = grep.casefold() if grep else None
        self._max_line = max_line
        # a character has up to four bytes; some more for colours, which do not count
        self._keep = max_line * 4 + 4096
        self._open: dict[LogStream, _PartialLine] = {"stdout": _PartialLine(), "stderr": _PartialLine()}
        self._chars = 0

    def feed(self, stream: LogStream, piece: bytes, *, begins_frame: bool) -> None:
        """Add a piece of a stream. The engine puts a timestamp before each message; a long line is several messages."""
        line = self._open[stream]
        if begins_frame:
            line.stamp = bytearray()
        while piece:
            if line.stamp is not None:
                piece = self._read_stamp(line, piece)
                continue
            end = piece.find(b"\n")
            self._keep_of(line, piece if end < 0 else piece[:end])
            if end < 0:
                return
            self._finish(stream)
            line = self._open[stream]
            line.stamp = bytearray()
            piece = piece[end + 1 :]

    def _read_stamp(self, line: _PartialLine, piece: bytes) -> bytes:
        """Move the timestamp at the start of `piece` to the line; anything else is text."""
        assert line.stamp is not None
        space = piece.find(b" ")
        line.stamp += piece if space < 0 else piece[:space]
        if space < 0 and len(line.stamp) < 40 and b"\n" not in line.stamp:
            return b""
        at = json_time(bytes(line.stamp[:40]).decode("ascii", "replace"))
        text = bytes(line.stamp) + (b" " if space >= 0 else b"") if at is None else b""
        line.stamp = None
        line.at = line.at or at
        line.has_begun = True
        return text + (piece[space + 1 :] if space >= 0 else b"")

    def _keep_of(self, line: _PartialLine, text: bytes) -> None:
        line.has_begun = True
        room = self._keep - len(line.kept)
        line.kept += text[:room]
        line.was_cut = line.was_cut or len(text) > room

    def _finish(self, stream: LogStream) -> None:
        line, self._open[stream] = self._open[stream], _PartialLine()
        text = clean_log_line(bytes(line.kept))
        if self._grep is not None and self._grep not in text.casefold():
            return
        was_cut = line.was_cut or len(text) > self._max_line
        if len(self._lines) == self._lines.maxlen:
            self._chars -= len(self._lines[0].text)
        self._lines.append(LogLine(stream=stream, at=line.at, text=text[: self._max_line], was_cut=was_cut))
        self._chars += len(self._lines[-1].text)
        while self._chars > KEPT_CHARS and len(self._lines) > 1:
            self._chars -= len(self._lines.popleft().text)

    def result(self) -> list[LogLine]:
        """Return all kept lines in time order, including an unfinished last one."""
        for stream, line in tuple(self._open.items()):
            if line.stamp:
                self._keep_of(line, bytes(line.stamp))
            if line.has_begun:
                self._finish(stream)
        times = [line.at for line in self._lines if line.at is not None]
        if len(times) < len(self._lines):
            return list(self._lines)
        return sorted(self._lines, key=lambda line: line.at.timestamp() if line.at else 0.0)


def clean_log_line(raw: bytes) -> str:
    """Return text for people: bad bytes replaced, control codes removed, progress lines in their last state."""
    text = raw.decode("utf-8", "replace").rstrip("\r")
    if "\r" in text:
        text = text.rpartition("\r")[2] or text
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    return _CONTROL.sub("", text)


def clean_log_text(raw: bytes) -> str:
    """Return `clean` of every line."""
    return "\n".join(clean_log_line(line) for line in raw.split(b"\n"))


async def read_log(chunks: AsyncIterator[bytes], lines: LogLineAssembler, *, is_raw: bool) -> None:
    """Feed a log stream to `lines` until it ends or SCAN_BYTES are read; `is_raw`: the container has a terminal."""
    demultiplexer, seen = Demultiplexer(), 0
    async for chunk in chunks:
        if is_raw:
            lines.feed("stdout", chunk, begins_frame=seen == 0)
        else:
            for stream, piece, begins in demultiplexer.feed(chunk):
                lines.feed(stream, piece, begins_frame=begins)
        seen += len(chunk)
        if seen > SCAN_BYTES:
            return
