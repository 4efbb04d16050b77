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
    "memory_limit_mb": _seen("int", "memory limit of the container; 0: none", "MB"),
    "memory_peak_mb": _seen("int", "most memory seen in the last minutes; the limit itself after an OOM kill", "MB"),
    "memory_shape": _seen("str", "peak (sudden), ramp (steady growth: a leak), flat, or unknown (too few samples)"),
    "memory_pct": _seen("float", "memory as a share of the limit", "%"),
    "cpu_pct": _seen("float", "processor time as a share of what the container may have", "%"),
    "throttled_pct": _seen("float", "share of quota periods in which it was held back", "%"),
    "sustained_s": _seen("float", "how long it has been so", "s"),
    # the host
    "host_problem": _seen("str", "why the engine does not answer"),
    "unreachable_s": _seen("float", "how long the engine has not answered", "s"),
    "host_memory_free_mb": _gathered("int", "memory that the machine has left", "MB"),
    "host_memory_total_mb": _gathered("int", "memory of the machine", "MB"),
    # what the logs say
    "log_errors": _gathered("list", "known error patterns found in the last lines, most telling first"),
    "log_template": _gathered("str", "the most frequent error line, its changing parts left out"),
    "log_last": _gathered("str", "the last line of the log"),
    "log_before_end": _gathered("str", "the last line that was logged before the trouble came"),
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

PLATFORM_NAMES: Mapping[str, EvidenceName] = {
    # deployments
    "deploy_status": _seen("str", "how the last deployment stands: running, done, error, cancelled or unknown"),
    "deploy_title": _seen("str", "title of the last deployment; its commit's message for git sources"),
    "deploy_commit": _seen("str", "its commit, first 12 characters"),
    "deployed_min": _seen("float", "minutes since the last deployment ended", "min"),
    "deploy_running_min": _seen("float", "minutes that the deployment under way has run", "min"),
    "deploy_error": _seen("str", "class of the error in the deployment's log"),
    "deploy_error_line": _seen("str", "the line of the deployment's log that names its error"),
    "deploy_by": _gathered("str", "who ordered the last deployment, as our own records tell"),
    "deploy_changed": _gathered("list", "what it changed, by the kept versions: settings, environment, image, commit"),
    "queue_waiting": _seen("int", "deployments that wait in the platform's queue"),
    # the stack as the platform sees it
    "managed_by": _gathered("str", "the platform that manages the stack; missing for a plain Compose project"),
    "file_source": _gathered("str", "where its compose file comes from: raw, git, github, gitlab, bitbucket, gitea …"),
    "platform_status": _seen("str", "what the platform last did with the stack: idle, running, done or error"),
    "containers_running": _seen("int", "containers of the stack that run"),
    "containers_total": _seen("int", "containers of the stack"),
    "worst_service": _gathered("str", "for trouble of a whole stack: the service that is worst off, `stack/service`"),
    "worst_container": _gathered("str", "that service's container, `host/name`"),
    "memory_limit_in": _gathered("str", "where the compose file sets the memory limit: mem_limit, deploy or variable"),
    # versions
    "good_version": _gathered("int", "number of the last version before the running one that has held"),
    "migration_since": _gathered("bool", "a migration of a database was carried out lately, as the log shows"),
    "seen_before_deploy": _gathered("int", "incidents of this service and kind in the week before that deployment"),
    "unset_variables": _gathered("list", "variables that the compose file uses and its environment does not set"),
    "env_keys_removed": _gathered("list", "keys that the last good version's environment had and this one has not"),
    # domains
    "domain": _seen("str", "host name of the domain in trouble"),
    "domain_id": _gathered("str", "the platform's id of that domain"),
    "domain_problem": _seen("str", "why the domain does not answer"),
    "domain_http_status": _seen("int", "HTTP status that it answered with"),
    "domain_port": _seen("int", "port of the service that the domain leads to"),
    "domain_service": _seen("str", "service that the domain leads to"),
    "domain_certificate": _gathered("str", "where its certificate comes from: letsencrypt, custom or none"),
    "service_ports": _gathered("list", "ports that the service's containers listen on, or expose"),
    "service_port": _gathered("int", "that port, where there is exactly one"),
    "certificate_days": _seen("float", "days until its certificate ends; negative: it has ended", "days"),
    # backups and the platform itself
    "backup_name": _seen("str", "what was to be backed up"),
    "backup_error": _seen("str", "why the backup failed"),
    "platform_problem": _seen("str", "why the platform does not answer, or does not take the key"),
    "platform_unreachable_s": _seen("float", "how long the platform has not answered", "s"),
    "broken_detectors": _seen("list", "the guardian's own detectors that fail"),
}
"""What a platform that manages stacks tells, and what is asked of it."""

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
"""What gathering finds besides."""

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
"""Facts whose values are words of a fixed list, each with a text of its own; two may share their texts."""


def word_key(name: str, word: str) -> str | None:
    """The text of a fact's word, or None for a fact whose values are shown as they are."""
    family = WORD_FAMILIES.get(name)
    return f"evidence.word.{family}.{word}" if family else None


def name_key(name: str) -> str | None:
    """The text of a fact's name, or None for one that no list holds."""
    return f"evidence.name.{name}" if _known(name) else None


def unit_of(name: str) -> str:
    """The unit of its value; empty: none."""
    known = _known(name)
    return known.unit if known else ""


def _known(name: str) -> EvidenceName | None:
    return EVIDENCE_NAMES.get(name) or PLATFORM_NAMES.get(name) or GATHERED_NAMES.get(name)
