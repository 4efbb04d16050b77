"""LangChain weighs a second and twenty megabytes: nobody who asks no question pays for it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import asyncio, sys
from datetime import UTC, datetime
from core.errors import ModelFailed
from core.language_model import ModelRequest, user
from core.settings import OllamaSettings
import integrations.ollama.embeddings, integrations.ollama.health
from integrations.ollama.client import OllamaModel

class WallClock:
    def now(self):
        return datetime.now(UTC)

def heavy():
    return sorted({name.partition(".")[0] for name in sys.modules} & {"langchain_core", "langchain_ollama", "ollama"})

async def main():
    model = OllamaModel(OllamaSettings(url="http://127.0.0.1:9"), clock=WallClock())
    await model.probe()
    print(">", heavy())
    try:
        await model.ask(ModelRequest(messages=(user("hello"),)))
    except ModelFailed as failure:
        print(">", failure.kind)
    print(">", heavy())
    await model.aclose()

asyncio.run(main())
"""


def test_langchain_is_imported_by_the_first_question_only() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", PROGRAM],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told = [line.removeprefix("> ") for line in done.stdout.splitlines() if line.startswith("> ")]
    assert told == ["[]", "unreachable", "['langchain_core', 'langchain_ollama', 'ollama']"]
