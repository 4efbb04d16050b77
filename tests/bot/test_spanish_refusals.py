"""What Dokploy cannot do, told to a person who speaks Spanish: every word of the reason, and the next step."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.actions.calls import Call
from core.actions.catalog import Toolset
from core.actions.policy import Actor, ActorKind
from core.deployments.platform import ManagedKind, ManagedResource
from core.settings import DokploySettings
from integrations.docker_engine.deploy_images import DeployImageStore
from integrations.dokploy.actions.dokploy_toolsets import DokployDeps, build_toolsets
from integrations.dokploy.client.dokploy_client import Dokploy
from knowledge.config.text_files import load_texts
from playground.chats.shown_chats import ShownMessage
from playground.server import BotApiServer
from tests.bot.world import ADA, GRACE, FaceWorld
from tests.standins.dokploy import DokployStandin

COMMIT = "5f3c2d1aa0bb4c1d9e8f7a6b5c4d3e2f1a0b9c8d"
BROKEN = "services:\n  api:\n\timage: granada/api:1\n"
VARIABLE = "services:\n  api:\n    image: granada/api:1\n    mem_limit: ${API_MEMORY}\n"


@dataclass(kw_only=True)
class SpanishWorld(FaceWorld):
    """granada comes from git, nerja and ronda are kept in Dokploy, malaga is a plain Compose project."""

    dokploy: DokployStandin
    key: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.telegram = {"admins": (ADA, GRACE), "viewers": ()}
        shop = self.dokploy.add_project("shop")
        add = self.dokploy.add_compose
        self.made = {
            "granada": add(shop, "granada", compose_file="", git_url="https://git.example.org/granada.git"),
            "nerja": add(shop, "nerja", compose_file=BROKEN),
            "ronda": add(shop, "ronda", compose_file=VARIABLE),
        }

    def more_toolsets(self) -> Sequence[Toolset]:
        parts = DokployDeps(
            client=self.client,
            inventory=self.inventory,
            deploys=self.knowledge.deploys,
            versions=self.knowledge.versions,
            images=DeployImageStore({}),
            redact=str,
            clock=self.clock,
        )
        return build_toolsets(parts)

    async def look(self) -> None:
        """What the watchers would see, Dokploy's stacks too."""
        await super().look()
        managed = tuple(
            ManagedResource(
                id=one.compose_id,
                kind=ManagedKind.COMPOSE,
                name=name,
                app_name=one.app_name,
                source="git" if name == "granada" else "raw",
                host="local",
            )
            for name, one in self.made.items()
        )
        self._inventory = replace(self._inventory, managed=managed)

    @asynccontextmanager
    async def started(self) -> AsyncIterator[SpanishWorld]:
        """The face over a client of the stand-in."""
        key = SecretStr(self.key or self.dokploy.api_key)
        settings = DokploySettings(url=self.dokploy.url, api_key=key, pace_s=0.0, retries=0)
        async with AsyncExitStack() as stack:
            self.client = await stack.enter_async_context(Dokploy(settings))
            await stack.enter_async_context(self.running())
            yield self

    async def tells(self, words: str, *parts: str) -> ShownMessage:
        """The answer to what Grace says."""
        before = self.grace.chat.last_id
        await self.grace.say(words)
        return await self.says(self.grace.chat, *parts, after=before)


@pytest.fixture
def idle(server: BotApiServer, dokploy: DokployStandin, tmp_path: Path) -> SpanishWorld:
    """Give a world that is not started yet."""
    return SpanishWorld(server=server, home=tmp_path / "data", dokploy=dokploy)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (
            f"/rollback granada {COMMIT}",
            ("No se puede hacer", "5f3c2d1 es un commit", "/rollback granada rollback-5f3c2d1"),
        ),
        ("/tag granada api v2", ("No se puede hacer", "viene de git", "Cámbialo en el repositorio", "/deploy granada")),
        (
            "/rollback nerja",
            ("No se puede hacer", "No hay guardada ninguna versión buena de nerja", "/rollback nerja ?"),
        ),
        ("/deploy nerja", ("nerja no se puede desplegar así", "línea 3", "no se puede sangrar con tabuladores")),
        ("/deploy malaga", ("malaga corre aquí, pero Dokploy no lo gestiona", "docker compose pull")),
    ],
)
async def test_a_refusal_is_told_in_spanish(idle: SpanishWorld, words: str, parts: tuple[str, ...]) -> None:
    async with idle.started() as world:
        shown = await world.tells(words, *parts)
        assert not [one for one in (" is ", " the ", "dokploy.compose") if one in shown.text]


async def test_a_limit_set_by_a_variable_names_the_variable_in_spanish(idle: SpanishWorld) -> None:
    async with idle.started() as world:
        call = Call(
            key="p:limit",
            action="dokploy.compose.set_memory_limit",
            params={"stack": "ronda", "service": "api", "limit_mb": 512},
            actor=Actor(kind=ActorKind.RUNBOOK, id="container_oom", name="container_oom"),
        )
        receipt = await world.gateway.submit(call)
        assert receipt.verdict is not None
        assert load_texts().render(receipt.verdict.reason, "es") == (
            "No se puede hacer: Archivo Compose, línea 4, columna 16: el límite de memoria de api viene de la variable "
            "API_MEMORY; cambia API_MEMORY en el entorno, en Dokploy, y luego /deploy."
        )


async def test_a_wrong_key_is_told_in_spanish(idle: SpanishWorld) -> None:
    idle.key = "wrong"
    async with idle.started() as world:
        await world.tells("/deploy ronda", "No se puede hacer", "Dokploy rechaza la clave", "dokploy.api_key")
