"""Fields of a service that can be changed: Python's names here, Dokploy's on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from pydantic.alias_generators import to_camel


class ComposeChanges(TypedDict, total=False):
    """Fields of a compose; fields left out stay. Dokploy ignores `appName`, and a compose keeps its server."""

    env: str | None
    compose_file: str
    """Compose file; Dokploy stores broken YAML unchecked, see `Composes.converted_file`."""
    compose_path: str
    branch: str | None
    gitlab_branch: str | None
    bitbucket_branch: str | None
    gitea_branch: str | None
    custom_git_branch: str | None
    """Branch or tag. Never a commit: the clone fails and leaves the code folder empty."""
    command: str


class DomainChanges(TypedDict, total=False):
    """Fields of a domain; fields left out stay, but `host` is always sent."""

    path: str | None
    port: int | None
    https: bool
    certificate_type: str
    service_name: str | None


def to_wire_names(changes: Mapping[str, object]) -> dict[str, object]:
    """Return the changes under Dokploy's names."""
    return {to_camel(name): value for name, value in changes.items()}
