"""The same incident with every record, the runs and the graph's state in PostgreSQL; killed and taken up there too."""

from __future__ import annotations

import pytest

from tests.e2e.world import World


@pytest.mark.timeout(240)
async def test_an_incident_lives_through_a_kill_in_postgres(world: World, postgres_url: str) -> None:
    container = world.stack.service("api")
    await world.start(INFRAGUARDIAN_DATABASE_URL=postgres_url)
    container.kill(signal="SIGKILL")
    await world.card("Approve", "api", timeout_s=40)
    await world.kill()
    await world.start()
    await world.tap("Approve")
    await world.card("Resolved", timeout_s=90)
    assert world.events("api", "start") == 2
