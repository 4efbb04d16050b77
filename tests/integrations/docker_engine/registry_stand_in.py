"""A registry that always gives the same answer, for refusals that a real one gives only with an account."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.integrations.docker_engine.stand_in import on_port


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What it answers to everything but its greeting."""

    status: int
    code: str = "UNAUTHORIZED"
    message: str = "authentication required"

    def whole(self) -> bytes:
        """As HTTP."""
        body = json.dumps({"errors": [{"code": self.code, "message": self.message}]}).encode()
        challenge = 'WWW-Authenticate: Basic realm="shop"\r\n' if self.status == 401 else ""
        head = f"HTTP/1.1 {self.status} Answer\r\nContent-Type: application/json\r\n{challenge}"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass(kw_only=True)
class Seen:
    """What was asked of it."""

    host: str = ""
    logins: list[str] = field(default_factory=list)


@asynccontextmanager
async def registry_that(answer: Answer, *, known: Answer | None = None) -> AsyncIterator[Seen]:
    """Serve on loopback; `known`: what somebody who logs in is told."""
    seen = Seen()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while first := (await reader.readline()).decode(errors="replace"):
            login = ""
            while (line := (await reader.readline()).decode().strip()) != "":
                name, _, value = line.partition(":")
                login = value.strip() if name.lower() == "authorization" else login
            seen.logins += [login] if login else []
            given = known if known is not None and login else answer
            is_greeting = first.split(" ")[1] == "/v2/" and (answer.status != 401 or given is known)
            greeting = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
            is_head = first.startswith("HEAD")
            whole = greeting if is_greeting else given.whole()
            writer.write(whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if is_head else whole)
            await writer.drain()

    async with on_port(handle, None) as port:
        seen.host = f"127.0.0.1:{port}"
        yield seen
