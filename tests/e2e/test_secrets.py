"""What containers keep secret stays there: in no message, log line, record, file of ours, or prompt of the model."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.conftest import TOKEN
from tests.e2e.world import World
from tests.standins.ollama import OllamaStandIn
from tests.standins.ollama_replies import Json, Reply, calls, says

ENVIRONMENT = {
    "POSTGRES_PASSWORD": "pg-51c0ffee-secret",
    "STRIPE_API_KEY": "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    "DATABASE_URL": "postgresql://shop:dsn-77beef-secret@db:5432/shop",
}
LINES = (
    "login with password=log-99dead-secret failed",
    "GET /orders Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLXNlY3JldA",
    f"calling https://api.telegram.org/bot{TOKEN}/getMe",
    "fatal: could not connect to postgresql://shop:dsn-77beef-secret@db:5432/shop",
)
SECRETS = (
    "pg-51c0ffee-secret",
    "4eC39HqLyjWDarjtT1zdp7dc",
    "dsn-77beef-secret",
    "log-99dead-secret",
    "c2lnbmF0dXJlLXNlY3JldA",
    TOKEN.partition(":")[2],
)


async def test_no_secret_of_a_container_goes_anywhere(world: World) -> None:
    prints = "; ".join(f"print({line!r}, flush=True)" for line in LINES)
    program = f"import time; {prints}; time.sleep(1000)"
    health = "python3 -c \"import os; print(os.environ['POSTGRES_PASSWORD'])\""
    container = world.stack.service("api", ["python3", "-c", program], env=ENVIRONMENT, labels={"note": health})
    name = f"local/{world.stack.project}-api-1"
    async with OllamaStandIn() as ollama:
        ollama.script(lambda request: _curious(request, name))
        await world.start(INFRAGUARDIAN_OLLAMA__URL=ollama.url, INFRAGUARDIAN_LOG_LEVEL="debug")
        await world.ask(world.ada, f"/logs {world.stack.project} api", "login with")
        await world.ask(
            world.ada, "tell me everything about the api that a thief would like", "by the model", timeout_s=40
        )
        container.kill(signal="SIGKILL")
        await world.card("Approve", timeout_s=40)
        await world.tap("Why?")
        await world.ask(world.ada, "/incident 1", "Incident 1", timeout_s=40)
        await world.tap("Approve")
        await world.card("Resolved", timeout_s=60)
        await world.ask(world.ada, "/memory killed", "1", timeout_s=40)
        prompts = json.dumps([ollama.requests, ollama.embeds], ensure_ascii=False)
        assert "login with" in prompts, "the model read the log"
    assert await world.stop() == 0

    chats = "\n".join(
        version.text
        for chat in (world.ops, world.ada.chat)
        for message in chat.bot_messages
        for version in message.versions
    )
    kept = {str(path.relative_to(world.home)): path.read_bytes() for path in _files(world.home / "data")}
    assert "data/guardian.db" in kept
    for secret in SECRETS:
        assert secret not in chats, secret
        assert secret not in prompts, secret
        assert secret not in world.log(), secret
        found = [where for where, content in kept.items() if secret.encode() in content]
        assert not found, f"{secret} stands in {found}"


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _curious(request: Json, container: str) -> Reply:
    """A model that looks at all it can get, once each."""
    looks = [("docker__inspect", {"container": container}), ("docker__logs", {"container": container, "tail": 50})]
    looked = sum(1 for one in request["messages"] if one["role"] == "tool")
    if looked < len(looks) and request.get("tools"):
        return calls(*looks[looked])
    return says("It keeps what it should keep.")
