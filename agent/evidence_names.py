"""The names of evidence that gathering finds, and the one list of all names that runbooks are checked against."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import get_args

from agent.dependency_evidence import MISSING
from agent.health_evidence import HEALTH_PROBLEMS, START_PROBLEMS
from agent.logs.patterns import LOG_CLASSES
from core.alerts import AlertKind, Severity
from core.endings import EndedBy
from core.evidence_names import EVIDENCE_NAMES, EvidenceName, EvidenceType
from core.inventory import ContainerState, Health
from core.shapes import MemoryShape

LOG_CLASS_NAMES = frozenset(one.name for one in LOG_CLASSES)


def _gathered(type: EvidenceType, says: str, unit: str = "") -> EvidenceName:
    return EvidenceName(type=type, unit=unit, producer="context", says=says)


GATHERED_NAMES: Mapping[str, EvidenceName] = {
    # what the logs say
    "log_lines": _gathered("list", "the last lines of the log, at most 20, each cut at 300 characters"),
    "error_line": _gathered(
        "str", "the line that names the error: the end of the last stack trace, else the last known"
    ),
    "exception": _gathered("str", "class of the last exception: KeyError, TypeError, OutOfMemoryError …"),
    "trace_fingerprint": _gathered("str", "equal for the same stack trace, whatever its values"),
    "missing_variable": _gathered("str", "environment variable that the program asked for and did not find"),
    "auth_user": _gathered("str", "user name that a database or broker refused"),
    "refused_host": _gathered("str", "host in the logs that refused the connection"),
    "refused_port": _gathered("int", "port in the logs that refused the connection"),
    "timed_out_host": _gathered("str", "host in the logs that did not answer in time"),
    "port_taken": _gathered("int", "port that somebody else holds"),
    "denied_path": _gathered("str", "file or directory that the program may not use"),
    "killed_child": _gathered("str", "the log's line about a process inside that was killed"),
    # health
    "health_problem": _gathered(
        "str", "wrong_port, refused, tool_missing, timeout, http_error or failing: its probe's word"
    ),
    "was_healthy": _gathered("bool", "whether a health probe has succeeded since the container started"),
    "health_port": _gathered("int", "port that the health probe could not reach"),
    "health_tool": _gathered("str", "program that the health probe calls and the image does not have"),
    # why it could not start
    "start_problem": _gathered(
        "str", "port_taken, not_executable, not_found, wrong_platform, mount, user, network or other: from state_error"
    ),
    # what it depends on
    "dependency_container": _gathered("str", "container of that service, `host/name`"),
    "dependency_running": _gathered("bool", "whether that container runs"),
    "dependency_host_known": _gathered("bool", "whether a container of this host answers to the unresolved name"),
    "dependency_log_errors": _gathered("list", "known error patterns in that service's last lines, most telling first"),
    "dependency_error_line": _gathered("str", "the line of that service's log that names its error"),
    "dependencies": _gathered("list", "services it depends on, `stack/service`"),
    "affected": _gathered("list", "services that depend on the one in trouble, `stack/service`"),
    # memory of before
    "similar_count": _gathered("int", "similar incidents in the past"),
    "similar_helped": _gathered("list", "what helped in them"),
    # what could not be found out
    "missing": _gathered("list", "what could not be gathered, and why"),
}

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
    "repeats": "how often its alerts fired again",
    "attempt": "plans tried so far",
    "is_flapping": "whether it comes and goes",
    "is_simulated": "whether the host is the simulated one",
    "kinds": "kinds of all its alerts",
}
HOST_NAMES: Mapping[str, str] = {
    "name": "name of the host",
    "is_reachable": "whether its engine answers",
    "is_simulated": "whether it is the simulated one",
    "engine_version": "version of its engine",
    "cpus": "cores",
    "memory_total_mb": "memory of the machine (MiB)",
    "memory_free_mb": "memory it has left (MiB); missing for a remote engine",
}


def _values(kind: type[StrEnum]) -> frozenset[str]:
    return frozenset(one.value for one in kind)


VOCABULARY: Mapping[str, frozenset[str]] = {
    "evidence.log_errors": LOG_CLASS_NAMES,
    "evidence.dependency_log_errors": LOG_CLASS_NAMES,
    "evidence.stopped_by": _values(EndedBy),
    "evidence.memory_shape": frozenset(get_args(MemoryShape)),
    "evidence.health_problem": frozenset(HEALTH_PROBLEMS),
    "evidence.start_problem": frozenset(START_PROBLEMS),
    "evidence.dependency_state": _values(ContainerState) | {MISSING},
    "evidence.dependency_health": _values(Health),
    "incident.kind": _values(AlertKind),
    "incident.kinds": _values(AlertKind),
    "incident.severity": _values(Severity),
}
"""Facts whose values are words of a fixed list: a condition that compares with another word could never hold."""


def known_evidence() -> dict[str, EvidenceName]:
    """Every name that evidence may have, detectors' first."""
    return {**EVIDENCE_NAMES, **GATHERED_NAMES}
