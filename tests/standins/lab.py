"""The laboratory of the recordings, rebuilt in the stand-in: the same services under other ids."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.standins.dokploy import DokployStandin, Project, Service
from tests.standins.dokploy.caller import Caller
from tests.standins.recorded import Names, differences, raw_request, replay
from tests.testbed.world import eventually

FINAL = ("done", "error")
STACK, GIT, SWARM, ISOLATED, NEVER, APP, DATABASE = (
    "3CwYjB6fsiwNDsecQATT2",
    "t5AWq6vUDokAffd2rs0YS",
    "rm08tfhqR6Zd3k_SINXFa",
    "CSFYZoy9lk7jFFlAe7GQH",
    "pTPkN-PMcdr7hGeJSfVmS",
    "2mV_pdYJYIk9DjvT07ZSi",
    "BmL-0qkLwnP87nToW0I8p",
)
APP_NAMES = {
    STACK: "labstack-t1ev9p",
    GIT: "labgit-m8f8xy",
    SWARM: "labswarm-yjzcqc",
    ISOLATED: "labiso-mfbxvz",
    NEVER: "labnever-lwumyr",
    APP: "labapp-k5nj9c",
    DATABASE: "labpg-iwxoz2",
}


@dataclass(kw_only=True)
class Lab:
    """`check` replays calls and collects how the answers differ; `names` holds what stands for what."""

    dokploy: DokployStandin
    image: str
    names: Names = field(default_factory=Names)
    replayed: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """One project with two environments, and an owner."""
        self.owner = Caller(url=self.dokploy.url, key=self.dokploy.api_key)
        self.project: Project = self.dokploy.add_project("lab-project", description="recording lab")
        staging = self.dokploy.add_environment(self.project, "staging")
        for old, new in {
            "wDKtDnojoRKSRsGRrUpaO": self.project.project_id,
            "KkxNHk09KAujsGKraSd2s": self.project.environment_id,
            "uDPUysnu7y1kMSq5UhApt": staging,
            "debpy:local": self.image,
            "127.0.0.1:5000/debpy:v1": self.image,
            "127.0.0.1:5000/debpy:v2": self.image,
            "/etc/dokploy": str(self.dokploy.home),
        }.items():
            self.names.add(old, new)

    def _know(self, old: str, service: Service) -> Service:
        self.names.add(old, service.id)
        self.names.add(APP_NAMES[old], service.app_name)
        return service

    def stack(self, recording: str = "compose.create", old: str = STACK, **columns: Any) -> Service:
        """The compose that a recording created."""
        body = self.names.here(raw_request(recording)["body"])
        compose_type = body.get("composeType", "docker-compose")
        made = self.dokploy.add_compose(
            self.project,
            body["name"],
            compose_file=columns.pop("compose_file", body.get("composeFile", "")),
            compose_type=compose_type,
            description=body.get("description"),
            **columns,
        )
        return self._know(old, made)

    def simple(self, old: str, name: str, compose_file: str, **columns: Any) -> Service:
        """Another compose of the laboratory."""
        return self._know(old, self.dokploy.add_compose(self.project, name, compose_file=compose_file, **columns))

    def application(self, **columns: Any) -> Service:
        """lab-app"""
        return self._know(APP, self.dokploy.add_application(self.project, "lab-app", image=self.image, **columns))

    def database(self, **columns: Any) -> Service:
        """lab-pg"""
        return self._know(DATABASE, self.dokploy.add_database(self.project, "lab-pg", image=self.image, **columns))

    def sleeper(self, service: str = "web") -> str:
        """A compose file whose container stops at once."""
        return (
            f"services:\n  {service}:\n    image: {self.image}\n    init: true\n    stop_grace_period: 1s\n"
            f'    command: ["sh", "-c", "echo listening; sleep 3600"]\n'
        )

    async def check(self, *recordings: str, by: Caller | None = None, is_text_free: bool = False) -> None:
        """Replay calls in this order. `is_text_free`: the wording is not Dokploy's own, so only its form counts."""
        for name in recordings:
            answer = await replay(by or self.owner, name, self.names)
            self.replayed.append(name)
            self.found += differences(name, answer, self.names, is_text_free=is_text_free)

    async def idle(self) -> None:
        """Wait until nothing is queued."""

        async def is_idle() -> bool:
            return bool((await self.owner.get("deployment.queueList")).body == [])

        await eventually(is_idle, 60, what="an empty queue")

    async def deployed(self, service: Service) -> dict[str, Any]:
        """Deploy and wait; the newest deployment."""
        await self.owner.post("compose.deploy", composeId=service.id, title="chatops deploy 0001")
        await self.idle()
        return self.dokploy.deployments(service)[0]

    async def container(self, old: str, service: Service, name: str = "web") -> str:
        """Let a recorded container stand for one of a service."""
        find = partial(self.dokploy.stage.engine.client.containers.get, service.container(name))
        found = await asyncio.to_thread(find)
        self.names.add(old, str(found.id)[:12])
        return str(found.id)[:12]

    def end(self) -> None:
        """Fail with all differences."""
        assert not self.found, "\n".join(self.found)
