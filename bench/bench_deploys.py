"""Deploys: the story of a memory limit from its kill to its end, failing ones, and ones that crash when they are up.

The program runs with the settings it has out of the box (30 s window); the Dokploy is the tests' one, which really runs
Compose on the real engine. Our own share of the story: all of it, less the deploy itself and the window.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
import time
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.common import Report, open_bed, spread
from bench.program import prepared_world, temporary_home, until_settled
from playground.chats.shown_chats import ShownMessage
from tests.e2e.dokploy_world import DokployWorld, dokploy_world
from tests.e2e.world import get
from tests.standins.dokploy import DokployStandin, Service
from tests.testbed import engine
from tests.testbed.stack import Stack
from tests.testbed.state import Bed

WINDOW_S = 30.0
STORY_LIMIT_S, OWN_LIMIT_S = 140.0, 5.0
TOLD_LIMIT_S, SEEN_LIMIT_S = 2.0, 10.0
FAILURES, CRASHES = 4, 20
PAUSE_S = 6.0
"""Between two failures: Telegram takes one message a second per chat; a queue would be another figure."""
STEP_S = 2.7
"""Further pause each time: failures are to fall on all phases of the polling."""
SECRET = "the-word-of-this-measurement"
SHORT_WINDOW_S = 6.0
"""For the twenty: moments all over the window count, not its length."""


def main() -> int:
    """Measure; 1 when a limit is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.bench_deploys", description=__doc__)
    parser.add_argument("--crashes", type=int, default=CRASHES)
    options = parser.parse_args()
    report = Report("Deploys through Dokploy")
    with open_bed() as (found, stack):
        asyncio.run(_measured(found, stack, report, options.crashes))
    return report.finish()


async def _measured(found: Bed, stack: Stack, report: Report, crashes: int) -> None:
    for part in (_story, _failures):
        async with AsyncExitStack() as opened:
            await part(await _shop(opened, found, stack), report)
    async with AsyncExitStack() as opened:
        shop = await _shop(opened, found, stack, INFRAGUARDIAN_VERIFICATION__WINDOW_S=str(SHORT_WINDOW_S))
        await _crashes(shop, report, crashes)


async def _shop(opened: AsyncExitStack, found: Bed, stack: Stack, **settings: str) -> DokployWorld:
    place = opened.enter_context(temporary_home())
    client = opened.enter_context(engine.connect(found.docker_host, timeout_s=120))
    dokploy = opened.enter_context(
        DokployStandin(docker_host=found.docker_host, docker_config=found.compose_config, home=Path(place) / "dokploy")
    )
    made = await opened.enter_async_context(prepared_world(stack, found.docker_host, Path(place), **settings))
    return await opened.enter_async_context(dokploy_world(made, dokploy, client, found.image))


async def _start(shop: DokployWorld, *names: str, **settings: str) -> None:
    """Start the program with its default settings over these stacks."""
    shipped = {"INFRAGUARDIAN_DOKPLOY__POLL_S": "8", "INFRAGUARDIAN_DOKPLOY__SWEEP_S": "14"}
    shipped |= {"INFRAGUARDIAN_DOKPLOY__FOLLOW_S": "1", "INFRAGUARDIAN_DOKPLOY__NEVER_AFTER_S": "20"}
    await shop.start(*names, **shipped, **settings)
    await until_settled(shop.world)


# -- the story -------------------------------------------------------------------------------------------------------


async def _story(shop: DokployWorld, report: Report) -> None:
    """Measure a kill for memory: `api` dies in a bulk insert; `celery` and `frontend` depend on it."""
    needs = {"depends_on": ["api"], "command": "client.py", "environment": ["URL=http://api:8000/"]}
    services = {"api": {"command": "web.py", "mem_limit": "64m", "restart": "unless-stopped"}}
    rag = await shop.stack("rag", shop.file(**services, celery=needs, frontend=needs))
    await _start(shop, "rag")
    after = shop.world.ada.chat.last_id
    began = time.monotonic()
    await _eat(shop, rag)
    card = await _shown(shop, "approve all", after=after, within_s=30)
    label = next(one for one in card.labels if "approve all" in one.casefold())
    asked_at = time.monotonic()
    await shop.world.ada.tap(card, label)
    solved = await _shown(shop, "resolved", after=after, within_s=STORY_LIMIT_S)
    ended = _moment(solved, "resolved")
    ordered = next(one.at for one in shop.dokploy.requests if one.procedure in ("compose.redeploy", "compose.deploy"))
    row = shop.dokploy.deployments(rag)[0]
    deploy_s = max(0.0, _since(row["finishedAt"]) - ordered)
    total_s = ended - began
    report.add("memory limit raised, from kill to solved", total_s, "s", limit=STORY_LIMIT_S)
    report.say(f"card with buttons after {asked_at - began:.1f} s; the deploy took {deploy_s:.1f} s")
    report.add("… our own share", total_s - deploy_s - WINDOW_S, "s", limit=OWN_LIMIT_S)


async def _eat(shop: DokployWorld, rag: Service) -> None:
    settings = shop.container(rag, "api").attrs["NetworkSettings"]["Networks"]
    address = next(iter(settings.values()))["IPAddress"]
    await get(f"http://{address}:8000/eat?mb=200")


# -- failing deploys -------------------------------------------------------------------------------------------------


async def _failures(shop: DokployWorld, report: Report) -> None:
    """Measure failures: ours, announced ones of others, and unannounced ones."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    names = ["ours", *(f"announced{n}" for n in range(FAILURES)), *(f"seen{n}" for n in range(FAILURES))]
    made = {name: await shop.stack(name, shop.file(api={"command": "web.py"})) for name in names}
    await _start(shop, *names, INFRAGUARDIAN_WEB__PORT=str(port), INFRAGUARDIAN_DOKPLOY__WEBHOOK_SECRET=SECRET)
    report.add("our own failing deploy told after its end", await _ours(shop, made["ours"]), "s", limit=TOLD_LIMIT_S)
    seen = [await _others(shop, made[f"seen{n}"], f"seen{n}", PAUSE_S + n * STEP_S) for n in range(FAILURES)]
    report.add("another's, only polled, slowest", max(seen), "s", limit=SEEN_LIMIT_S, note=spread(seen))
    shop.dokploy.add_notification(f"http://127.0.0.1:{port}/hooks/dokploy", headers={"X-InfraGuardian-Secret": SECRET})
    told = [await _others(shop, made[f"announced{n}"], f"announced{n}") for n in range(FAILURES)]
    report.add("another's, announced, slowest", max(told), "s", limit=TOLD_LIMIT_S, note=spread(told))


async def _ours(shop: DokployWorld, stack: Service) -> float:
    sent = await shop.order("/tag ours/api nowhere")
    card = await _shown(shop, "failed", "nowhere", after=sent, within_s=30)
    return _moment(card, "failed") - _since(shop.dokploy.deployments(stack)[0]["finishedAt"])


async def _others(shop: DokployWorld, stack: Service, name: str, pause_s: float = PAUSE_S) -> float:
    """Break the file in Dokploy and deploy it there; returns seconds from its end to the card with the error."""
    await asyncio.sleep(pause_s)
    missing = f"127.0.0.1:9/gone-{name}:v1"
    shop.dokploy.change(stack, composeFile=shop.file(api={"command": "web.py", "image": missing}))
    after = shop.world.ada.chat.last_id
    row = await asyncio.to_thread(shop.dokploy.deploy, stack, "from the page")
    card = await _shown(shop, f"deployment of {name} failed", "refused", after=after, within_s=40)
    return _moment(card, "refused") - _since(row["finishedAt"])


# -- deploys that crash when they are up -----------------------------------------------------------------------------


async def _crashes(shop: DokployWorld, report: Report, count: int) -> None:
    """Crash each deploy at another moment of the window: none may be judged good."""
    steps = [SHORT_WINDOW_S * (number + 0.5) / count * 0.9 for number in range(count)]
    stack = await shop.stack("crasher", shop.file(api={"command": "web.py"}))
    await _start(shop, "crasher")
    good = 0
    for number, after_s in enumerate(steps):
        policy = ("no", "always")[number % 2]
        crash = f"import time, sys; time.sleep({after_s:.2f}); sys.exit(1)"
        file = shop.file(api={"command": "web.py", "restart": f'"{policy}"', "environment": [f"TURN={number}"]})
        shop.dokploy.change(
            stack, composeFile=file.replace('["python3", "/srv/web.py"]', f'["python3", "-c", "{crash}"]')
        )
        sent = await shop.order("/deploy crasher", showing="deploy crasher (", timeout_s=40)
        card = await shop.until_shown(_has_verdict, sent, 90.0, what="a verdict on crasher")
        good += "up and healthy" in card.text.casefold()
    report.say(
        f"{count} deploys crashed {steps[0]:.1f} … {steps[-1]:.1f} s after they were up (window {SHORT_WINDOW_S} s)"
    )
    report.add("… called good", good, "", limit=0)


def _has_verdict(message: ShownMessage) -> bool:
    words = ("up and healthy", "did not hold", "failed after")
    return message.from_bot and any(one in message.text.casefold() for one in words)


# -- the chat --------------------------------------------------------------------------------------------------------


async def _shown(shop: DokployWorld, *parts: str, after: int, within_s: float) -> ShownMessage:
    return await shop.private(*parts, after=after, timeout_s=within_s)


def _moment(message: ShownMessage, words: str) -> float:
    """Return the moment on the monotonic clock at which the message first showed these words."""
    return next(one.at for one in message.versions if words in one.text.casefold())


def _since(stamp: Any) -> float:
    """Convert a moment of Dokploy's clock to the monotonic clock."""
    at = datetime.fromisoformat(str(stamp).replace("Z", "+00:00"))
    return time.monotonic() - (time.time() - at.timestamp())


if __name__ == "__main__":
    sys.exit(main())
