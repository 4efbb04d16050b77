"""Reads the services of a Compose file into facts free of secrets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.redaction import redact
from integrations.compose_file.command_lines import mask_command_words
from integrations.compose_file.edits.proved_change import find_setting, is_own_setting, service_nodes
from integrations.compose_file.interpolation import find_variables
from integrations.compose_file.units import parse_memory
from integrations.compose_file.yaml_tree import (
    ComposeDocument,
    YamlNode,
    mapping_fields,
    parse_compose_file,
    value_at_path,
)

MemoryLimitSetting = Literal["mem_limit", "deploy.resources.limits.memory", "none"]
MEM_LIMIT_PATH = ("mem_limit",)
DEPLOY_MEMORY_PATH = ("deploy", "resources", "limits", "memory")
CPUS_PATH = ("cpus",)
DEPLOY_CPUS_PATH = ("deploy", "resources", "limits", "cpus")


@dataclass(frozen=True, kw_only=True)
class ServiceFacts:
    """Facts of one service: merges, aliases and `extends` within the file followed, variables left as `${NAME}`."""

    name: str
    image: str | None
    build: str | None
    """Build folder; `.` when only other build options are given. None: it is not built."""
    memory_limit_bytes: int | None
    memory_written_at: MemoryLimitSetting
    memory_is_inherited: bool
    """True when the limit comes from an anchor, a merge or `extends`; an edit writes it into the service itself."""
    memory_variable: str | None
    """The environment variable that holds the limit; None: the limit is no variable."""
    cpu_limit: float | None
    restart: str | None
    ports: tuple[str, ...]
    """Short form: `8080:80`, `127.0.0.1:5432:5432/tcp`."""
    expose: tuple[str, ...]
    healthcheck_test: tuple[str, ...] | None
    """`CMD` or `CMD-SHELL` and its arguments, secrets masked. None: not in the file (the image may have one)."""
    environment_keys: tuple[str, ...]
    env_files: tuple[str, ...]
    volumes: tuple[str, ...]
    """Short form: `data:/var/lib/x:ro`."""
    depends_on: tuple[str, ...]
    container_name: str | None


def read_services(text: str) -> list[ServiceFacts]:
    """Return the services of a file, in its order; ComposeFileError when it cannot be read."""
    document = parse_compose_file(text)
    return [_facts(document, name) for name in service_nodes(document)]


def _facts(document: ComposeDocument, name: str) -> ServiceFacts:
    def found(*path: str) -> YamlNode | None:
        return find_setting(document, name, *path)

    place, memory = _memory(document, name)
    restart, cpus = found("restart") or found("deploy", "restart_policy", "condition"), found(*CPUS_PATH)
    return ServiceFacts(
        name=name,
        image=_word(found("image")),
        build=_build(found("build")),
        memory_limit_bytes=(parse_memory(memory.value) or None) if memory is not None else None,
        memory_written_at=place,
        memory_is_inherited=place != "none" and not is_own_setting(document, name, *place.split(".")),
        memory_variable=next((one.name for one in find_variables(memory.value)), None) if memory is not None else None,
        cpu_limit=_number(cpus if cpus is not None else found(*DEPLOY_CPUS_PATH)),
        restart=_word(restart),
        ports=tuple(_port(item.real) for item in _items(found("ports"))),
        expose=_words(found("expose")),
        healthcheck_test=_test(found("healthcheck")),
        environment_keys=environment_keys(found("environment")),
        env_files=tuple(_word(value_at_path(one, "path")) or one.real.value for one in _items(found("env_file"))),
        volumes=tuple(_volume(item.real) for item in _items(found("volumes"))),
        depends_on=_names(found("depends_on")),
        container_name=_word(found("container_name")),
    )


def _memory(document: ComposeDocument, service: str) -> tuple[MemoryLimitSetting, YamlNode | None]:
    mem_limit = find_setting(document, service, *MEM_LIMIT_PATH)
    if mem_limit is not None:
        return "mem_limit", mem_limit
    deploy = find_setting(document, service, *DEPLOY_MEMORY_PATH)
    return ("none", None) if deploy is None else ("deploy.resources.limits.memory", deploy)


def environment_keys(node: YamlNode | None) -> tuple[str, ...]:
    """Return the names that an `environment:` sets, in map or list style."""
    if node is None:
        return ()
    if node.kind == "mapping":
        return tuple(mapping_fields(node))
    return tuple(dict.fromkeys(item.real.value.split("=", 1)[0] for item in node.items))


def _word(node: YamlNode | None) -> str | None:
    return redact(node.value) if node is not None and node.kind == "scalar" else None


def _words(node: YamlNode | None) -> tuple[str, ...]:
    return tuple(redact(item.real.value) for item in _items(node))


def _items(node: YamlNode | None) -> tuple[YamlNode, ...]:
    if node is None or node.kind == "mapping":
        return ()
    return node.items if node.kind == "sequence" else (node,)


def _names(node: YamlNode | None) -> tuple[str, ...]:
    return tuple(mapping_fields(node)) if node is not None and node.kind == "mapping" else _words(node)


def _number(node: YamlNode | None) -> float | None:
    try:
        return float(node.value) if node is not None else None
    except ValueError:
        return None


def _build(node: YamlNode | None) -> str | None:
    if node is None:
        return None
    return _word(node) if node.kind == "scalar" else _word(value_at_path(node, "context")) or "."


def _test(healthcheck: YamlNode | None) -> tuple[str, ...] | None:
    disabled = value_at_path(healthcheck, "disable")
    if disabled is not None and disabled.value == "true":
        return ("NONE",)
    test = value_at_path(healthcheck, "test")
    if test is None or test.is_null:
        return None
    words = ["CMD-SHELL", test.value] if test.kind == "scalar" else [item.real.value for item in test.items]
    return mask_command_words(words)


def _port(node: YamlNode) -> str:
    if node.kind == "scalar":
        return node.value
    parts = [_word(value_at_path(node, name)) for name in ("host_ip", "published", "target")]
    protocol = _word(value_at_path(node, "protocol"))
    return ":".join(part for part in parts if part) + (f"/{protocol}" if protocol else "")


def _volume(node: YamlNode) -> str:
    if node.kind == "scalar":
        return redact(node.value)
    parts = [_word(value_at_path(node, name)) for name in ("source", "target")]
    read_only = value_at_path(node, "read_only")
    is_read_only = read_only is not None and read_only.value == "true"
    return ":".join([*(part for part in parts if part), *(["ro"] if is_read_only else [])])
