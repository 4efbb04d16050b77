"""A reading of a container's counters, and the sample calculated from two of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from core.monitoring.snapshot import Sample
from integrations.docker_engine.client.json_fields import (
    JsonAnswer,
    json_int,
    json_list,
    json_object,
    json_string,
    json_time,
)

MIN_SAMPLE_SPAN_S = 0.5
"""Shortest time for a CPU share: start-up cost over the first milliseconds alone would show as 300 %."""


@dataclass(frozen=True, kw_only=True)
class CounterReading:
    """Counters since the container's start, and present levels, at one moment."""

    at: datetime
    cpu_ns: int
    periods: int = 0
    throttled_periods: int = 0
    memory_bytes: int
    limit_bytes: int
    network_rx_bytes: int = 0
    network_tx_bytes: int = 0
    disk_read_bytes: int = 0
    disk_write_bytes: int = 0
    pids: int = 0


def sample_between(now: CounterReading, before: CounterReading | None, started_at: datetime | None) -> Sample:
    """Return the resource use between two readings; without an earlier one, over the container's life so far."""
    elapsed_ns = _elapsed_s(now, before, started_at) * 1e9
    cpu_ns = now.cpu_ns - (before.cpu_ns if before else 0)
    periods = now.periods - (before.periods if before else 0)
    throttled = now.throttled_periods - (before.throttled_periods if before else 0)
    return Sample(
        at=now.at,
        cpu_pct=100.0 * cpu_ns / elapsed_ns if elapsed_ns > 0 else 0.0,
        throttled_pct=100.0 * throttled / periods if periods > 0 else 0.0,
        memory_bytes=now.memory_bytes,
        memory_limit_bytes=now.limit_bytes,
        network_rx_bytes=now.network_rx_bytes,
        network_tx_bytes=now.network_tx_bytes,
        disk_read_bytes=now.disk_read_bytes,
        disk_write_bytes=now.disk_write_bytes,
        pids=now.pids,
    )


def _elapsed_s(now: CounterReading, before: CounterReading | None, started_at: datetime | None) -> float:
    if before is not None:
        return (now.at - before.at).total_seconds()
    return max(MIN_SAMPLE_SPAN_S, (now.at - started_at).total_seconds()) if started_at is not None else 0.0


def working_set_bytes(usage: int, inactive_file: int) -> int:
    """Return memory without the page cache that the kernel would free first, as `docker stats` counts it."""
    return usage - inactive_file if inactive_file < usage else usage


def parse_stats(raw: JsonAnswer, memory_total: int) -> CounterReading | None:
    """Read an answer of the engine's `stats`; None: the container is not running."""
    cpu, memory = json_object(raw.get("cpu_stats")), json_object(raw.get("memory_stats"))
    throttling, details = json_object(cpu.get("throttling_data")), json_object(memory.get("stats"))
    if "usage" not in memory:
        return None
    inactive = details.get("total_inactive_file", details.get("inactive_file"))
    networks = [json_object(one) for one in json_object(raw.get("networks")).values()]
    disk = dict.fromkeys(("read", "write"), 0)
    for operation, size in _disk(raw):
        disk[operation] = disk.get(operation, 0) + size
    return CounterReading(
        at=json_time(raw.get("read")) or datetime.now(UTC),
        cpu_ns=json_int(json_object(cpu.get("cpu_usage")).get("total_usage")),
        periods=json_int(throttling.get("periods")),
        throttled_periods=json_int(throttling.get("throttled_periods")),
        memory_bytes=working_set_bytes(json_int(memory.get("usage")), json_int(inactive)),
        limit_bytes=min(json_int(memory.get("limit")) or memory_total, memory_total),
        network_rx_bytes=sum(json_int(one.get("rx_bytes")) for one in networks),
        network_tx_bytes=sum(json_int(one.get("tx_bytes")) for one in networks),
        disk_read_bytes=disk["read"],
        disk_write_bytes=disk["write"],
        pids=json_int(json_object(raw.get("pids_stats")).get("current")),
    )


def _disk(raw: JsonAnswer) -> Iterator[tuple[str, int]]:
    for one in json_list(json_object(raw.get("blkio_stats")).get("io_service_bytes_recursive")):
        entry = json_object(one)
        yield json_string(entry.get("op")).lower(), json_int(entry.get("value"))
