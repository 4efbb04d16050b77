"""Programs that can run inside a simulated container, and the simulated disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from integrations.docker_engine.engine import DiskUsage, ExecResult
from integrations.docker_engine.simulated.container_spec import MIB, ContainerSpec

COMMAND_NOT_FOUND = 127
GIB = 1024 * MIB
Program = Callable[[Sequence[str], ContainerSpec], str]

_PROGRAMS: Mapping[str, Program] = {
    "echo": lambda words, recipe: " ".join(words),
    "true": lambda words, recipe: "",
    "hostname": lambda words, recipe: recipe.name,
    "pwd": lambda words, recipe: "/app",
    "ls": lambda words, recipe: "app\nbin\netc\ntmp\nvar",
    "pg_isready": lambda words, recipe: "/var/run/postgresql:5432 - accepting connections",
    "redis-cli": lambda words, recipe: "PONG" if words == ["ping"] else "OK",
}


@dataclass(frozen=True, kw_only=True)
class SimulatedDisk:
    """The simulated disk; `volumes`: those whose size matters, by name."""

    usage: DiskUsage
    volumes: Mapping[str, int]


DEMO_DISK = SimulatedDisk(
    usage=DiskUsage(
        images_bytes=0,
        images_reclaimable_bytes=0,
        build_cache_bytes=0,
        containers_bytes=180 * MIB,
        volumes_bytes=0,
    ),
    volumes={"granada_weaviate_data": 18 * GIB, "granada_postgres_data": 4 * GIB, "automation_n8n_data": 600 * MIB},
)


def run_program(argv: Sequence[str], recipe: ContainerSpec) -> ExecResult:
    """Return the program's output; exit code 127 for one that the image lacks."""
    if not argv or argv[0] not in {*_PROGRAMS, "false"}:
        problem = f'exec: "{argv[0] if argv else ""}": executable file not found in $PATH'
        return ExecResult(exit_code=COMMAND_NOT_FOUND, stdout="", stderr=problem)
    if argv[0] == "false":
        return ExecResult(exit_code=1, stdout="", stderr="")
    said = _PROGRAMS[argv[0]](list(argv[1:]), recipe)
    return ExecResult(exit_code=0, stdout=f"{said}\n" if said else "", stderr="")
