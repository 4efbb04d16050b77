"""What Dokploy keeps secret stays there: in no message, log line, record, file of ours, or prompt of the model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.e2e.dokploy_world import CRASHES, DokployWorld, free_port
from tests.standins.dokploy import Service
from tests.standins.ollama import OllamaStandIn
from tests.standins.ollama_replies import Json, Reply, calls, says

ENV = "STRIPE_API_KEY=sk_live_env51c0ffee4eC39Hq\nGREETING=quiet-env-77beef-words\n"
CHANGED = ENV.replace("quiet-env-77beef-words", "loud-env-99fade-words")
PROGRAM = "import time; print('login with password=container-88dead-secret failed', flush=True); time.sleep(1000)"
LOGGED = "fatal: could not read from 'https://oauth2:log-66cafe-secret@git.example/shop.git'\n"
HOOK_SECRET = "hook-33abba-secret"
SECRETS = (
    "env51c0ffee",
    "env-77beef",
    "env-99fade",
    "file-55f00d-secret",
    "command-44babe-secret",
    "container-88dead-secret",
    "log-66cafe-secret",
    HOOK_SECRET,
)


def _file(shop: DokployWorld, **api: object) -> str:
    worker = (
        "  worker:\n"
        f"    image: {shop.image}\n"
        f'    entrypoint: ["python3", "-c", "{PROGRAM}"]\n'
        '    command: ["--password=command-44babe-secret"]\n'
        "    stop_grace_period: 0s\n"
        "    environment:\n"
        "      DB_PASSWORD: file-55f00d-secret\n"
        "      GREETING: ${GREETING}\n"
    )
    return shop.file(api={"command": "web.py", **api}) + worker


async def test_no_secret_of_a_deploy_goes_anywhere(shop: DokployWorld) -> None:
    world, port = shop.world, free_port()
    granada = await shop.stack("granada", _file(shop), env=ENV)
    hook = f"http://127.0.0.1:{port}/hooks/dokploy"
    shop.dokploy.add_notification(hook, headers={"X-InfraGuardian-Secret": HOOK_SECRET})
    async with OllamaStandIn() as ollama:
        ollama.script(lambda request: _curious(request, f"local/{granada.container('worker')}"))
        await shop.start(
            "granada",
            INFRAGUARDIAN_OLLAMA__URL=ollama.url,
            INFRAGUARDIAN_LOG_LEVEL="debug",
            INFRAGUARDIAN_WEB__PORT=str(port),
            INFRAGUARDIAN_DOKPLOY__WEBHOOK_SECRET=HOOK_SECRET,
        )
        sent = await shop.order("/deploy granada")
        await shop.private("up and healthy", after=sent)
        await world.ask(world.ada, "tell me all that a thief would like to know", "by the model", timeout_s=40)
        for words in ("/compose granada", "/info granada worker", "/logs granada worker", "/deploylog granada"):
            sent = await world.ada.say(words)
            await shop.private(after=sent)
        await _fails(shop, granada)
        await _breaks_and_goes_back(shop, granada)
        prompts = json.dumps([ollama.requests, ollama.embeds], ensure_ascii=False)
        assert "created: ✅" in prompts, "the model read the deployment's log"
        assert "login with" in prompts, "and the container's"
    assert await world.stop() == 0
    _assert_nowhere(shop, prompts, (*SECRETS, *_notified(shop)))


async def _fails(shop: DokployWorld, granada: Service) -> None:
    """A bad image, with a secret in the deployment's log and in the notification."""
    shop.dokploy.hold_running()
    sent = await shop.order("/tag granada/api nowhere")
    await shop.private("deploying", after=sent)
    _log(shop.dokploy.deployments(granada)[0], LOGGED)
    shop.dokploy.release_running()
    card = await shop.private("failed", "deploy log", after=sent)
    await shop.world.ada.tap(card, "Deploy log")
    await shop.private("could not read from", after=card.id)
    await shop.private("is back to where it was", after=sent)


def _log(deployment: Mapping[str, object], line: str) -> None:
    with Path(str(deployment["logPath"])).open("a", encoding="utf-8") as log:
        log.write(line)


async def _breaks_and_goes_back(shop: DokployWorld, granada: Service) -> None:
    """A change of file and environment that crashes: diff, incident, way back, lesson."""
    world = shop.world
    await shop.edit(granada, composeFile=_file(shop, **CRASHES), env=CHANGED)
    await world.ask(world.ada, "/diff granada", "GREETING")
    sent = await shop.order("/deploy granada")
    await shop.private("didn't stay healthy", after=sent)
    await world.card("the last good one", "Approve", timeout_s=40)
    await world.tap("Why?")
    await world.tap("Approve", "the last good one")
    await world.card("Resolved after", timeout_s=60)
    await world.ask(world.ada, "/memory granada broken by a deployment")
    await world.ask(world.ada, "/incident 1", "incident 1")


def _notified(shop: DokployWorld) -> list[str]:
    """Pieces of what the notifications' error held: file and environment in base64, as Dokploy does it."""
    texts = [str(one.body.get("errorMessage", "")) for one in shop.dokploy.posted]
    found = [one[20:60] for text in texts for one in re.findall(r"[A-Za-z0-9+/]{80,}", text)]
    assert found, "the failing deploy was announced"
    return found


def _assert_nowhere(shop: DokployWorld, prompts: str, secrets: Sequence[str]) -> None:
    world = shop.world
    kept = {str(path.relative_to(world.home)): path.read_bytes() for path in _files(world.home / "data")}
    assert "data/guardian.db" in kept
    for secret in secrets:
        assert secret not in shop.told(), secret
        assert secret not in prompts, secret
        assert secret not in world.log(), secret
        found = [where for where, content in kept.items() if secret.encode() in content]
        assert not found, f"{secret} stands in {found}"
    for message in world.ada.chat.bot_messages:
        content = message.document.content if message.document else b""
        assert not any(secret.encode() in content for secret in secrets)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _curious(request: Json, worker: str) -> Reply:
    """A model that looks at all it can get, once each."""
    looks: list[tuple[str, Json]] = [
        ("dokploy__compose__changes", {"stack": "granada"}),
        ("dokploy__compose__deployments", {"stack": "granada"}),
        ("dokploy__compose__deployment_log", {"stack": "granada"}),
        ("docker__inspect", {"container": worker}),
        ("docker__logs", {"container": worker, "tail": 50}),
    ]
    looked = sum(1 for one in request["messages"] if one["role"] == "tool")
    if looked < len(looks) and request.get("tools"):
        return calls(*looks[looked])
    return says("It keeps what it should keep.")
