"""Deploys from the chat, over a Dokploy that really runs them: the verdict is that of the containers."""

from __future__ import annotations

from tests.e2e.dokploy_world import DokployWorld

GOOD = {"command": "web.py"}


async def test_a_good_deploy_is_called_good_after_its_window(shop: DokployWorld) -> None:
    granada = await shop.stack("granada", shop.file(api=GOOD))
    await shop.start("granada")
    sent = await shop.order("/deploy granada new prices")
    card = await shop.private("granada", "1 of 1", after=sent)
    assert shop.dokploy.deployments(granada)[0]["status"] == "done"
    assert "well" in card.text
    assert len(shop.dokploy.asked("compose.deploy")) == 1
    assert shop.world.cards() == []  # no alarm for what was planned


async def test_a_bad_image_is_reported_with_the_true_error(shop: DokployWorld) -> None:
    granada = await shop.stack("granada", shop.file(api=GOOD))
    running = shop.container(granada, "api").id
    await shop.start("granada")
    sent = await shop.order(f"/tag granada/api nowhere-{granada.app_name}")
    card = await shop.private("fail", after=sent)
    assert "nowhere" in card.text
    assert shop.container(granada, "api").id == running
