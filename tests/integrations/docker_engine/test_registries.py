"""How often registries are asked: few at once, and not again while the answer is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from integrations.docker_engine.image_store import REGISTRY_LIMIT_S
from integrations.docker_engine.refusals import RefusalReason
from integrations.docker_engine.registry_lookup import LOOKUPS_AT_ONCE, RegistryLookup
from integrations.docker_engine.simulated.simulated_engine import SimulatedEngine
from integrations.docker_engine.simulated.simulated_images import SimulatedImageContents, SimulatedImageStore


class CountingStore(SimulatedImageStore):
    """Counts how often, and how many at once, registries are asked."""

    def __init__(self, stored: SimulatedImageContents) -> None:
        super().__init__("local", list, lambda: datetime.now(UTC), stored)
        self.asked = 0
        self.at_once = 0
        self.most_at_once = 0

    async def distribution(self, reference: str, *, time_limit_s: float = REGISTRY_LIMIT_S) -> str:
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await super().distribution(reference, time_limit_s=time_limit_s)
        finally:
            self.at_once -= 1


class CountingEngine(SimulatedEngine):
    """An engine with such a store."""

    def __init__(self) -> None:
        super().__init__("local")
        self.counting = CountingStore(SimulatedImageContents(refused={"ghcr.io": RefusalReason.REGISTRY_UNREACHABLE}))

    @property
    def store(self) -> CountingStore:
        return self.counting


@pytest.fixture
async def engine() -> AsyncIterator[CountingEngine]:
    made = CountingEngine()
    yield made
    await made.close()


async def test_registries_are_asked_a_few_at_a_time_and_once_per_image(engine: CountingEngine) -> None:
    registries = RegistryLookup(lambda: datetime.now(UTC))
    names = [f"shop/api:{number}" for number in range(40)]
    first = await asyncio.gather(*(registries.ask(engine, name) for name in names))
    assert (engine.store.asked, engine.store.most_at_once) == (40, LOOKUPS_AT_ONCE)
    assert await asyncio.gather(*(registries.ask(engine, name) for name in names)) == first
    assert engine.store.asked == 40
    await registries.ask(engine, names[0], fresh=True)
    assert engine.store.asked == 41


@pytest.mark.parametrize(
    ("name", "later_s", "asked"),
    [("redis:7", 590, 1), ("redis:7", 610, 2), ("ghcr.io/shop/api:1", 50, 1), ("ghcr.io/shop/api:1", 70, 2)],
)
async def test_registry_answers_are_cached_for_a_while(
    engine: CountingEngine, name: str, later_s: float, asked: int
) -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    clock = [now]
    registries = RegistryLookup(lambda: clock[0])
    await registries.ask(engine, name)
    clock[0] = now + timedelta(seconds=later_s)
    await registries.ask(engine, name)
    assert engine.store.asked == asked
