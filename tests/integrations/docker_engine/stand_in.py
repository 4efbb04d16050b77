"""Stand-ins for engines: servers that hang, speak an old API, or pass on to the real one until they are cut."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Connections:
    """Counts and ends the connections of a server."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._tasks: set[asyncio.Task[None]] = set()
        self.accepted = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends or `cut` is called."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.accepted += 1
        try:
            await self._handle(reader, writer)
        except (asyncio.CancelledError, OSError, ssl.SSLError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    @property
    def open(self) -> int:
        """How many connections stand."""
        return len(self._tasks)

    async def cut(self) -> None:
        """End every connection."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def on_socket(path: Path, handle: Handle) -> AsyncIterator[Connections]:
    """Serve on a unix socket; at the end the socket vanishes and every connection is cut."""
    connections = Connections(handle)
    server = await asyncio.start_unix_server(connections, str(path))
    try:
        yield connections
    finally:
        server.close()
        os.unlink(path)
        await connections.cut()


@asynccontextmanager
async def on_port(handle: Handle, context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Serve on a free port of the loopback; gives the port."""
    connections = Connections(handle)
    server = await asyncio.start_server(connections, "127.0.0.1", 0, ssl=context)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await connections.cut()


def forward_to(path: str) -> Handle:
    """A handler that passes everything on to the unix socket `path`."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(path)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, inner_writer))
                group.create_task(_pump(inner_reader, writer))
        except* OSError:
            pass
        finally:
            inner_writer.close()

    return forward


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    with suppress(OSError, NotImplementedError):
        if writer.can_write_eof():
            writer.write_eof()
        else:
            writer.close()


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read everything, never answer."""
    while await reader.read(65536):
        pass


class Server:
    """An HTTP server that answers fixed pages, keeps what was asked, and hangs on the paths in `hanging`."""

    def __init__(self, pages: dict[str, object]) -> None:
        self.pages = pages
        self.asked: list[str] = []
        self.hanging: set[str] = set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        while head := await _head(reader):
            method, target, _ = head.split(" ", 2)
            self.asked.append(f"{method} {target}")
            path = target.partition("?")[0]
            if any(path.endswith(end) for end in self.hanging):
                await hang(reader, writer)
                return
            page = next((body for end, body in self.pages.items() if path.endswith(end)), None)
            status = "200 OK" if page is not None else "404 Not Found"
            body = json.dumps(page if page is not None else {"message": "page not found"}).encode()
            writer.write(f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n".encode())
            writer.write(f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()


async def _head(reader: asyncio.StreamReader) -> str:
    """The request line; headers and body are read away."""
    first = (await reader.readline()).decode()
    length = 0
    while (line := (await reader.readline()).decode().strip().lower()) != "":
        if line.startswith("content-length:"):
            length = int(line.partition(":")[2])
    if length:
        await reader.readexactly(length)
    return first.strip()
