"""Names of evidence with type, unit and producer; the conditions of runbooks are checked against them."""

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
    """Origin of the fact: `detectors` with the alert, `context` while the incident's context is gathered."""
    meaning: str


def _seen(type: EvidenceType, meaning: str, unit: str = "") -> EvidenceName:
    return EvidenceName(type=type, unit=unit, producer="detectors", meaning=meaning)


def _gathered(type: EvidenceType, meaning: str, unit: str = "") -> EvidenceName:
    return EvidenceName(type=type, unit=unit, producer="context", meaning=meaning)


EVIDENCE_NAMES: Mapping[str, EvidenceName] = {
    # exit
    "exit_code": _seen("int", "last exit code"),
    "signal": _seen("int", "last signal sent through the Docker API, else the one in the exit code"),
    "oom_killed": _seen("bool", "the kernel killed the container's main process (out of memory)"),
    "oom_events": _seen("int", "`oom` events of the container in the last five minutes"),
    "child_oom_kills": _seen("int", "processes inside killed by the kernel (out of memory) while it kept running"),
    "stopped_by": _seen("str", "itself, memory_killer, stop, kill, guardian, outside or unknown"),
    "stopped_by_person": _seen("bool", "stopped through the Docker API: a person, Compose or Dokploy"),
    "came_back": _seen("bool", "its restart policy has already restarted it"),
    "state_error": _seen("str", "Docker's error, why it couldn't start"),
    "run_seconds": _seen("float", "how long it ran before it stopped", "s"),
    # restarts
    "restart_policy": _seen("str", "no, on-failure, unless-stopped or always"),
    "restart_count": _seen("int", "the engine's RestartCount; a manual start sets it to 0"),
    "restarts_in_window": _seen("int", "restarts within `watch.crash_loop_within_s`"),
    # health
    "health_output": _seen("str", "output of the last health check, cut at 500 characters"),
    "health_exit_code": _seen("int", "exit code of the last health check; -1: timed out, 127: no such program"),
    "failing_streak": _seen("int", "health checks that failed in a row"),
    # resources
    "memory_limit_mb": _seen("int", "memory limit of the container; 0: none", "MB"),
    "memory_peak_mb": _seen("int", "peak memory in the last minutes; the limit itself after an OOM kill", "MB"),
    "memory_shape": _seen("str", "peak (sudden), ramp (steady growth: a leak), flat, or unknown (too few samples)"),
    "memory_pct": _seen("float", "memory in percent of the limit", "%"),
    "cpu_pct": _seen("float", "CPU in percent of what the container may use", "%"),
    "throttled_pct": _seen("float", "percent of the CPU quota periods in which it was throttled", "%"),
    "sustained_s": _seen("float", "how long it has been like that", "s"),
    # the host
    "host_problem": _seen("str", "why Docker isn't responding"),
    "unreachable_s": _seen("float", "how long Docker has not responded", "s"),
    "host_memory_free_mb": _gathered("int", "free memory of the host", "MB"),
    "host_memory_total_mb": _gathered("int", "total memory of the host", "MB"),
    # logs
    "log_errors": _gathered("list", "known error patterns found in the last lines, most specific first"),
    "log_template": _gathered("str", "the most frequent error line, without its changing parts"),
    "log_last": _gathered("str", "the last line of the log"),
    "log_before_end": _gathered("str", "the last log line before the problem"),
    # dependencies
    "dependency": _gathered("str", "the dependency that has a problem, `stack/service`"),
    "dependency_state": _gathered("str", "state of that dependency in Docker's words, or `missing`"),
    "dependency_exit_code": _gathered("int", "exit code of that dependency"),
    "dependency_health": _gathered("str", "health of that dependency in Docker's words"),
    "dependency_stopped_by": _gathered("str", "who stopped that dependency, as in `stopped_by`"),
    "dependency_host_unresolved": _gathered("str", "host name in the logs that couldn't be resolved"),
    # changes
    "image_changed_min": _gathered("float", "minutes since the service got a different image", "min"),
}

PLATFORM_NAMES: Mapping[str, EvidenceName] = {
    # deployments
    "deploy_status": _seen("str", "status of the last deployment: running, done, error, cancelled or unknown"),
    "deploy_title": _seen("str", "title of the last deployment; the commit message if it comes from git"),
    "deploy_commit": _seen("str", "its commit, first 12 characters"),
    "deployed_min": _seen("float", "minutes since the last deployment finished", "min"),
    "deploy_running_min": _seen("float", "minutes the current deployment has been running", "min"),
    "deploy_error": _seen("str", "error class found in the deployment's log"),
    "deploy_error_line": _seen("str", "the line of the deployment's log with the error"),
    "deploy_by": _gathered("str", "who started the last deployment, according to InfraGuardian's records"),
    "deploy_changed": _gathered("list", "what that deployment changed: settings, environment, image or commit"),
    "queue_waiting": _seen("int", "deployments waiting in the platform's queue"),
    # the stack on the platform
    "managed_by": _gathered("str", "the platform that manages the stack; missing for a plain Compose project"),
    "file_source": _gathered("str", "source of its Compose file: raw, git, github, gitlab, bitbucket, gitea …"),
    "platform_status": _seen("str", "the platform's status of the stack: idle, running, done or error"),
    "containers_running": _seen("int", "running containers of the stack"),
    "containers_total": _seen("int", "containers of the stack"),
    "worst_service": _gathered("str", "if the whole stack has a problem: its worst service, `stack/service`"),
    "worst_container": _gathered("str", "that service's container, `host/name`"),
    "memory_limit_in": _gathered("str", "where the Compose file sets the memory limit: mem_limit, deploy or variable"),
    # versions
    "good_version": _gathered("int", "number of the last good version before the running one"),
    "migration_since": _gathered("bool", "the log shows a recent database migration"),
    "seen_before_deploy": _gathered("int", "incidents of this service and kind in the week before that deployment"),
    "unset_variables": _gathered("list", "variables the Compose file uses and its environment doesn't set"),
    "env_keys_removed": _gathered("list", "variables that the last good version's environment had and this one lacks"),
    # domains
    "domain": _seen("str", "host name of the failing domain"),
    "domain_id": _gathered("str", "the platform's id of that domain"),
    "domain_problem": _seen("str", "what is wrong with the domain"),
    "domain_http_status": _seen("int", "HTTP status it returned"),
    "domain_port": _seen("int", "port the domain points at"),
    "domain_service": _seen("str", "service the domain points at"),
    "domain_certificate": _gathered("str", "where its certificate comes from: letsencrypt, custom or none"),
    "service_ports": _gathered("list", "ports the service's containers listen on or expose"),
    "service_port": _gathered("int", "that port, if there is exactly one"),
    "certificate_days": _seen("float", "days until its certificate expires; negative: it has expired", "days"),
    # backups and the platform itself
    "backup_name": _seen("str", "what should have been backed up"),
    "backup_error": _seen("str", "why the backup failed"),
    "platform_problem": _seen("str", "why the platform isn't responding, or rejects the key"),
    "platform_unreachable_s": _seen("float", "how long the platform has not responded", "s"),
    "broken_detectors": _seen("list", "InfraGuardian's own checks that fail"),
}
"""Facts that a platform managing stacks reports, or is asked for."""

GATHERED_NAMES: Mapping[str, EvidenceName] = {
    # logs
    "log_lines": _gathered("list", "the last lines of the log, at most 20, each cut at 300 characters"),
    "error_line": _gathered(
        "str", "the line with the error: the end of the last stack trace, else the last known error"
    ),
    "exception": _gathered("str", "class of the last exception: KeyError, TypeError, OutOfMemoryError …"),
    "trace_fingerprint": _gathered("str", "the same for equal stack traces, whatever their values"),
    "missing_variable": _gathered("str", "environment variable the program needs and doesn't find"),
    "auth_user": _gathered("str", "user name a database or broker rejected"),
    "refused_host": _gathered("str", "host in the logs that refused the connection"),
    "refused_port": _gathered("int", "port in the logs that refused the connection"),
    "timed_out_host": _gathered("str", "host in the logs that timed out"),
    "port_taken": _gathered("int", "port that is already in use"),
    "denied_path": _gathered("str", "file or directory the program has no permission for"),
    "killed_child": _gathered("str", "the log line about a process inside that was killed"),
    # health
    "health_problem": _gathered(
        "str", "wrong_port, refused, tool_missing, timeout, http_error or failing: what the health check shows"
    ),
    "was_healthy": _gathered("bool", "a health check has succeeded since the container started"),
    "health_port": _gathered("int", "port the health check couldn't reach"),
    "health_tool": _gathered("str", "program the health check calls that is not in the image"),
    # start
    "start_problem": _gathered(
        "str", "port_taken, not_executable, not_found, wrong_platform, mount, user, network or other: from state_error"
    ),
    # dependencies
    "dependency_container": _gathered("str", "container of that dependency, `host/name`"),
    "dependency_running": _gathered("bool", "that container is running"),
    "dependency_host_known": _gathered("bool", "a container on this host has the unresolved name"),
    "dependency_log_errors": _gathered("list", "known errors in that dependency's last lines, most specific first"),
    "dependency_error_line": _gathered("str", "the line of that dependency's log with the error"),
    "dependencies": _gathered("list", "services it depends on, `stack/service`"),
    "affected": _gathered("list", "services that depend on this one, `stack/service`"),
    # past incidents
    "similar_count": _gathered("int", "similar incidents in the past"),
    "similar_helped": _gathered("list", "what helped then"),
    # gaps
    "missing": _gathered("list", "what couldn't be gathered, and why"),
}
"""Further facts, found while the context is gathered."""

WORD_FAMILIES: Mapping[str, str] = {
    "memory_shape": "memory_shape",
    "health_problem": "health_problem",
    "start_problem": "start_problem",
    "dependency_state": "dependency_state",
    "dependency_health": "dependency_health",
    "stopped_by": "stopped_by",
    "dependency_stopped_by": "stopped_by",
    "log_errors": "log_errors",
    "dependency_log_errors": "log_errors",
    "deploy_status": "deploy_status",
    "deploy_error": "deploy_error",
    "deploy_changed": "deploy_changed",
    "memory_limit_in": "memory_limit_in",
    "domain_problem": "domain_problem",
    "domain_certificate": "domain_certificate",
}
"""Facts whose values are words of a fixed list, each with a text of its own; two facts may share their texts."""


def word_key(name: str, word: str) -> str | None:
    """Return the text key of a fact's word, or None for a fact whose values are shown as they are."""
    family = WORD_FAMILIES.get(name)
    return f"evidence.word.{family}.{word}" if family else None


def name_key(name: str) -> str | None:
    """Return the text key of a fact's name, or None for an unlisted one."""
    return f"evidence.name.{name}" if _known(name) else None


def unit_of(name: str) -> str:
    """Return the unit of a fact's value; empty: none."""
    known = _known(name)
    return known.unit if known else ""


def _known(name: str) -> EvidenceName | None:
    return EVIDENCE_NAMES.get(name) or PLATFORM_NAMES.get(name) or GATHERED_NAMES.get(name)
