"""Dokploy restarts, is away, loses answers; the guardian is killed: nothing is deployed twice, the truth is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.e2e.dokploy_world import GOOD, DokployWorld


async def test_three_stacks_wait_in_line_and_all_come_up(shop: DokployWorld) -> None:
    names = ("granada", "sevilla", "malaga")
    stacks = [await shop.stack(name, shop.file(api=GOOD)) for name in names]
    await shop.start(*names)
    shop.dokploy.hold_running()
    sent = [await shop.order(f"/deploy {name}", showing=name) for name in names]
    await shop.private("granada", "deploying", after=sent[0])
    await shop.private("sevilla is number 2", "behind granada", after=sent[1])
    await shop.private("malaga is number 3", "behind granada, sevilla", after=sent[2])
    shop.dokploy.release_running()
    for name in names:
        await shop.private(name, "up and healthy", after=sent[0], timeout_s=40)
    assert [len(shop.dokploy.deployments(one)) for one in stacks] == [2, 2, 2]
    assert shop.world.cards() == []


async def test_a_waiting_deploy_can_be_cancelled_and_never_runs(shop: DokployWorld) -> None:
    granada = await shop.stack("granada", shop.file(api=GOOD))
    sevilla = await shop.stack("sevilla", shop.file(api=GOOD))
    await shop.start("granada", "sevilla")
    shop.dokploy.hold_running()
    first = await shop.order("/deploy granada", showing="granada")
    await shop.private("granada", "deploying", after=first)
    second = await shop.order("/deploy sevilla", showing="sevilla")
    card = await shop.private("sevilla", "in dokploy's queue", "cancel", after=second)
    await shop.world.ada.tap(card, "Cancel")
    await shop.private("sevilla", "cancelled", after=second)
    shop.dokploy.release_running()
    await shop.private("granada", "up and healthy", after=first)
    assert len(shop.dokploy.deployments(granada)) == 2
    assert len(shop.dokploy.deployments(sevilla)) == 1
    assert shop.world.cards() == []


@pytest.mark.parametrize("marks_leftovers", [True, False])
async def test_a_restart_of_dokploy_in_the_middle_is_said_and_repeats_nothing(
    shop: DokployWorld, marks_leftovers: bool
) -> None:
    granada = await shop.stack("granada", shop.file(api=GOOD))
    await shop.start("granada")
    shop.dokploy.hold_running()
    sent = await shop.order("/deploy granada")
    await shop.private("granada", "deploying", after=sent)
    await asyncio.to_thread(shop.dokploy.restart, marks_leftovers=marks_leftovers)
    card = await shop.private("nothing was changed", "as it does when it restarts", after=sent, timeout_s=40)
    assert not any("and healthy" in version.text for version in card.versions)
    if not marks_leftovers:  # it stays `running` for ever, and blocks the way: a person must know
        await shop.world.card("nothing is working on it", "someone needs to take over")
    assert len(shop.dokploy.asked("compose.deploy")) == 1
    assert len(shop.dokploy.deployments(granada)) == 2
    assert len(shop.world.cards()) == (0 if marks_leftovers else 1)


async def test_a_restart_that_loses_the_queue_is_said(shop: DokployWorld) -> None:
    granada = await shop.stack("granada", shop.file(api=GOOD))
    await shop.start("granada")
    shop.dokploy.hold_queue()
    sent = await shop.order("/deploy granada")
    await shop.private("granada", "in dokploy's queue", after=sent)
    await asyncio.to_thread(shop.dokploy.restart)
    await shop.private("left dokploy's queue without running", after=sent, timeout_s=40)
    shop.dokploy.release_queue()
    assert len(shop.dokploy.asked("compose.deploy")) == 1
    assert len(shop.dokploy.deployments(granada)) == 1


async def test_a_dokploy_that_is_down_at_the_start_is_said_and_seen_when_it_is_back(shop: DokployWorld) -> None:
    await shop.stack("granada", shop.file(api=GOOD))
    settings = {"INFRAGUARDIAN_WATCH__UNREACHABLE_AFTER_S": "2", "INFRAGUARDIAN_DOKPLOY__BREAKER_REST_S": "1"}
    await shop.start("granada", **settings)
    assert await shop.world.stop() == 0
    await asyncio.to_thread(shop.dokploy.go_down)
    await shop.start("granada")
    assert "isn't responding" in shop.world.log().rpartition("on guard")[2]
    shown = await shop.world.ask(shop.world.ada, "/status", "granada")  # not `granada-x7f3k2`: its name is kept
    assert "dokploy isn't responding" in shown.text.casefold()
    card = await shop.world.card("dokploy isn't responding", "someone needs to take over", timeout_s=30)
    await asyncio.to_thread(shop.dokploy.come_back)
    await shop.world.card("recovered on its own", timeout_s=30)
    assert [one.id for one in shop.world.cards()] == [card.id]
    sent = await shop.order("/deploy granada")
    await shop.private("up and healthy", after=sent)


# -- killed ------------------------------------------------------------------------------------------------------------


async def _before_the_order(shop: DokployWorld) -> None:
    question = await shop.world.ask(shop.world.ada, "/deploy granada", "approve")
    shop.dokploy.hang("*", times=100)
    await shop.world.ada.tap(question, "Approve")
    await shop.world.until(lambda: shop.asks_in_vain("compose.one"), what="the last look before the order")
    assert shop.dokploy.asked("compose.deploy") == []


async def _with_the_order_on_its_way(shop: DokployWorld) -> None:
    shop.dokploy.hang("compose.deploy")
    await shop.order("/deploy granada")
    await shop.world.until(lambda: shop.dokploy.asked("compose.deploy"), what="the order")


async def _with_the_answer_lost(shop: DokployWorld) -> None:
    shop.dokploy.lose_answer("compose.deploy")
    await shop.order("/deploy granada")
    await shop.world.until(lambda: shop.dokploy.asked("compose.deploy"), what="the order")


async def _while_it_runs(shop: DokployWorld) -> None:
    shop.dokploy.hold_running()
    sent = await shop.order("/deploy granada")
    await shop.private("deploying", after=sent)


async def _in_its_window(shop: DokployWorld) -> None:
    sent = await shop.order("/deploy granada")
    await shop.private("checking that it stays healthy", after=sent)


MOMENTS = [_before_the_order, _with_the_order_on_its_way, _with_the_answer_lost, _while_it_runs, _in_its_window]


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_deploy_interrupted_by_a_kill_runs_once_with_one_verdict(
    shop: DokployWorld, moment: Callable[[DokployWorld], Awaitable[None]]
) -> None:
    granada = await shop.stack("granada", shop.file(api=GOOD))
    await shop.start("granada", INFRAGUARDIAN_VERIFICATION__WINDOW_S="4")
    await moment(shop)
    await shop.world.kill()
    shop.dokploy.faults.forget()
    shop.dokploy.release_hanging()
    shop.dokploy.release_running()
    await shop.start("granada")
    card = await shop.private("up and healthy", after=0, timeout_s=40)
    assert [one.id for one in shop.world.ada.chat.bot_messages if "granada · Deploy" in one.text] == [card.id]
    assert len(shop.dokploy.deployments(granada)) == 2
    assert shop.world.cards() == []


# -- lost answers, two people ------------------------------------------------------------------------------------------


async def test_a_deploy_whose_answer_was_lost_is_followed(shop: DokployWorld) -> None:
    granada = await shop.stack("granada", shop.file(api=GOOD))
    await shop.start("granada")
    shop.dokploy.lose_answer("compose.deploy")
    sent = await shop.order("/deploy granada")
    await shop.private("up and healthy", after=sent)
    assert len(shop.dokploy.asked("compose.deploy")) == 1
    assert len(shop.dokploy.deployments(granada)) == 2


async def test_a_deploy_that_never_reached_dokploy_is_reported_and_not_repeated(shop: DokployWorld) -> None:
    granada = await shop.stack("granada", shop.file(api=GOOD))
    await shop.start("granada")
    shop.dokploy.drop("compose.deploy")
    sent = await shop.order("/deploy granada")
    await shop.private("dokploy never got the deployment", after=sent, timeout_s=40)
    assert len(shop.dokploy.asked("compose.deploy")) == 1
    assert len(shop.dokploy.deployments(granada)) == 1


async def test_two_people_approve_the_same_deploy_at_once(shop: DokployWorld) -> None:
    granada = await shop.stack("granada", shop.file(api=GOOD))
    await shop.start("granada")
    world = shop.world
    first = await world.ask(world.ada, "/deploy granada", "approve")
    second = await world.ask(world.linus, "/deploy granada", "approve")
    await asyncio.gather(world.ada.tap(first, "Approve"), world.linus.tap(second, "Approve"))
    people = (world.ada.chat, world.linus.chat)
    await world.until(lambda: any("Up and healthy" in one.text for chat in people for one in chat.bot_messages), 40)
    await world.until(lambda: any("already" in one.text for chat in people for one in chat.bot_messages), 20)
    assert len(shop.dokploy.asked("compose.deploy")) == 1
    assert len(shop.dokploy.deployments(granada)) == 2
