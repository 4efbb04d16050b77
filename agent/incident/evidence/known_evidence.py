"""Names of all facts and their possible words, against which runbooks are checked."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import get_args

from agent.incident.evidence.dependency_evidence import MISSING
from agent.incident.evidence.health_evidence import HEALTH_PROBLEMS, START_PROBLEMS
from agent.logs.error_classes import LOG_CLASSES
from core.deployments.platform import DeployStatus
from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Severity
from core.incidents.evidence import EVIDENCE_NAMES, GATHERED_NAMES, PLATFORM_NAMES, EvidenceName
from core.monitoring.exits import ExitOrigin
from core.monitoring.inventory import ContainerState, Health
from core.monitoring.memory_trend import MemoryShape

LOG_CLASS_NAMES = frozenset(one.name for one in LOG_CLASSES)
DEPLOY_ERRORS = (
    *("image_not_found", "registry_login", "bad_yaml", "port_taken", "build_failed", "git_failed"),
    *("domain_service_missing", "env_missing", "mount", "network", "disk_full", "engine_down"),
    *("unhealthy_dependency", "other"),
)
"""Error classes found in deployment logs."""
DEPLOY_CHANGES = ("settings", "environment", "image", "commit")
"""`settings`: the compose file, or values of its environment."""
DOMAIN_PROBLEMS = ("dns", "unreachable", "router", "bad_gateway", "certificate", "http_error")
CERTIFICATES = ("letsencrypt", "custom", "none")
LIMIT_PLACES = ("mem_limit", "deploy", "variable", "none")

INCIDENT_NAMES: Mapping[str, str] = {
    "id": "number of the incident",
    "key": "its key, `inc-7`",
    "kind": "kind of its first alert",
    "severity": "info, warning or critical",
    "host": "name of the host",
    "stack": "Compose project; missing outside a stack",
    "service": "Compose service, or the container's name",
    "target": "`stack/service`",
    "container": "the container, `host/name`, as actions take it",
    "container_name": "the container's name alone",
    "repeats": "how often its alerts repeated",
    "attempt": "plans tried so far",
    "is_flapping": "it keeps coming and going",
    "is_simulated": "the host is the simulated one",
    "kinds": "kinds of all its alerts",
}
HOST_NAMES: Mapping[str, str] = {
    "name": "name of the host",
    "is_reachable": "Docker responds there",
    "is_simulated": "it is the simulated one",
    "engine_version": "its Docker version",
    "cpus": "number of CPU cores",
    "memory_total_mb": "total memory (MB of 1024 × 1024 bytes)",
    "memory_free_mb": "free memory (MB of 1024 × 1024 bytes); missing for a remote engine",
}


def _values(kind: type[StrEnum]) -> frozenset[str]:
    return frozenset(one.value for one in kind)


KNOWN_VALUES: Mapping[str, frozenset[str]] = {
    "evidence.log_errors": LOG_CLASS_NAMES,
    "evidence.dependency_log_errors": LOG_CLASS_NAMES,
    "evidence.stopped_by": _values(ExitOrigin),
    "evidence.memory_shape": frozenset(get_args(MemoryShape)),
    "evidence.health_problem": frozenset(HEALTH_PROBLEMS),
    "evidence.start_problem": frozenset(START_PROBLEMS),
    "evidence.dependency_state": _values(ContainerState) | {MISSING},
    "evidence.dependency_health": _values(Health),
    "evidence.deploy_status": _values(DeployStatus),
    "evidence.deploy_error": frozenset(DEPLOY_ERRORS),
    "evidence.deploy_changed": frozenset(DEPLOY_CHANGES),
    "evidence.domain_problem": frozenset(DOMAIN_PROBLEMS),
    "evidence.domain_certificate": frozenset(CERTIFICATES),
    "evidence.memory_limit_in": frozenset(LIMIT_PLACES),
    "incident.kind": _values(AlertKind),
    "incident.kinds": _values(AlertKind),
    "incident.severity": _values(Severity),
}
"""Facts with a fixed list of values; a condition that compares with another word could never hold."""


def known_evidence() -> dict[str, EvidenceName]:
    """Return every name of evidence, those of detectors first."""
    return {**EVIDENCE_NAMES, **PLATFORM_NAMES, **GATHERED_NAMES}
