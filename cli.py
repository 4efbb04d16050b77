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
from knowledge.settings_files import example, load_settings

WRONG_SETTINGS = 2
"""Exit code: nothing was started because something in the settings or runbooks is wrong."""
CHECK_FAILED = 1


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
    changed = {"simulated": True, "telegram": telegram, "data_dir": settings.data_dir / "demo", "database_url": None}
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
    from infraguardian import check

    settings = load_settings(parsed.settings)
    return asyncio.run(check(settings, load_model=not parsed.quick))


def _database(parsed: argparse.Namespace) -> int:
    from infraguardian import database_stats

    for name, value in asyncio.run(database_stats(load_settings(parsed.settings))).items():
        print(f"{name}: {value}")
    return 0


def _print_settings(parsed: argparse.Namespace) -> int:
    print(example(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
