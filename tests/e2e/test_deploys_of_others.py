"""What others deploy, by Dokploy's page or a push: failures and crashes reach the chat, soon and with the true line."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import Any

from tests.e2e.dokploy_world import CRASHES, GOOD, DokployWorld, free_port
from tests.standins.dokploy import Service

SECRET = "announced-by-dokploy"
MISSING = {**GOOD, "image": "127.0.0.1:9/shop/gone:v1"}


async def test_a_failing_deploy_of_somebody_else_is_seen_by_the_poll(shop: DokployWorld) -> None:
    granada = await shop.stack("granada", shop.file(api=GOOD))
    await shop.start("granada")
    ended = await _fails(shop, granada)
    card = await shop.world.card("the deployment of granada failed", "127.0.0.1:9")
    assert card.sent_at - ended < 10.0
    assert [one.id for one in shop.world.cards()] == [card.id]
    assert shop.state(granada, "api")["Running"]


async def test_an_announced_failure_is_told_at_once(shop: DokployWorld) -> None:
    """The poll would come too late for this: the notification alone brings it."""
    port = free_port()
    granada = await shop.stack("granada", shop.file(api=GOOD))
    hook = f"http://127.0.0.1:{port}/hooks/dokploy"
    shop.dokploy.add_notification(hook, headers={"X-InfraGuardian-Secret": SECRET})
    await shop.start(
        "granada",
        INFRAGUARDIAN_WEB__PORT=str(port),
        INFRAGUARDIAN_DOKPLOY__WEBHOOK_SECRET=SECRET,
        INFRAGUARDIAN_DOKPLOY__POLL_S="600",
        INFRAGUARDIAN_DOKPLOY__SWEEP_S="600",
    )
    ended = await _fails(shop, granada)
    card = await shop.world.card("the deployment of granada failed", "127.0.0.1:9")
    print(f"told after {card.sent_at - ended:.2f} s")  # its limit stands in `bench/`
    assert [one.status for one in shop.dokploy.posted] == [204]


async def test_a_crash_after_a_deploy_of_somebody_else_is_one_card(shop: DokployWorld) -> None:
    granada = await shop.stack("granada", shop.file(api=GOOD))
    await shop.start("granada")
    sent = await shop.order("/deploy granada")
    await shop.private("up and healthy", after=sent)
    await shop.edit(granada, composeFile=shop.file(api={**CRASHES, "restart": "always"}))
    row = await asyncio.to_thread(shop.dokploy.deploy, granada, "from the page")
    assert row["status"] == "done"
    card = await shop.world.card("broke after the last deployment", "from the page", "Approve", timeout_s=30)
    assert "the last good one" in card.text
    await shop.world.card(" times", timeout_s=20)
    assert [one.id for one in shop.world.cards()] == [card.id]


async def test_a_good_deploy_of_somebody_else_makes_no_noise(shop: DokployWorld) -> None:
    granada = await shop.stack("granada", shop.file(api=GOOD))
    await shop.start("granada")
    await shop.edit(granada, composeFile=shop.file(api={**GOOD, "environment": ["NEW=1"]}))
    await asyncio.to_thread(shop.dokploy.deploy, granada, "nicer prices")
    polls = len(shop.dokploy.asked("deployment.allCentralized"))
    await shop.world.until(lambda: len(shop.dokploy.asked("deployment.allCentralized")) > polls + 1, what="a poll")
    answer = await shop.world.ask(shop.world.ada, "who deployed granada?", "nicer prices")
    assert "Dokploy doesn't say" in answer.text
    assert shop.world.cards() == []


async def _fails(shop: DokployWorld, granada: Service) -> float:
    """Somebody breaks the file in Dokploy and deploys there; when it ended, on the monotonic clock."""
    await shop.edit(granada, composeFile=shop.file(api=MISSING))
    row: dict[str, Any] = await asyncio.to_thread(shop.dokploy.deploy, granada, "from the page")
    assert row["status"] == "error"
    ended = datetime.fromisoformat(row["finishedAt"].replace("Z", "+00:00"))
    return ended.timestamp() - time.time() + time.monotonic()
