"""Repairs through Dokploy on the real engine, each after one person's yes: proved by the containers."""

from __future__ import annotations

import contextlib

import pytest

from tests.e2e.dokploy_world import DokployWorld
from tests.e2e.world import get
from tests.standins.dokploy import Service

MB = 1024 * 1024


@pytest.mark.timeout(180)
async def test_a_kill_for_memory_raises_the_limit_in_the_file_and_holds(shop: DokployWorld) -> None:
    """Story 1: what needed the memory and who suffers is said; the file is changed, deployed, verified."""
    api = {"command": "web.py", "mem_limit": "64m"}
    celery = {"command": "client.py", "depends_on": ["api"]}
    granada = await shop.stack("granada", shop.file(api=api, celery=celery))
    await shop.start("granada")
    with contextlib.suppress(OSError):
        await get(f"http://{_address(shop, granada)}:8000/eat?mb=100")
    card = await shop.world.card("compose file", "+ mem_limit: 128m", timeout_s=40)
    assert "bulk insert of 100 MB" in card.text
    assert "granada/celery" in card.text
    await shop.world.tap("Approve", "compose file")
    solved = await shop.world.card("Resolved after", timeout_s=60)
    assert solved.id == card.id
    assert "mem_limit: 128m" in str(granada.row["composeFile"])
    assert shop.container(granada, "api").attrs["HostConfig"]["Memory"] == 128 * MB
    assert len(shop.dokploy.asked("compose.redeploy")) == 1
    assert len(shop.world.cards()) == 1, shop.world.ops.transcript()


@pytest.mark.timeout(180)
async def test_a_service_broken_by_a_deploy_is_rolled_back(shop: DokployWorld) -> None:
    granada = await shop.stack("granada", shop.file(api={"command": "web.py"}))
    await shop.start("granada")
    sent = await shop.order("/deploy granada first")
    await shop.private("granada", "1 of 1 service healthy for", after=sent)
    granada.row["composeFile"] = shop.file(api={"command": "crash.py", "restart": "always"})
    await shop.order("/deploy granada second")
    card = await shop.world.card("version", "the last good one", timeout_s=60)
    assert "DATABASE_URL" in card.text, shop.world.ops.transcript()
    await shop.world.tap("Approve", "the last good one")
    await shop.world.card("Resolved after", timeout_s=60)
    assert shop.state(granada, "api")["Running"]
    assert "web.py" in str(granada.row["composeFile"])


def _address(shop: DokployWorld, service: Service) -> str:
    networks = shop.container(service, "api").attrs["NetworkSettings"]["Networks"]
    return str(next(iter(networks.values()))["IPAddress"])
