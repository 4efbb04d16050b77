"""A unix socket in front of the real engine that can hold a request, or its answer, at an exact point."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self


@dataclass
class Hold:
    """Requests whose first line fits `pattern` stop here."""

    pattern: re.Pattern[str]
    answers: bool
    """False: before the engine hears of it. True: the engine acts, and its answer is kept back."""
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    count: int = 0


class EngineProxy:
    """An async context manager; `url` is the engine as the program shall see it."""

    def __init__(self, docker_host: str, path: Path) -> None:
        self._engine = docker_host.removeprefix("unix://")
        self._path = path
        self._server: asyncio.Server | None = None
        self._holds: list[Hold] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_cut = False
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        """The address for the settings."""
        return f"unix://{self._path}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._accept, str(self._path))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        await self.cut()
        if self._server is not None:
            self._server.close()

    def hold(self, first_line: str, *, answers: bool = False) -> Hold:
        """Stop requests whose first line (`POST /v1.41/containers/x/restart`) holds this regular expression."""
        made = Hold(pattern=re.compile(first_line), answers=answers)
        self._holds.append(made)
        return made

    def release(self) -> None:
        """Let go of everything that is held and hold no more."""
        for one in self._holds:
            one.released.set()
        self._holds.clear()

    async def cut(self) -> None:
        """Break every connection: the engine is gone for a moment."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def unplug(self) -> None:
        """Nobody answers any more, until `plug`."""
        self._is_cut = True
        await self.cut()

    def plug(self) -> None:
        """Answer again."""
        self._is_cut = False

    def count(self, first_line: str) -> int:
        """How many requests of that form reached the engine."""
        return sum(1 for line in self.requests if re.search(first_line, line))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._relay(reader, writer)
        except (asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            pass  # the connection ends; that is all a proxy needs to know
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        engine_reader, engine_writer = await asyncio.open_unix_connection(self._engine)
        gates: list[Hold] = []
        back = asyncio.create_task(_pump(engine_reader, writer, lambda: gates[-1] if gates else None), name="answers")
        try:
            while head := await _head(reader):
                line = head.split(b"\r\n", 1)[0].decode(errors="replace")
                held = next((one for one in self._holds if one.pattern.search(line)), None)
                gates.clear()
                if held is not None:
                    held.count += 1
                    if held.answers:
                        gates.append(held)
                    else:
                        held.reached.set()
                        await held.released.wait()
                self.requests.append(line)
                engine_writer.write(head)
                await _body(head, reader, engine_writer)
                if b"upgrade:" in head.lower():
                    await _pump(reader, engine_writer, lambda: None)
        finally:
            back.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await back
            engine_writer.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


async def _body(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    found = re.search(rb"content-length:\s*(\d+)", head, re.IGNORECASE)
    if found and int(found[1]):
        writer.write(await reader.readexactly(int(found[1])))
    await writer.drain()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: Callable[[], Hold | None]) -> None:
    while piece := await reader.read(65536):
        held = gate()
        if held is not None and not held.released.is_set():
            held.reached.set()
            await held.released.wait()
        writer.write(piece)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
