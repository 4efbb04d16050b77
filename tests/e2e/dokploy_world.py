"""The world of an end-to-end test with a Dokploy: stacks that it deploys on the real engine, and people in the chat."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import urllib.request
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import docker
from docker.errors import NotFound
from docker.models.containers import Container

from playground.chats.shown_chats import ShownMessage
from tests.e2e.world import World
from tests.standins.dokploy import DokployStandin, Project, Service

GOOD = {"command": "web.py"}
CRASHES = {"command": "oneshot.py", "environment": ["WORK_S=1", "EXIT_CODE=1"]}
"""Up, and a second later at its end with exit code 1."""


@dataclass(kw_only=True)
class DokployWorld:
    """A guardian over what a Dokploy deploys. `files` writes Compose files for the test's image."""

    world: World
    dokploy: DokployStandin
    client: docker.DockerClient
    image: str

    def __post_init__(self) -> None:
        """One project, nothing in it."""
        self.project: Project = self.dokploy.add_project("shop")

    # -- stacks -----------------------------------------------------------------------------------------------------

    def file(self, **services: dict[str, Any]) -> str:
        """A Compose file: `file(api={"command": "web.py", "mem_limit": "64m", "environment": ["A=1"]})`."""
        lines = ["# made for this test", "services:"]
        for name, given in services.items():
            own = dict(given)
            command = own.pop("command", "web.py")
            lines += [f"  {name}:", f"    image: {own.pop('image', self.image)}"]
            lines += [f'    command: ["python3", "/srv/{command}"]', "    stop_grace_period: 1s"]
            for key, value in own.items():
                lines += [f"    {key}:", *(f"      - {one}" for one in value)] if isinstance(value, list) else []
                lines += [] if isinstance(value, list) else [f"    {key}: {value}"]
        return "\n".join(lines) + "\n"

    async def stack(self, name: str, file: str, **columns: Any) -> Service:
        """A compose that Dokploy has deployed already, before the guardian knows it."""
        made = self.dokploy.add_compose(self.project, name, compose_file=file, **columns)
        row = await asyncio.to_thread(self.dokploy.deploy, made)
        assert row["status"] == "done", row
        return made

    def container(self, service: Service, name: str) -> Container:
        """A running or stopped container of a compose, by its service."""
        return self.client.containers.get(service.container(name))

    async def edit(self, service: Service, **columns: Any) -> None:
        """Change a compose as a person does in Dokploy's own page: stored, not deployed."""
        body = json.dumps({"composeId": service.compose_id, **columns}).encode()
        headers = {"x-api-key": self.dokploy.api_key, "content-type": "application/json"}
        request = urllib.request.Request(f"{self.dokploy.url}/api/compose.update", data=body, headers=headers)

        def send() -> None:
            with urllib.request.urlopen(request, timeout=10) as answer:
                answer.read()

        await asyncio.to_thread(send)

    def url(self, service: Service, name: str, path: str) -> str:
        """The address of a page of a service that runs web.py."""
        networks = self.container(service, name).attrs["NetworkSettings"]["Networks"]
        return f"http://{next(iter(networks.values()))['IPAddress']}:8000{path}"

    def state(self, service: Service, name: str) -> dict[str, Any]:
        """How the engine says it is; empty while there is none."""
        with contextlib.suppress(NotFound):
            return dict(self.container(service, name).attrs["State"])
        return {}

    # -- the guardian -----------------------------------------------------------------------------------------------

    async def start(self, *stacks: str, **settings: str) -> None:
        """Start the program, guarding these stacks."""
        names = ",".join(f'"{name}"' for name in stacks)
        own = {
            "INFRAGUARDIAN_DOKPLOY__URL": self.dokploy.url,
            "INFRAGUARDIAN_DOKPLOY__API_KEY": self.dokploy.api_key,
            "INFRAGUARDIAN_DOKPLOY__POLL_S": "2",
            "INFRAGUARDIAN_DOKPLOY__SWEEP_S": "2",
            "INFRAGUARDIAN_DOKPLOY__FOLLOW_S": "0.3",
            "INFRAGUARDIAN_DOKPLOY__NEVER_AFTER_S": "5",
            "INFRAGUARDIAN_WATCH__ONLY": f"[{names}]",
        }
        await self.world.start(**(own | settings))

    async def order(self, words: str, *, showing: str = "", timeout_s: float = 20.0) -> int:
        """Ada orders something in private and says yes to the question that comes; the order's message id."""
        ada = self.world.ada
        sent = await ada.say(words)

        def asks(message: ShownMessage) -> bool:
            shown = f"{message.text} {' '.join(message.labels)}".casefold()
            return message.from_bot and message.id > sent and "approve" in shown and showing.casefold() in shown

        question = await self.until_shown(asks, sent, timeout_s, what=f"a question after {words!r}")
        label = next(one for one in question.labels if "approve" in one.casefold())
        await ada.tap(question, label)
        return sent

    async def private(self, *parts: str, after: int, timeout_s: float = 60.0) -> ShownMessage:
        """A message to Ada, newer than `after`, that shows all these words."""

        def fits(message: ShownMessage) -> bool:
            shown = f"{message.text} {' '.join(message.labels)}".casefold()
            return message.from_bot and all(part.casefold() in shown for part in parts)

        return await self.until_shown(fits, after, timeout_s, what=f"a message with {parts}")

    async def until_shown(
        self, fits: Callable[[ShownMessage], bool], after: int, timeout_s: float, *, what: str
    ) -> ShownMessage:
        """Wait for a message in Ada's chat; a failure tells the chat and the log."""
        try:
            return await self.world.ada.chat.wait_for(fits, after=after, timeout_s=timeout_s)
        except AssertionError as error:
            story = f"{self.told()}\n--- log ---\n{self.world.log()[-6000:]}"
            raise AssertionError(f"no {what}: {error}\n{story}") from None

    def asks_in_vain(self, procedure: str) -> bool:
        """Whether a call of Dokploy waits for an answer now."""
        return any(one.status is None for one in self.dokploy.asked(procedure))

    def told(self) -> str:
        """Everything the bot has shown in any chat, with every state of every message, oldest first."""
        world = self.world
        said = []
        for chat in (world.ops, *(one.chat for one in (world.ada, world.linus, world.grace, world.stranger))):
            for message in chat.bot_messages:
                for version in message.versions:
                    said.append((version.at, f"[{chat.id} #{message.id}] {version.text}\n    {message.labels}"))
        return "\n".join(line for _, line in sorted(said))


def free_port() -> int:
    """A port of loopback on which nobody listens now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.asynccontextmanager
async def dokploy_world(
    world: World, dokploy: DokployStandin, client: docker.DockerClient, image: str
) -> AsyncIterator[DokployWorld]:
    """The two together; the guardian ends before Dokploy does."""
    made = DokployWorld(world=world, dokploy=dokploy, client=client, image=image)
    try:
        yield made
    finally:
        if world.process is not None and world.process.returncode is None:
            await world.kill()
