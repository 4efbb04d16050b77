"""Known texts of Dokploy: causes that are recognised without being shown, and refusals with a next step."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class KnownCause:
    """Known cause of a failure, recognised in Dokploy's text; `{1}` stands for the pattern's first group."""

    name: str
    """Name of the cause; `dokploy_error.cause.<name>` is its sentence for people."""
    pattern: re.Pattern[str]
    message: str
    is_missing: bool = False


def _cause(name: str, pattern: str, message: str, *, is_missing: bool = False) -> KnownCause:
    return KnownCause(name=name, pattern=re.compile(pattern), message=message, is_missing=is_missing)


KNOWN_CAUSES = (
    _cause("no_container", r"No such container", "there is no such container on that server", is_missing=True),
    _cause(
        "no_folder",
        r"spawn /bin/sh ENOENT",
        "it was never deployed, so it has no folder on the server; deploy it first",
    ),
    _cause(
        "no_file",
        r"code/\S*: no such file or directory",
        "its folder holds no compose file (a clone that failed empties it); deploy it, a start or redeploy cannot help",
    ),
    _cause("yaml_line", r"yaml: line (\d+)", "the compose file is no valid YAML at line {1}; correct it, then deploy"),
    _cause(
        "yaml_column",
        r"at line (\d+), column (\d+)",
        "the compose file is no valid YAML at line {1}, column {2}; correct it",
    ),
    _cause(
        "no_docker",
        r"Cannot connect to the Docker daemon",
        "Docker does not answer on that server; look at the Docker service",
    ),
    _cause("disk_full", r"no space left on device", "the disk of that server is full; free some space"),
    _cause(
        "port_taken",
        r"port is already allocated|address already in use",
        "a port it needs is taken; find who holds it",
    ),
    _cause(
        "no_image",
        r"manifest unknown|pull access denied|repository does not exist|manifest for \S+ not found",
        "an image cannot be pulled: its name or tag is wrong, or the registry wants a login",
    ),
    _cause(
        "no_monitoring",
        r"\bfetch failed",
        "Dokploy found nobody at that address; set its monitoring up in Dokploy, or check the address",
    ),
    _cause(
        "only_cloud", r"only available in cloud version", "only Dokploy Cloud can do that; a self-hosted one cannot"
    ),
)

NEXT_STEPS = {
    "Services not found": (
        "never_deployed",
        "it was never deployed nor fetched; deploy it once, or load with type `fetch`",
    ),
    "Deployment is not running": ("not_running", "Dokploy knows no process of it to end"),
    "Error input: Rolling back": (
        "rollback_gone",
        "the stored image or its registry is gone, or there is no such rollback",
    ),
}
"""Next steps by Dokploy's message: `dokploy_error.<name>` for people, and the same in English."""
