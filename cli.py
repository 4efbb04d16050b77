"""The command line: `infraguardian serve`, `demo`, `check`, `db`, `settings`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from core.errors import GuardianError, RunbookError, SettingsError
from core.settings import Settings
from core.wording import text
from knowledge.settings_files import example, load_settings
from knowledge.text_files import load_texts

WRONG_SETTINGS = 2
"""Exit code: nothing was started because something in the settings or runbooks is wrong."""
CHECK_FAILED = 1
DEMO_STATS_S = 1.0
DEMO_WINDOW_S = 15.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0 when all went well."""
    parsed = _parser().parse_args(arguments)
    os.environ["LANGSMITH_TRACING"] = os.environ["LANGCHAIN_TRACING_V2"] = "false"  # prompts stay on this machine
    os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
    try:
        return int(parsed.run(parsed))
    except (SettingsError, RunbookError) as error:
        print(f"infraguardian: {error}", file=sys.stderr)
        return WRONG_SETTINGS
    except GuardianError as error:
        print(f"infraguardian: {error}", file=sys.stderr)
        return CHECK_FAILED
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="infraguardian", description="ChatOps guardian for Docker Compose stacks.")
    parser.add_argument("--settings", type=Path, help="YAML file (default: infraguardian.yml where there is one)")
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
    from knowledge.logs import configure_logging

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
        logging.getLogger(__name__).info("stopping")
    return 0


def _check(parsed: argparse.Namespace) -> int:
    return asyncio.run(_check_all(load_settings(parsed.settings), load_model=not parsed.quick))


async def _check_all(settings: Settings, *, load_model: bool) -> int:
    """One line a thing as it is found out; the exit code says whether something needs a person."""
    from infraguardian import check

    texts = load_texts()
    bad = 0
    async for line in check(settings, load_model=load_model):
        said = [line.name, *(one for one in (line.problem, line.next_step) if one is not None)]
        bad += not line.ok
        words = " ".join(_sentence(texts.render(one, settings.language)) for one in said)
        print(f"{'ok  ' if line.ok else 'FAIL'}  {words}", flush=True)
    closing = text("check.some_bad", count=bad) if bad else text("check.all_good")
    print(texts.render(closing, settings.language))
    return CHECK_FAILED if bad else 0


def _sentence(words: str) -> str:
    return words if words.endswith((".", "!", "?")) else f"{words}."


def _database(parsed: argparse.Namespace) -> int:
    """`migrate` opens the records, which brings the schema up to date; `stats` also counts them."""
    from infraguardian import database_stats

    stats = asyncio.run(database_stats(load_settings(parsed.settings)))
    if parsed.what == "stats":
        sizes = {"database": stats.database_bytes, "graph": stats.graph_bytes, "memory": stats.memory_bytes}
        print(stats.database)
        print("\n".join(f"{name}: {size} bytes" for name, size in sizes.items()))
        print("\n".join(f"{name}: {count} rows" for name, count in stats.rows.items()))
    return 0


def _print_settings(parsed: argparse.Namespace) -> int:
    print(example(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
