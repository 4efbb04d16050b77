"""The stores of the real and of the simulated engine keep one contract."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import docker
import pytest

from integrations.docker_engine.client.real_engine import RealEngine
from integrations.docker_engine.engine import Engine
from integrations.docker_engine.image_store import Image
from integrations.docker_engine.refusals import RefusalReason
from integrations.docker_engine.simulated.container_spec import MIB, ContainerSpec
from integrations.docker_engine.simulated.simulated_engine import SimulatedEngine
from integrations.docker_engine.simulated.simulated_images import SimulatedImageContents
from tests.integrations.docker_engine.image_stage import Workshop, workshop
from tests.integrations.docker_engine.store_contract import StoreContract
from tests.testbed.registry import Registry
from tests.testbed.stack import Stack


class RealShelf:
    """See `Shelf`."""

    def __init__(self, engine: RealEngine, stack: Stack, shop: Workshop) -> None:
        self._engine = engine
        self._stack = stack
        self._shop = shop
        self._numbers = itertools.count(1)

    @property
    def engine(self) -> Engine:
        return self._engine

    @property
    def missing(self) -> str:
        return f"{self._shop.registry.host}/{self._shop.name}:missing"

    def runs(self, *, port: int | None = None, start: bool = True) -> tuple[str, str]:
        number = next(self._numbers)
        name = self._shop.push(self._shop.build(), str(number))
        ports = {"8000/tcp": ("127.0.0.1", port)} if port else None
        made = self._stack.service(f"s{number}", image=name, ports=ports, start=start)
        return str(made.name), name

    def publish(self, name: str) -> None:
        here = str(self._stack.client.images.get(name).id)
        self._shop.push_only(self._shop.build(), name.rpartition(":")[2], here=here)

    def nameless(self) -> str:
        return self._shop.build()


class SimulatedShelf:
    """See `Shelf`."""

    missing = "ghcr.io/shop/api:missing"

    def __init__(self, engine: SimulatedEngine) -> None:
        self._engine = engine
        self._numbers = itertools.count(1)

    @property
    def engine(self) -> Engine:
        return self._engine

    def runs(self, *, port: int | None = None, start: bool = True) -> tuple[str, str]:
        number = next(self._numbers)
        name = f"ghcr.io/shop/api:{number}"
        ports = {"8000/tcp": str(port)} if port else {}
        return self._engine.create(
            ContainerSpec(stack="shop", service=f"s{number}", image=name, ports=ports), start=start
        ), name

    def publish(self, name: str) -> None:
        self._engine.store.publish(name)

    def nameless(self) -> str:
        image_id = "sha256:" + hashlib.sha256(str(next(self._numbers)).encode()).hexdigest()
        at = datetime.now(UTC) - timedelta(days=2)
        self._engine.store.put(Image(host="", id=image_id, size_bytes=9 * MIB, unique_bytes=MIB, created_at=at))
        return image_id


class TestRealStore(StoreContract):
    @pytest.fixture
    def shelf(
        self,
        engine: RealEngine,
        stack: Stack,
        docker_client: docker.DockerClient,
        testbed_image: str,
        registry: Registry,
    ) -> Iterator[RealShelf]:
        with workshop(docker_client, testbed_image, registry) as shop:
            yield RealShelf(engine, stack, shop)
            stack.remove()


class TestSimulatedStore(StoreContract):
    @pytest.fixture
    async def shelf(self) -> AsyncIterator[SimulatedShelf]:
        stored = SimulatedImageContents(refused={SimulatedShelf.missing: RefusalReason.IMAGE_NOT_FOUND})
        engine = SimulatedEngine("local", stored=stored)
        yield SimulatedShelf(engine)
        await engine.close()
