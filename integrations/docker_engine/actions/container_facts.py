"""Containers, samples and disks as plain JSON for the model and for rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from pydantic import JsonValue

from core.actions.catalog import JsonObject
from core.monitoring.inventory import Container, ContainerState, Health
from core.monitoring.snapshot import Sample
from core.text import Text, text
from integrations.docker_engine.engine import DiskUsage, LogLine
from integrations.docker_engine.models import SECRET_LABEL_VALUE

MB = 1024 * 1024
RedactText = Callable[[str], str]
VOLUMES_SHOWN = 20
LOGS_SHOWN = 20


def redact_json_strings(value: JsonValue, redact: RedactText) -> JsonValue:
    """Return the value with every string redacted; field names stay."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [redact_json_strings(one, redact) for one in value]
    if isinstance(value, dict):
        return {name: redact_json_strings(one, redact) for name, one in value.items()}
    return value


def container_summary(container: Container) -> JsonObject:
    """Return the facts for a list of containers."""
    return {
        "container": container.ref,
        "stack": container.stack,
        "service": container.service,
        "image": container.image,
        "state": container.state.value,
        "health": container.health.value,
        "exit_code": container.exit_code,
        "oom_killed": container.oom_killed,
        "restart_count": container.restart_count,
        "started_at": _iso(container.started_at),
        "finished_at": _iso(container.finished_at),
        "error": container.error,
    }


def container_details(container: Container) -> JsonObject:
    """Return everything known about the container; labels that look secret are left out."""
    return {
        **container_summary(container),
        "id": container.id[:12],
        "image_id": container.image_id,
        "created_at": _iso(container.created_at),
        "restart_policy": container.restart_policy,
        "failing_streak": container.failing_streak,
        "health_interval_s": container.health_interval_s,
        "health_retries": container.health_retries,
        "start_period_s": container.start_period_s,
        "health_log": [
            {"at": _iso(probe.at), "exit_code": probe.exit_code, "output": probe.output}
            for probe in container.health_log
        ],
        "memory_limit_mb": to_mb(container.memory_limit_bytes),
        "cpu_limit": container.cpu_limit,
        "networks": list(container.networks),
        "aliases": list(container.aliases),
        "depends_on": [{"service": one.service, "condition": one.condition} for one in container.depends_on],
        "links": list(container.links),
        "env_hosts": list(container.env_hosts),
        "ports": list(container.ports),
        "mounts": list(container.mounts),
        "labels": {key: value for key, value in container.labels.items() if value != SECRET_LABEL_VALUE},
    }


def sample_facts(ref: str, sample: Sample) -> JsonObject:
    """Return a sample with units in its field names."""
    return {
        "container": ref,
        "at": sample.at.isoformat(),
        "cpu_pct": round(sample.cpu_pct, 1),
        "throttled_pct": round(sample.throttled_pct, 1),
        "memory_mb": to_mb(sample.memory_bytes),
        "memory_limit_mb": to_mb(sample.memory_limit_bytes),
        "memory_pct": round(sample.memory_pct, 1),
        "network_rx_mb": to_mb(sample.network_rx_bytes),
        "network_tx_mb": to_mb(sample.network_tx_bytes),
        "disk_read_mb": to_mb(sample.disk_read_bytes),
        "disk_write_mb": to_mb(sample.disk_write_bytes),
        "pids": sample.pids,
    }


def log_line_facts(lines: Sequence[LogLine]) -> list[JsonValue]:
    """Return log lines, oldest first."""
    return [
        {"at": _iso(line.at), "stream": line.stream, "text": line.text, **({"was_cut": True} if line.was_cut else {})}
        for line in lines
    ]


def disk_facts(usage: DiskUsage) -> JsonObject:
    """Return a disk's usage in MB, with the largest volumes and log files; `logs_mb` None: they cannot be read."""
    logs = usage.logs
    return {
        "images_mb": to_mb(usage.images_bytes),
        "images_reclaimable_mb": to_mb(usage.images_reclaimable_bytes),
        "build_cache_mb": to_mb(usage.build_cache_bytes),
        "build_cache_reclaimable_mb": to_mb(usage.build_cache_reclaimable_bytes),
        "containers_mb": to_mb(usage.containers_bytes),
        "volumes_mb": to_mb(usage.volumes_bytes),
        "largest_volumes": [{"name": name, "mb": to_mb(size)} for name, size in usage.volumes[:VOLUMES_SHOWN]],
        "logs_mb": to_mb(sum(size for _, size in logs)) if logs is not None else None,
        "largest_logs": [{"container": name, "mb": to_mb(size)} for name, size in (logs or ())[:LOGS_SHOWN]],
    }


def state_text(container: Container) -> Text:
    """Return state and health in words for people."""
    if container.state is ContainerState.RUNNING and container.health is not Health.NONE:
        return text(f"docker.now.running_{container.health}")
    return text(f"docker.now.{container.state}", code=container.exit_code)


def to_mb(size: int) -> float:
    """Return bytes as MB (1024²), one decimal."""
    return round(size / MB, 1)


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None
