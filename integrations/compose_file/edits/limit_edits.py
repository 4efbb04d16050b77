"""Sets the memory and CPU limits of a service where the file already has them, in the file's own style."""

from __future__ import annotations

import math
from typing import Literal

from core.text import text as said
from integrations.compose_file.edits.proved_change import YamlPath, change_setting, find_setting, service_node
from integrations.compose_file.file_errors import ComposeFileError, name_for_people, quoted_name
from integrations.compose_file.interpolation import find_variables
from integrations.compose_file.service_facts import CPUS_PATH, DEPLOY_CPUS_PATH, DEPLOY_MEMORY_PATH, MEM_LIMIT_PATH
from integrations.compose_file.text_splice import YamlSource, yaml_scalar
from integrations.compose_file.units import MB, format_decimal, format_memory_like, parse_memory
from integrations.compose_file.yaml_tree import ComposeDocument, YamlNode, parse_compose_file

LimitStyle = Literal["compose", "swarm"]
"""Swarm reads only the limits under `deploy:`."""
MIN_MEMORY_MB = 6
"""Docker starts no container with less memory."""
MEMSWAP = ("memswap_limit",)
_MEMORY_RESERVED: tuple[YamlPath, ...] = (("mem_reservation",), ("deploy", "resources", "reservations", "memory"))
_SETTING_TITLES = {
    "memory limit": said("compose_error.what.memory"),
    "memory reservation": said("compose_error.what.memory_reserved"),
    "memory and swap limit": said("compose_error.what.swap"),
    "CPU limit": said("compose_error.what.cpu"),
    "CPU reservation": said("compose_error.what.cpu_reserved"),
}
_CPUS_RESERVED: YamlPath = ("deploy", "resources", "reservations", "cpus")


def set_memory_limit(
    text: str,
    service: str,
    *,
    limit_mb: int | None = None,
    factor: float | None = None,
    current_mb: int | None = None,
    style: LimitStyle = "compose",
) -> str:
    """Return the file with another memory limit for one service: `limit_mb`, or `factor` times the present limit.

    `current_mb` stands in for `factor` where the file has no limit. A limit that the service inherits is written into
    the service; services that inherit from it keep theirs. `memswap_limit` rises too, so that swap stays the same.
    ComposeFileError: unknown service, a limit in a variable (`.variable` names it), below 6 MB or what is reserved.
    """
    document = parse_compose_file(text)
    service_node(document, service)
    written: list[tuple[YamlPath, YamlNode | None]] = [
        (path, node)
        for path in _limit_paths(style, MEM_LIMIT_PATH, DEPLOY_MEMORY_PATH)
        if (node := find_setting(document, service, *path))
    ]
    current = next((_bytes(document, node, service, "memory limit") for _, node in written if node), 0)
    known = current or (current_mb or 0) * MB
    target = _target(service, limit_mb=limit_mb, factor=factor, known=known)
    for path in _MEMORY_RESERVED:
        reserved = find_setting(document, service, *path)
        if reserved is not None and _bytes(document, reserved, service, "memory reservation") > target:
            raise document.error(
                f"{target // MB} MB for {quoted_name(service)} are less than {'.'.join(path)} keeps for it; "
                "choose more, "
                "or lower the reservation first",
                reserved,
                said(
                    "compose_error.memory_reserved",
                    mb=target // MB,
                    service=name_for_people(service),
                    path=".".join(path),
                ),
            )
    default = (
        DEPLOY_MEMORY_PATH
        if style == "swarm" or find_setting(document, service, *DEPLOY_MEMORY_PATH[:3])
        else MEM_LIMIT_PATH
    )
    for path, node in written or [(default, None)]:
        document = change_setting(document, service, path, _memory_like(node, target))
    return _with_swap(document, service, known=known, target=target).text


def set_cpu_limit(text: str, service: str, cpus: float, *, style: LimitStyle = "compose") -> str:
    """Return the file with another CPU limit for one service, in processors (1.5)."""
    document = parse_compose_file(text)
    service_node(document, service)
    if not (math.isfinite(cpus) and cpus >= 0.01):
        raise ComposeFileError(
            f"{cpus} is no number of processors; give 0.01 or more", message=said("compose_error.bad_cpus", cpus=cpus)
        )
    quota = find_setting(document, service, "cpu_quota")
    if quota is not None and quota.value not in ("0", "-1"):
        raise document.error(
            f"{quoted_name(service)} is limited by `cpu_quota`, which Docker takes only without `cpus`; "
            "change it by hand",
            quota,
            said("compose_error.cpu_quota", service=name_for_people(service)),
        )
    reserved = find_setting(document, service, *_CPUS_RESERVED)
    if reserved is not None and _cpus(document, reserved, service) > cpus:
        raise document.error(
            f"{format_decimal(cpus)} processors for {quoted_name(service)} are less than "
            f"{'.'.join(_CPUS_RESERVED)} keeps for it",
            reserved,
            said(
                "compose_error.cpus_reserved",
                cpus=format_decimal(cpus),
                service=name_for_people(service),
                path=".".join(_CPUS_RESERVED),
            ),
        )
    written: list[tuple[YamlPath, YamlNode | None]] = [
        (path, node)
        for path in _limit_paths(style, CPUS_PATH, DEPLOY_CPUS_PATH)
        if (node := find_setting(document, service, *path))
    ]
    for node in (node for _, node in written if node):
        _no_variable(document, node, service, "CPU limit")
    default = (
        DEPLOY_CPUS_PATH if style == "swarm" or find_setting(document, service, *DEPLOY_CPUS_PATH[:3]) else CPUS_PATH
    )
    for path, old in written or [(default, None)]:
        is_quoted = path == DEPLOY_CPUS_PATH if old is None else old.style != ""
        quoted = yaml_scalar(format_decimal(cpus), style=(old.style if old is not None else "") or '"')
        document = change_setting(document, service, path, quoted if is_quoted else YamlSource(format_decimal(cpus)))
    return document.text


def _limit_paths(style: LimitStyle, plain: YamlPath, deploy: YamlPath) -> tuple[YamlPath, ...]:
    return (deploy,) if style == "swarm" else (plain, deploy)


def _target(service: str, *, limit_mb: int | None, factor: float | None, known: int) -> int:
    if (limit_mb is None) == (factor is None):
        raise ComposeFileError(
            "give either a limit in MB or a factor, not both", message=said("compose_error.limit_or_factor")
        )
    if limit_mb is not None:
        target = limit_mb * MB
    elif known:
        wanted = known * (factor or 0)
        target = round(wanted / MB) * MB if math.isfinite(wanted) else 0
    else:
        raise ComposeFileError(
            f"{quoted_name(service)} has no memory limit that a factor could change; give it in MB",
            message=said("compose_error.no_limit", service=name_for_people(service)),
        )
    if not MIN_MEMORY_MB * MB <= target < 1 << 60:
        raise ComposeFileError(
            f"{target // MB} MB is no memory limit that Docker takes; choose {MIN_MEMORY_MB} MB or more",
            message=said("compose_error.too_little", mb=target // MB, least=MIN_MEMORY_MB),
        )
    return target


def _memory_like(node: YamlNode | None, target: int) -> YamlSource:
    if node is None:
        return YamlSource(format_memory_like("0g" if target % (1024 * MB) == 0 else "0m", target))
    written = format_memory_like(node.value, target)
    return yaml_scalar(written, style=node.style) if node.style in ("'", '"') else YamlSource(written)


def _with_swap(document: ComposeDocument, service: str, *, known: int, target: int) -> ComposeDocument:
    swap = find_setting(document, service, *MEMSWAP)
    if swap is None or swap.value.startswith("-"):
        return document
    total = _bytes(document, swap, service, "memory and swap limit")
    if total == 0 or total >= target:
        return document
    return change_setting(
        document, service, MEMSWAP, _memory_like(swap, target + max(0, total - known if known else 0))
    )


def _bytes(document: ComposeDocument, node: YamlNode, service: str, what: str) -> int:
    _no_variable(document, node, service, what)
    amount = parse_memory(node.value) if node.kind == "scalar" else None
    if amount is None:
        raise document.error(
            f"the {what} of {quoted_name(service)} is no amount such as 512m or 2g; correct it",
            node,
            said("compose_error.no_amount", what=_SETTING_TITLES[what], service=name_for_people(service)),
        )
    return amount


def _cpus(document: ComposeDocument, node: YamlNode, service: str) -> float:
    _no_variable(document, node, service, "CPU reservation")
    try:
        return float(node.value)
    except ValueError:
        raise document.error(
            f"the CPU reservation of {quoted_name(service)} is no number; correct it",
            node,
            said("compose_error.no_number", what=_SETTING_TITLES["CPU reservation"], service=name_for_people(service)),
        ) from None


def _no_variable(document: ComposeDocument, node: YamlNode, service: str, what: str) -> None:
    for variable in find_variables(node.value):
        raise document.error(
            f"the {what} of {quoted_name(service)} comes from the variable {variable.name}; "
            f"set {variable.name} in the environment",
            node,
            said(
                "compose_error.in_variable",
                what=_SETTING_TITLES[what],
                service=name_for_people(service),
                variable=variable.name,
            ),
            variable=variable.name,
        )
