"""The whole product as one world: the real program as a process, a real engine, and people at the chat server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

import docker

from playground.chats.chat_people import PlaygroundPerson
from playground.chats.shown_chats import ShownChat, ShownMessage
from playground.server import BotApiServer
from tests.testbed.stack import Stack
from tests.testbed.world import eventually

ADA, LINUS, GRACE, STRANGER = 1001, 1003, 1002, 6666
OPS = -1001000000077
"""The group that gets the cards; everybody is in it, the stranger too."""
ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 90.0


@dataclass(kw_only=True)
class World:
    """One guardian over one stack, an admin (Ada), an operator (Linus), a viewer (Grace), a stranger (Mallory)."""

    chat_server: BotApiServer
    stack: Stack
    docker_host: str
    home: Path
    settings: dict[str, str] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None
    starts: int = 0
    heard: list[tuple[str, str]] = field(default_factory=list)
    """(container, event), as the engine told them; it keeps only the last 256 itself."""

    def __post_init__(self) -> None:
        """Let the people enter the chat."""
        self.ada: PlaygroundPerson = self.chat_server.person(ADA, "Ada")
        self.linus: PlaygroundPerson = self.chat_server.person(LINUS, "Linus")
        self.grace: PlaygroundPerson = self.chat_server.person(GRACE, "Grace", language_code="es")
        self.stranger: PlaygroundPerson = self.chat_server.person(STRANGER, "Mallory")
        everybody = [self.ada, self.linus, self.grace, self.stranger]
        self.ops: ShownChat = self.chat_server.group(OPS, "Ops", members=everybody, administrators=[self.ada])

    # -- the program ------------------------------------------------------------------------------------------------

    async def start(self, **settings: str) -> None:
        """Start the program and wait until it polls; `settings`: further environment variables."""
        self.settings |= settings
        self.starts += 1
        log = (self.home / f"guardian-{self.starts}.log").open("wb")
        try:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "cli", "serve", cwd=self.home, env=self._environment(), stdout=log, stderr=log
            )
        finally:
            log.close()
        await eventually(self._is_up, START_LIMIT_S, what="the program polling")

    def _is_up(self) -> bool:
        assert self.process is not None
        if self.process.returncode is not None:
            raise AssertionError(f"the program ended with {self.process.returncode}:\n{self.log()[-4000:]}")
        said = (self.home / f"guardian-{self.starts}.log").read_bytes()
        return b"on guard" in said and self.chat_server.is_polled  # a dead process's poll may still hang there

    def _environment(self) -> dict[str, str]:
        own = {
            "TELEGRAM_BOT_TOKEN": self.chat_server.token,
            "TELEGRAM_ADMINS": str(ADA),
            "INFRAGUARDIAN_TELEGRAM__OPERATORS": f"[{LINUS}]",
            "INFRAGUARDIAN_TELEGRAM__VIEWERS": f"[{GRACE}]",
            "INFRAGUARDIAN_TELEGRAM__API_URL": self.chat_server.base_url.removesuffix("/bot"),
            "INFRAGUARDIAN_TELEGRAM__ALERT_CHATS": f"[{OPS}]",
            "INFRAGUARDIAN_TELEGRAM__POLL_TIMEOUT_S": "5",
            "INFRAGUARDIAN_TELEGRAM__EDIT_PACE_S": "0.1",
            "INFRAGUARDIAN_TELEGRAM__GROUP_EDIT_PACE_S": "0.1",
            "INFRAGUARDIAN_DATA_DIR": str(self.home / "data"),
            "INFRAGUARDIAN_ENGINES__LOCAL__URL": self.docker_host,
            "INFRAGUARDIAN_WATCH__ONLY": f'["{self.stack.project}"]',
            "INFRAGUARDIAN_WATCH__POLL_S": "2",
            "INFRAGUARDIAN_WATCH__STATS_S": "2",
            "INFRAGUARDIAN_VERIFICATION__WINDOW_S": "2",
            "INFRAGUARDIAN_VERIFICATION__POLL_S": "0.5",
            "INFRAGUARDIAN_WEB__PORT": "0",
            "INFRAGUARDIAN_OLLAMA__URL": "http://127.0.0.1:9",
        }
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("INFRAGUARDIAN_", "DOCKER_"))
        }
        return {**inherited, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "", **own, **self.settings}

    async def kill(self) -> None:
        """kill -9, at this very moment."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), 20)
            except TimeoutError:
                await self.kill()
                raise
        return self.process.returncode or 0

    async def run(self, *arguments: str, **settings: str) -> tuple[int, str]:
        """Run a command of the program to its end, with these settings on top; its exit code and all it said."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "cli",
            *arguments,
            cwd=self.home,
            env=self._environment() | settings,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(), 60)
        except TimeoutError:
            process.kill()
            said, _ = await process.communicate()
            raise AssertionError(f"{arguments} did not end:\n{said.decode(errors='replace')}") from None
        return process.returncode or 0, said.decode(errors="replace")

    def log(self) -> str:
        """What the program wrote in all its lives."""
        files = sorted(self.home.glob("guardian-*.log"))
        return "\n".join(path.read_text(errors="replace") for path in files)

    # -- the chat ---------------------------------------------------------------------------------------------------

    async def card(self, *parts: str, timeout_s: float = 15.0, chat: ShownChat | None = None) -> ShownMessage:
        """The message that shows all these words (any case), as it stands then; a failure tells chat and log.

        `chat`: the group unless named.
        """

        def fits(message: ShownMessage) -> bool:
            shown = f"{message.text} {' '.join(message.labels)}".casefold()
            return message.from_bot and all(part.casefold() in shown for part in parts)

        try:
            return await (chat or self.ops).wait_for(fits, timeout_s=timeout_s)
        except AssertionError as error:
            raise AssertionError(f"no message with {parts}: {error}\n--- log ---\n{self.log()[-6000:]}") from None

    async def tap(
        self,
        label: str,
        *parts: str,
        by: PlaygroundPerson | None = None,
        timeout_s: float = 15.0,
        chat: ShownChat | None = None,
    ) -> str:
        """Tap the button of the message that shows `parts`; what the bot answered to the tap."""
        message = await self.card(label, *parts, timeout_s=timeout_s, chat=chat)
        tapped = await (by or self.ada).tap(message, label, chat=chat or self.ops)
        return (await tapped.answer(10)).text or ""

    def cards_about(self, words: str) -> list[ShownMessage]:
        """The bot's messages in the group that are no replies and hold these words."""
        return [one for one in self.cards() if words in one.text]

    def cards(self) -> list[ShownMessage]:
        """The bot's messages in the group that are no replies: its incidents' cards."""
        return [one for one in self.ops.bot_messages if one.reply_to is None]

    async def ask(
        self, person: PlaygroundPerson, words: str, *parts: str, timeout_s: float = 15.0, **how: Any
    ) -> ShownMessage:
        """Say something in private (`how`: of `Person.say`) and return the answer that shows these words."""
        sent = await person.say(words, **how)

        def fits(message: ShownMessage) -> bool:
            shown = f"{message.text} {' '.join(message.labels)}".casefold()
            return message.from_bot and message.id > sent and all(part.casefold() in shown for part in parts)

        try:
            return await person.chat.wait_for(fits, after=sent, timeout_s=timeout_s)
        except AssertionError as error:
            raise AssertionError(f"no answer with {parts}: {error}\n--- log ---\n{self.log()[-6000:]}") from None

    # -- the engine -------------------------------------------------------------------------------------------------

    def events(self, service: str, kind: str) -> int:
        """How often the engine said this of a service's container since the world began."""
        name = str(self.stack.containers[service].name)
        return sum(1 for known, what in self.heard if known == name and what == kind)

    async def fails(self, act: Callable[[], object]) -> None:
        """Do what the engine must refuse."""
        try:
            await asyncio.to_thread(act)
        except docker.errors.APIError:
            return
        raise AssertionError("the engine did what it was expected to refuse")

    def restarts(self, service: str) -> int:
        """How often somebody restarted it through the API (the engine's own restarts do not count)."""
        return self.events(service, "restart")

    async def until(self, condition: Callable[[], object], timeout_s: float = 20.0, what: str = "") -> None:
        """Wait for something in the world."""
        await eventually(condition, timeout_s, what=what)


async def get(url: str, method: str = "GET") -> None:
    """Ask a service of the stack; it may die of what is asked of it."""

    def request() -> None:
        with (
            contextlib.suppress(OSError, HTTPException),
            urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=3) as answer,
        ):
            answer.read()

    await asyncio.to_thread(request)


@contextlib.contextmanager
def listening(docker_host: str, project: str, heard: list[tuple[str, str]]) -> Iterator[None]:
    """Write down every event of a project's containers, in a thread, until left."""
    client = docker.DockerClient(base_url=docker_host, timeout=600)
    stream = client.events(decode=True, filters={"label": f"com.docker.compose.project={project}"})

    def listen() -> None:
        for event in stream:
            if event.get("Type") == "container":
                heard.append((event["Actor"]["Attributes"]["name"], event["Action"]))

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stream.close()
        thread.join(5)
        client.close()
