"""A replay server and a client that talks to it, with waits short enough for tests."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from core.deployments.platform import StackNames
from core.redaction import redact
from core.settings import DokploySettings
from integrations.dokploy.client.dokploy_client import Dokploy
from integrations.dokploy.polling.platform_source import DokploySource
from tests.integrations.dokploy.fleet import T0, Fleet, FleetClock
from tests.integrations.dokploy.replay import ReplayServer
from tests.integrations.dokploy.source_world import MakeSource

KEY = "the-api-key-of-this-test"
MakeDokploy = Callable[..., Dokploy]


class HandClock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
async def server() -> AsyncIterator[ReplayServer]:
    """A running server."""
    async with ReplayServer() as running:
        yield running


@pytest.fixture
def clock() -> HandClock:
    """The client's clock."""
    return HandClock()


@pytest.fixture
async def make_dokploy(server: ReplayServer, clock: HandClock) -> AsyncIterator[MakeDokploy]:
    """A factory of clients: `make_dokploy(retries=0)` changes settings."""
    made: list[Dokploy] = []

    def make(**changes: Any) -> Dokploy:
        given = {"url": server.url, "api_key": SecretStr(KEY), "timeout_s": 10.0, "pace_s": 0.0, **changes}
        made.append(Dokploy(DokploySettings(**given), monotonic=clock, back_off_s=(0.0, 0.0)))
        return made[-1]

    yield make
    for one in made:
        await one.aclose()


@pytest.fixture
def dokploy(make_dokploy: MakeDokploy) -> Dokploy:
    """A client with the default settings."""
    return make_dokploy()


@pytest.fixture
def fleet(server: ReplayServer) -> Fleet:
    """A Dokploy with one compose, `web`."""
    made = Fleet()
    made.compose("web")
    made.mount(server)
    return made


@pytest.fixture
def hand() -> FleetClock:
    """The program's clock."""
    return FleetClock()


@pytest.fixture
def make_source(make_dokploy: MakeDokploy, hand: FleetClock) -> MakeSource:
    """A factory of sources; settings by keyword."""

    def make(names: StackNames | None = None, **settings: object) -> DokploySource:
        client: Dokploy = make_dokploy(retries=0, **settings)
        return DokploySource(
            client, client.settings, names or StackNames(), clock=hand, since=T0 - timedelta(hours=1), redact=redact
        )

    return make
