"""What can be changed of a service: Python's names here, Dokploy's on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from pydantic.alias_generators import to_camel

_IRREGULAR = {"custom_git_ssh_key_id": "customGitSSHKeyId"}


class ComposeChanges(TypedDict, total=False):
    """Fields of a compose; what is left out stays. Dokploy ignores `appName`, and a compose keeps its server."""

    name: str
    description: str | None
    env: str | None
    compose_file: str
    """Not checked by Dokploy: broken YAML is stored, see `Composes.converted_file`."""
    source_type: str
    compose_type: str
    compose_path: str
    compose_status: str
    """Only Dokploy's memory; writing it frees a service that stands on `running` for ever."""
    repository: str | None
    owner: str | None
    branch: str | None
    gitlab_branch: str | None
    bitbucket_branch: str | None
    gitea_branch: str | None
    custom_git_url: str | None
    custom_git_branch: str | None
    """A branch or a tag. Never a commit: the clone fails and leaves the code folder empty."""
    custom_git_ssh_key_id: str | None
    command: str
    create_env_file: bool
    auto_deploy: bool
    isolated_deployment: bool
    watch_paths: list[str] | None


class ApplicationChanges(TypedDict, total=False):
    """Fields of an application; what is left out stays."""

    name: str
    description: str | None
    env: str | None
    docker_image: str | None
    branch: str | None
    custom_git_branch: str | None
    command: str | None
    replicas: int
    memory_limit: str | None
    memory_reservation: str | None
    cpu_limit: str | None
    cpu_reservation: str | None
    auto_deploy: bool
    rollback_active: bool
    rollback_registry_id: str | None


class DomainFields(TypedDict, total=False):
    """Fields of a new domain."""

    path: str | None
    port: int | None
    https: bool
    certificate_type: str
    custom_cert_resolver: str | None
    custom_entrypoint: str | None
    service_name: str | None
    internal_path: str | None
    strip_path: bool


class DomainChanges(DomainFields, total=False):
    """Fields of a domain; what is left out stays, but `host` is always sent."""

    enabled: bool


def wire(changes: Mapping[str, object]) -> dict[str, object]:
    """The changes under Dokploy's names."""
    return {_IRREGULAR.get(name, to_camel(name)): value for name, value in changes.items()}
