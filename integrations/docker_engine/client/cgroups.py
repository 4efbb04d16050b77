"""Reads a local container's counters from the kernel's files: cgroup versions 1 and 2, and /proc for the network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from integrations.docker_engine.client.stats_counters import CounterReading, working_set_bytes

READ_LIMIT = 64 * 1024
CONTROLLERS = ("cpu", "cpuacct", "memory", "pids", "blkio")


@dataclass(frozen=True, kw_only=True)
class Cgroup:
    """Directories of one container's counters. On version 2 all controllers share one."""

    pid: int
    is_v2: bool
    directories: dict[str, str]
    has_own_network: bool

    def read(self, memory_total: int) -> CounterReading:
        """Read the counters now; raises OSError or ValueError when the container is gone."""
        return self._read_v2(memory_total) if self.is_v2 else self._read_v1(memory_total)

    def oom_kills(self) -> int:
        """Return the number of its processes that the kernel has killed for memory."""
        name = "memory.events" if self.is_v2 else "memory.oom_control"
        return _number_after(_read(self.directories["memory"], name), b"oom_kill")

    def _read_v1(self, memory_total: int) -> CounterReading:
        at = self.directories
        throttling, memory = _read(at["cpu"], "cpu.stat"), _read(at["memory"], "memory.stat")
        read, written = _v1_disk(at.get("blkio"))
        received, sent = self._network()
        return CounterReading(
            at=datetime.now(UTC),
            cpu_ns=int(_read(at["cpuacct"], "cpuacct.usage")),
            periods=_number_after(throttling, b"nr_periods"),
            throttled_periods=_number_after(throttling, b"nr_throttled"),
            memory_bytes=working_set_bytes(
                int(_read(at["memory"], "memory.usage_in_bytes")), _number_after(memory, b"total_inactive_file")
            ),
            limit_bytes=min(_number_after(memory, b"hierarchical_memory_limit") or memory_total, memory_total),
            network_rx_bytes=received,
            network_tx_bytes=sent,
            disk_read_bytes=read,
            disk_write_bytes=written,
            pids=int(_read(at["pids"], "pids.current")) if "pids" in at else 0,
        )

    def _read_v2(self, memory_total: int) -> CounterReading:
        at = self.directories["memory"]
        cpu, memory = _read(at, "cpu.stat"), _read(at, "memory.stat")
        limit = _read(at, "memory.max").strip()
        read, written = _v2_disk(at)
        received, sent = self._network()
        return CounterReading(
            at=datetime.now(UTC),
            cpu_ns=_number_after(cpu, b"usage_usec") * 1000,
            periods=_number_after(cpu, b"nr_periods"),
            throttled_periods=_number_after(cpu, b"nr_throttled"),
            memory_bytes=working_set_bytes(int(_read(at, "memory.current")), _number_after(memory, b"inactive_file")),
            limit_bytes=memory_total if limit == b"max" else min(int(limit), memory_total),
            network_rx_bytes=received,
            network_tx_bytes=sent,
            disk_read_bytes=read,
            disk_write_bytes=written,
            pids=int(_read(at, "pids.current")),
        )

    def _network(self) -> tuple[int, int]:
        """Return bytes received and sent in its network namespace, without loopback; zeros if it shares the host's."""
        if not self.has_own_network:
            return 0, 0
        received = sent = 0
        for line in _read(f"/proc/{self.pid}/net", "dev").splitlines()[2:]:
            name, _, numbers = line.partition(b":")
            if name.strip() != b"lo":
                fields = numbers.split()
                received += int(fields[0])
                sent += int(fields[8])
        return received, sent


def find_cgroup(root: Path, pid: int, container_id: str, *, has_own_network: bool) -> Cgroup | None:
    """Return the cgroup of the container whose first process is `pid`; None when it cannot be read from here."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return None
    is_v2 = (root / "cgroup.controllers").exists()
    paths = {name: path for names, path in _paths(lines) for name in names if container_id in path}
    directories = dict(_directories(root, paths, is_v2))
    needed = {"memory"} if is_v2 else {"cpu", "cpuacct", "memory"}
    if not needed <= directories.keys():
        return None
    return Cgroup(pid=pid, is_v2=is_v2, directories=directories, has_own_network=has_own_network)


def _paths(lines: list[str]) -> Iterator[tuple[list[str], str]]:
    """Read `4:cpu,cpuacct:/docker/…` and `0::/docker/…`; leading `..`, as seen from a cgroup namespace, are dropped."""
    for line in lines:
        _, names, path = line.split(":", 2)
        yield names.split(","), "/".join(part for part in path.split("/") if part != "..")


def _directories(root: Path, paths: dict[str, str], is_v2: bool) -> Iterator[tuple[str, str]]:
    if is_v2:
        unified = f"{root}{paths.get('', '')}"
        if "" in paths and os.access(f"{unified}/memory.current", os.R_OK):
            yield "memory", unified
        return
    for name in CONTROLLERS:
        directory = f"{root}/{name}{paths.get(name, '')}"
        if name in paths and os.access(directory, os.R_OK):
            yield name, directory


def _read(directory: str, name: str) -> bytes:
    handle = os.open(f"{directory}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(handle, READ_LIMIT)
    finally:
        os.close(handle)


def _number_after(text: bytes, name: bytes) -> int:
    """Return the number after a name at the start of a line; 0 when there is none."""
    at = 0 if text.startswith(name + b" ") else text.find(b"\n" + name + b" ") + 1
    if at == 0 and not text.startswith(name + b" "):
        return 0
    end = text.find(b"\n", at)
    return int(text[at + len(name) : end if end >= 0 else len(text)])


def _v1_disk(directory: str | None) -> tuple[int, int]:
    if directory is None:
        return 0, 0
    read = written = 0
    for line in _read(directory, "blkio.throttle.io_service_bytes_recursive").splitlines():
        words = line.split()
        if len(words) == 3 and words[1] == b"Read":
            read += int(words[2])
        elif len(words) == 3 and words[1] == b"Write":
            written += int(words[2])
    return read, written


def _v2_disk(directory: str) -> tuple[int, int]:
    """Read io.stat, `8:0 rbytes=1 wbytes=2 …`; the file is missing when the controller is off."""
    read = written = 0
    try:
        text = _read(directory, "io.stat")
    except FileNotFoundError:
        return 0, 0
    for word in text.split():
        key, _, value = word.partition(b"=")
        if key == b"rbytes":
            read += int(value)
        elif key == b"wbytes":
            written += int(value)
    return read, written


def machine_memory() -> tuple[int, int]:
    """Return total and available memory of this machine in bytes; zeros when unknown."""
    try:
        text = _read("/proc", "meminfo").replace(b":", b" ").replace(b" kB", b"")
    except OSError:
        return 0, 0
    return _number_after(text, b"MemTotal") * 1024, _number_after(text, b"MemAvailable") * 1024
