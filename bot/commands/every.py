"""Every family of commands, in the order in which help lists them; importing it fills the table."""

from bot.commands import (
    acting,
    basics,
    deciding,
    details,
    housekeeping,
    incidents,
    logs,
    looking,
    memory,
    metrics,
    ordering,
    preferences,
    quiet,
    reading,
    runbooks,
)

__all__ = [
    "acting",
    "basics",
    "deciding",
    "details",
    "housekeeping",
    "incidents",
    "logs",
    "looking",
    "memory",
    "metrics",
    "ordering",
    "preferences",
    "quiet",
    "reading",
    "runbooks",
]
