"""The names that evidence may have: type, unit and producer; what runbooks' conditions are checked against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

EvidenceType = Literal["bool", "int", "float", "str", "list"]


@dataclass(frozen=True, kw_only=True)
class EvidenceName:
    """One name of the list."""

    type: EvidenceType
    unit: str = ""
    producer: str
    """Who writes it: `detectors` with the alert, `context` while the incident's context is gathered."""
    says: str


def _seen(type: EvidenceType, says: str, unit: str = "") -> EvidenceName:
    return EvidenceName(type=type, unit=unit, producer="detectors", says=says)


def _gathered(type: EvidenceType, says: str, unit: str = "") -> EvidenceName:
    return EvidenceName(type=type, unit=unit, producer="context", says=says)


EVIDENCE_NAMES: Mapping[str, EvidenceName] = {
    # how it ended
    "exit_code": _seen("int", "exit code of the last end"),
    "signal": _seen("int", "last signal sent through the API, else the one that the exit code tells of"),
    "oom_killed": _seen("bool", "the kernel killed the container's main process for memory"),
    "oom_events": _seen("int", "`oom` events of the container in the last five minutes"),
    "child_oom_kills": _seen("int", "processes inside that the kernel killed while the container stayed up"),
    "stopped_by": _seen("str", "itself, memory_killer, stop, kill, guardian, outside or unknown"),
    "stopped_by_person": _seen("bool", "stopped through the Docker API: a person, Compose or Dokploy"),
    "came_back": _seen("bool", "its restart policy has already brought it back"),
    "state_error": _seen("str", "the engine's own word on why it could not start"),
    "run_seconds": _seen("float", "how long the last run lasted", "s"),
    # restarts
    "restart_policy": _seen("str", "no, on-failure, unless-stopped or always"),
    "restart_count": _seen("int", "the engine's RestartCount; a manual start sets it to 0"),
    "restarts_in_window": _seen("int", "restarts within `watch.crash_loop_within_s`"),
    # health
    "health_output": _seen("str", "output of the last health probe, cut at 500 characters"),
    "health_exit_code": _seen("int", "exit code of the last health probe; -1: it took too long, 127: no such program"),
    "failing_streak": _seen("int", "health probes that failed in a row"),
    # resources
    "memory_limit_mb": _seen("int", "memory limit of the container; 0: none", "MiB"),
    "memory_peak_mb": _seen("int", "most memory seen in the last minutes; the limit itself after an OOM kill", "MiB"),
    "memory_shape": _seen("str", "peak (sudden), ramp (steady growth: a leak), flat, or unknown (too few samples)"),
    "memory_pct": _seen("float", "memory as a share of the limit", "%"),
    "cpu_pct": _seen("float", "processor time as a share of what the container may have", "%"),
    "throttled_pct": _seen("float", "share of quota periods in which it was held back", "%"),
    "sustained_s": _seen("float", "how long it has been so", "s"),
    # the host
    "host_problem": _seen("str", "why the engine does not answer"),
    "unreachable_s": _seen("float", "how long the engine has not answered", "s"),
    "host_memory_free_mb": _gathered("int", "memory that the machine has left", "MiB"),
    "host_memory_total_mb": _gathered("int", "memory of the machine", "MiB"),
    # what the logs say
    "log_errors": _gathered("list", "known error patterns found in the last lines, most telling first"),
    "log_template": _gathered("str", "the most frequent error line, its changing parts left out"),
    "log_last": _gathered("str", "the last line of the log"),
    # what it depends on
    "dependency": _gathered("str", "the service it depends on that is not well, `stack/service`"),
    "dependency_state": _gathered("str", "that service's state in the engine's words, or `missing`"),
    "dependency_exit_code": _gathered("int", "that service's exit code"),
    "dependency_health": _gathered("str", "that service's health in the engine's words"),
    "dependency_stopped_by": _gathered("str", "who stopped that service, as `stopped_by`"),
    "dependency_host_unresolved": _gathered("str", "host name in the logs that could not be resolved"),
    # what changed
    "image_changed_min": _gathered("float", "minutes since the service got another image", "min"),
}
