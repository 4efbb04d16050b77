"""What a deploy broke, and what a deploy repairs: the way back to the version that held, and story one."""

from __future__ import annotations

import time
from datetime import datetime

from tests.e2e.dokploy_world import CRASHES, GOOD, DokployWorld
from tests.e2e.world import get
from tests.standins.dokploy import Service

MB = 1024 * 1024


async def test_a_kill_for_memory_ends_with_a_higher_limit_in_the_file(shop: DokployWorld) -> None:
    """Story one, Approve tapped at once; the time it takes is measured in `bench/`."""
    api = {**GOOD, "mem_limit": "64m  # enough until now", "restart": "unless-stopped"}
    needs = {**GOOD, "depends_on": ["api"]}
    granada = await shop.stack("granada", shop.file(api=api, celery=needs, frontend=needs))
    await shop.start("granada", INFRAGUARDIAN_WATCH__STATS_S="0.2")
    watched = time.monotonic() + 4.0
    await shop.world.until(lambda: time.monotonic() > watched, what="samples that show the shape of the memory")
    began = time.monotonic()
    await get(shop.url(granada, "api", "/eat?mb=200"))
    card = await shop.world.card("Approve all", timeout_s=40)
    asked_s = time.monotonic() - began
    for words in ("its limit of 64 MB", "not to a leak", "bulk insert of 200 MB", "celery", "frontend"):
        assert words in card.text, words
    assert "- mem_limit: 64m" in card.text.replace("    ", " ")
    assert "+ mem_limit: 128m" in card.text.replace("    ", " ")
    await shop.world.tap("Approve all")
    await shop.world.card("Resolved after", timeout_s=90)
    total_s = time.monotonic() - began
    row = shop.dokploy.deployments(granada)[0]
    ordered = next(one.at for one in shop.dokploy.requests if one.procedure == "compose.redeploy")
    ended = datetime.fromisoformat(row["finishedAt"].replace("Z", "+00:00")).timestamp()
    deploy_s = ended - time.time() + time.monotonic() - ordered
    print(f"asked after {asked_s:.1f} s, solved after {total_s:.1f} s, own share {total_s - deploy_s - 2:.1f} s")
    assert "mem_limit: 128m  # enough until now" in granada.row["composeFile"]
    assert granada.row["composeFile"].startswith("# made for this test\n")
    assert shop.container(granada, "api").attrs["HostConfig"]["Memory"] == 128 * MB
    assert all(shop.state(granada, name)["Running"] for name in ("api", "celery", "frontend"))
    assert len(shop.dokploy.asked("compose.redeploy")) == 1
    assert [one.id for one in shop.world.cards()] == [card.id]


async def test_a_bad_deploy_is_rolled_back_to_the_last_good_version(shop: DokployWorld) -> None:
    first = shop.file(api=GOOD)
    granada = await _deployed(shop, first)
    await shop.edit(granada, composeFile=shop.file(api={**CRASHES, "restart": "always"}))
    await shop.order("/deploy granada version two")
    card = await shop.world.card("Roll granada back to version 1, the last good one", "Approve", timeout_s=30)
    assert "broke after the last deployment" in card.text
    assert "Ada started it" in card.text
    assert "+ command" in card.text  # the way back, shown as a diff
    await shop.world.tap("Approve")
    solved = await shop.world.card("Resolved after", timeout_s=60)
    assert solved.id == card.id
    assert granada.row["composeFile"] == first
    assert shop.state(granada, "api")["Running"]
    assert len(shop.dokploy.asked("compose.deploy")) == 3
    assert len(shop.world.cards()) == 1


async def test_a_rollback_by_hand_shows_its_diff_first(shop: DokployWorld) -> None:
    first = shop.file(api={**GOOD, "environment": ["PRICES=old"]})
    granada = await _deployed(shop, first)
    await shop.edit(granada, composeFile=shop.file(api={**GOOD, "environment": ["PRICES=new", "MORE=1"]}))
    sent = await shop.order("/deploy granada")
    await shop.private("granada is up", after=sent)
    sent = await shop.world.ada.say("/rollback granada")
    question = await shop.private("approve", "version 1", "aren't rolled back", after=sent)
    assert "-   - MORE=1" in question.text
    assert "PRICES=new" not in question.text  # a value may be a secret
    await shop.world.ada.tap(question, "Approve")
    card = await shop.private("back up and healthy", after=sent)
    assert "Rollback" in card.text
    assert granada.row["composeFile"] == first
    environment = shop.container(granada, "api").attrs["Config"]["Env"]
    assert "PRICES=old" in environment
    assert not any(one.startswith("MORE=") for one in environment)


async def test_a_rollback_that_fails_is_undone_and_escalated(shop: DokployWorld) -> None:
    """The old version held once, and does not bear what the newer one has left behind."""
    state = shop.dokploy.home / "state"
    state.mkdir()
    volumes = [f"{state}:/state"]
    health = "{test: [CMD-SHELL, 'test ! -e /state/new'], interval: 0.5s, retries: 1}"
    granada = await _deployed(shop, shop.file(api={**GOOD, "volumes": volumes, "healthcheck": health}))
    second = shop.file(api={**GOOD, "volumes": volumes})
    await shop.edit(granada, composeFile=second)
    sent = await shop.order("/deploy granada")
    await shop.private("granada is up", after=sent)
    (state / "new").touch()
    sent = await shop.order("/rollback granada")
    await shop.private("rollback", "didn't stay healthy", after=sent)
    called = await shop.private("api is unhealthy", "rolling back to where it was", after=sent)
    assert called.reply_to is not None  # it rings, which an edit of the card does not
    await shop.private("rollback", "is back to where it was", after=sent)
    assert granada.row["composeFile"] == second
    assert shop.state(granada, "api")["Running"]
    assert [row["status"] for row in shop.dokploy.deployments(granada)[:2]] == ["done", "done"]


async def _deployed(shop: DokployWorld, file: str) -> Service:
    """`granada`, deployed from this file through the chat, and found good."""
    granada = await shop.stack("granada", file)
    await shop.start("granada")
    sent = await shop.order("/deploy granada version one")
    await shop.private("up and healthy", after=sent)
    return granada
