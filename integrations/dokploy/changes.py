"""What can be changed of a service: Python's names here, Dokploy's on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from pydantic.alias_generators import to_camel

_IRREGULAR = {"custom_git_ssh_key_id": "customGitSSHKeyId"}


class ComposeChanges(TypedDict, total=False):
    """Fields of a compose; what is left out stays. Dokploy ignores `appName`, and a compose keeps its server."""

    name: str
    description: str
    env: str
    compose_file: str
    """Not checked by Dokploy: broken YAML is stored, see `Composes.converted_file`."""
    source_type: str
    compose_type: str
    compose_path: str
    compose_status: str
    """Only Dokploy's memory; writing it frees a service that stands on `running` for ever."""
    repository: str
    owner: str
    branch: str
    gitlab_branch: str
    bitbucket_branch: str
    gitea_branch: str
    custom_git_url: str
    custom_git_branch: str
    """A branch or a tag. Never a commit: the clone fails and leaves the code folder empty."""
    custom_git_ssh_key_id: str
    command: str
    create_env_file: bool
    auto_deploy: bool
    isolated_deployment: bool
    watch_paths: list[str]


class ApplicationChanges(TypedDict, total=False):
    """Fields of an application; what is left out stays."""

    name: str
    description: str
    env: str
    docker_image: str
    branch: str
    custom_git_branch: str
    command: str
    replicas: int
    memory_limit: str
    memory_reservation: str
    cpu_limit: str
    cpu_reservation: str
    auto_deploy: bool
    rollback_active: bool
    rollback_registry_id: str


class DomainChanges(TypedDict, total=False):
    """Fields of a domain; what is left out stays, but `host` is always sent."""

    path: str
    port: int
    https: bool
    certificate_type: str
    custom_cert_resolver: str
    custom_entrypoint: str
    service_name: str
    internal_path: str
    strip_path: bool
    enabled: bool


def wire(changes: Mapping[str, object]) -> dict[str, object]:
    """The changes under Dokploy's names."""
    return {_IRREGULAR.get(name, to_camel(name)): value for name, value in changes.items()}
