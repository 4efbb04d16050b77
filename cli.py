"""The command line: `infraguardian serve`, `demo`, `check`, `db`, `settings`, `actions`."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from dotenv import dotenv_values

from core.actions.action_docs import action_docs
from core.clock import Clock, SystemClock
from core.errors import GuardianError, RunbookError, SettingsError
from core.integration import CheckLine
from core.redaction import redact
from core.settings import Settings
from core.text import text
from knowledge.config.settings_files import example_settings, load_settings
from knowledge.config.text_files import load_texts

if TYPE_CHECKING:
    from knowledge.stores import StorageStats

WRONG_SETTINGS = 2
"""Exit code: nothing was started because something in the settings or runbooks is wrong."""
CHECK_FAILED = 1
DEMO_STATS_S = 1.0
DEMO_WINDOW_S = 15.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, 0 on success."""
    parsed = _parser().parse_args(arguments)
    os.environ["LANGSMITH_TRACING"] = os.environ["LANGCHAIN_TRACING_V2"] = "false"  # prompts stay on this machine
    os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
    try:
        if parsed.env_file is not None:
            _read_env_file(parsed.env_file)
        return int(parsed.run(parsed))
    except (SettingsError, RunbookError) as error:
        print(f"infraguardian: {error}", file=sys.stderr)
        return WRONG_SETTINGS
    except GuardianError as error:
        print(f"infraguardian: {error}", file=sys.stderr)
        return CHECK_FAILED
    except KeyboardInterrupt:
        return 130


def _read_env_file(path: Path) -> None:
    if not path.is_file():
        raise SettingsError(
            f"--env-file {str(path)!r} does not exist; copy .env.example to it, or leave the option out"
        )
    for name, value in dotenv_values(path).items():
        if value is not None:
            os.environ.setdefault(name, value)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="infraguardian", description="ChatOps guardian for Docker Compose stacks.")
    parser.add_argument("--settings", type=Path, help="YAML file (default: infraguardian.yml where there is one)")
    parser.add_argument("--env-file", type=Path, help="lines NAME=value; what the environment holds already wins")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="guard the engines and answer in the chat")
    serve.set_defaults(run=_serve)
    demo = commands.add_parser(
        "demo", help="guard a simulated host in the local chat page; an incident plays by itself"
    )
    demo.set_defaults(run=_demo)
    check = commands.add_parser("check", help="test every configured system and say what to do next")
    check.add_argument("--quick", action="store_true", help="do not load the model")
    check.set_defaults(run=_check)
    database = commands.add_parser("db", help="look after the records")
    database.add_argument("what", choices=["stats", "migrate"])
    database.set_defaults(run=_database)
    shown = commands.add_parser("settings", help="print infraguardian.example.yml: every setting with its default")
    shown.set_defaults(run=_print_settings)
    actions = commands.add_parser("actions", help="print docs/actions.md: everything that can be done")
    actions.set_defaults(run=_print_actions)
    return parser


def _serve(parsed: argparse.Namespace) -> int:
    return asyncio.run(_guard(load_settings(parsed.settings), is_demo=False))


def _demo(parsed: argparse.Namespace) -> int:
    settings = load_settings(parsed.settings)
    telegram = settings.telegram.model_copy(update={"token": None})
    changed = {
        "simulated": True,
        "telegram": telegram,
        "data_dir": settings.data_dir / "demo",
        "database_url": None,
        # a minute must show what takes longer elsewhere: enough samples for a curve, and the end of the check
        "watch": settings.watch.model_copy(update={"stats_s": DEMO_STATS_S}),
        "verification": settings.verification.model_copy(update={"window_s": DEMO_WINDOW_S}),
    }
    return asyncio.run(_guard(settings.model_copy(update=changed), is_demo=True))


async def _guard(settings: Settings, *, is_demo: bool) -> int:
    from infraguardian import Guardian
    from knowledge.config.logging_setup import configure_logging

    guardian = Guardian(settings, is_demo=is_demo)
    configure_logging(settings.log_level, guardian.redactor.redact)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with guardian:
        for line in await guardian.greeting():
            print(line, flush=True)
        await ended.wait()
        structlog.get_logger(__name__).info("stopping")
    return 0


def _check(parsed: argparse.Namespace) -> int:
    from knowledge.config.logging_setup import configure_logging

    configure_logging("critical", redact)  # each line of the check says what a log line would say
    return asyncio.run(_check_all(load_settings(parsed.settings), is_quick=parsed.quick))


async def _check_all(settings: Settings, *, is_quick: bool) -> int:
    """Print each check as it ends; the exit code is 1 when something needs a person."""
    texts = load_texts()
    bad = 0
    async for line in _looked_at(settings, is_quick=is_quick):
        said = [line.name, *(one for one in (line.problem, line.next_step) if one is not None)]
        bad += not line.ok
        words = " ".join(_sentence(texts.render(one, settings.language)) for one in said)
        print(f"{'ok  ' if line.ok else 'FAIL'}  {words}", flush=True)
    closing = text("check.some_bad", count=bad) if bad else text("check.all_good")
    print(texts.render(closing, settings.language))
    return CHECK_FAILED if bad else 0


async def _looked_at(settings: Settings, *, is_quick: bool) -> AsyncIterator[CheckLine]:
    """Yield the checks of every system; a failed check is a line, never an error."""
    from agent.runbooks.loader import load_runbooks
    from bot.health import check as check_telegram
    from infraguardian import RUNBOOKS_DIR, installed_catalog, installed_integrations
    from knowledge.health import check as check_records

    clock = SystemClock()
    yield CheckLine(name=text("check.settings"), ok=True)
    runbooks = load_runbooks(RUNBOOKS_DIR, settings.runbooks_dir, installed_catalog(settings, clock))
    yield CheckLine(name=text("check.runbooks", count=len(runbooks.names())), ok=True)
    async for line in check_records(settings, clock):
        yield line
    async for line in check_telegram(settings.telegram, has_admin=await _has_admin(settings, clock)):
        yield line
    for one in installed_integrations(settings, clock):
        async for line in one.checks(quick=is_quick):
            yield line


async def _has_admin(settings: Settings, clock: Clock) -> bool:
    """Return whether an admin is set or enrolled in the chat; False when the records cannot be opened."""
    from knowledge.stores import Knowledge

    if settings.telegram.admins or settings.telegram.token is None:
        return True
    try:
        async with Knowledge(settings, clock) as knowledge:
            return await knowledge.people.has_admin()
    except GuardianError:
        return False


def _sentence(words: str) -> str:
    return words if words.endswith((".", "!", "?")) else f"{words}."


def _database(parsed: argparse.Namespace) -> int:
    """Run `db migrate`, which opens the records and so updates the schema, or `db stats`, which also counts them."""
    stats = asyncio.run(_stats(load_settings(parsed.settings)))
    if parsed.what == "stats":
        sizes = {"database": stats.database_bytes, "graph": stats.graph_bytes, "memory": stats.memory_bytes}
        print(stats.database)
        print("\n".join(f"{name}: {size} bytes" for name, size in sizes.items()))
        print("\n".join(f"{name}: {count} rows" for name, count in stats.rows.items()))
    return 0


async def _stats(settings: Settings) -> StorageStats:
    from knowledge.stores import Knowledge

    async with Knowledge(settings, SystemClock()) as knowledge:
        return await knowledge.stats()


def _print_settings(parsed: argparse.Namespace) -> int:
    print(example_settings(), end="")
    return 0


def _print_actions(parsed: argparse.Namespace) -> int:
    from infraguardian import installed_catalog

    print(action_docs(installed_catalog(Settings(), SystemClock())), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
