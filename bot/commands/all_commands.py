"""All command modules, in the order of help; importing this fills the command table."""

from bot.commands import (
    compose_files,
    containers,
    deployments,
    disk,
    images,
    incidents,
    logs,
    memory,
    metrics,
    preferences,
    quiet,
    runbooks,
    service_info,
    stacks,
    welcome,
)

__all__ = [
    "compose_files",
    "containers",
    "deployments",
    "disk",
    "images",
    "incidents",
    "logs",
    "memory",
    "metrics",
    "preferences",
    "quiet",
    "runbooks",
    "service_info",
    "stacks",
    "welcome",
]
