"""Every family of commands, in the order in which help lists them; importing it fills the table."""

from bot.commands import (
    acting,
    basics,
    deciding,
    incidents,
    logs,
    looking,
    memory,
    metrics,
    preferences,
    quiet,
    runbooks,
)

__all__ = [
    "acting",
    "basics",
    "deciding",
    "incidents",
    "logs",
    "looking",
    "memory",
    "metrics",
    "preferences",
    "quiet",
    "runbooks",
]
