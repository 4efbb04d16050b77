"""The program's own log: a sentence for people with stable fields for machines, secrets taken out of every line."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

NOISY_LOGGERS = (
    "httpx",
    "httpcore",
    "docker",
    "urllib3",
    "aiohttp.access",
    "chromadb",
    "alembic",
    "matplotlib",
    "langgraph",
)
"""httpx would log every Telegram address, token included."""
REDACTION_DEPTH = 4


def configure_logging(level: str, redact: Callable[[str], str]) -> None:
    """Log one line per event to standard error: coloured for a terminal, JSON elsewhere."""
    is_terminal = sys.stderr.isatty()
    renderer: Any = (
        structlog.dev.ConsoleRenderer() if is_terminal else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    named: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*named, structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _redacting(redact),
            renderer,
        ],
    )
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *named, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def _redacting(
    redact: Callable[[str], str],
) -> Callable[[Any, str, MutableMapping[str, Any]], MutableMapping[str, Any]]:
    def clean(value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return redact(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        if depth >= REDACTION_DEPTH:
            return redact(str(value))
        if isinstance(value, dict):
            return {str(name): clean(one, depth + 1) for name, one in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [clean(one, depth + 1) for one in value]
        return redact(str(value))

    def process(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {name: clean(value, 0) for name, value in event.items()}

    return process
