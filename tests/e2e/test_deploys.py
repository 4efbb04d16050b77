"""Deploys from the chat, over a Dokploy that really runs them: the verdict is that of the containers."""

from __future__ import annotations

from tests.e2e.dokploy_world import CRASHES, GOOD, DokployWorld


async def test_a_good_deploy_is_called_good_after_its_window(shop: DokployWorld) -> None:
    granada = await shop.stack("granada", shop.file(api=GOOD))
    await shop.start("granada")
    sent = await shop.order("/deploy granada new prices")
    card = await shop.private("granada", "1 of 1 service healthy for", after=sent)
    assert shop.dokploy.deployments(granada)[0]["status"] == "done"
    assert "Up and healthy" in card.text
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


async def test_a_broken_file_is_not_deployed_and_its_line_is_told(shop: DokployWorld) -> None:
    granada = await shop.stack("granada", shop.file(api=GOOD))
    await shop.start("granada")
    lines = shop.file(api=GOOD).splitlines()
    await shop.edit(granada, composeFile="\n".join([*lines, "    environment: [A=1", ""]))
    answer = await shop.world.ask(shop.world.ada, "/deploy granada", f"line {len(lines) + 2}")
    assert "not closed" in answer.text
    assert shop.dokploy.asked("compose.deploy") == []
    assert shop.dokploy.deployments(granada)[0]["status"] == "done"


async def test_a_deploy_that_crashes_after_it_came_up_is_never_called_good(shop: DokployWorld) -> None:
    granada = await shop.stack("granada", shop.file(api=GOOD))
    await shop.start("granada")
    sent = await shop.order("/deploy granada")
    await shop.private("up and healthy", after=sent)
    await shop.edit(granada, composeFile=shop.file(api=CRASHES))
    sent = await shop.order("/deploy granada")
    card = await shop.private("didn't stay healthy", "roll back", after=sent)
    assert shop.dokploy.deployments(granada)[0]["status"] == "done"  # which Dokploy calls good
    assert "exited (code 1)" in card.text
    assert not any("and healthy" in version.text for version in card.versions)
    incident = await shop.world.card("Roll granada back to version 1", "Approve")
    assert [one.id for one in shop.world.cards()] == [incident.id]  # what was held back comes in one card


async def test_a_crash_loop_after_a_deploy_is_one_card_after_the_verdict(shop: DokployWorld) -> None:
    granada = await shop.stack("granada", shop.file(api=GOOD))
    await shop.start("granada")
    sent = await shop.order("/deploy granada")
    await shop.private("up and healthy", after=sent)
    await shop.edit(granada, composeFile=shop.file(api={**CRASHES, "restart": "always"}))
    sent = await shop.order("/deploy granada")
    verdict = await shop.private("didn't stay healthy", "restart", after=sent)
    incident = await shop.world.card("Roll granada back to version 1", "Approve")
    assert incident.sent_at >= verdict.delivered_at - 2.0  # silent until the verdict was near
    await shop.world.card(" times", timeout_s=20)  # it goes on crashing, on the same card
    assert len(shop.world.cards()) == 1


async def test_a_deploy_that_becomes_unhealthy_is_never_called_good(shop: DokployWorld) -> None:
    health = "{test: [CMD, curl, -fsS, 'http://127.0.0.1:8000/health'], interval: 0.5s, retries: 1}"
    granada = await shop.stack("granada", shop.file(api={**GOOD, "healthcheck": health}))
    await shop.start("granada")
    await shop.edit(granada, composeFile=shop.file(api={**GOOD, "healthcheck": health, "environment": ["SICK=1"]}))
    sent = await shop.order("/deploy granada")
    card = await shop.private("roll back", "api is unhealthy", after=sent)
    assert not any("and healthy" in version.text for version in card.versions)
    await shop.world.card("Approve", "granada", "health check failed")
    assert len(shop.world.cards()) == 1
