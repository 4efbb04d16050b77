"""Edits of files as people write them: the lines that change are known, and `docker compose` sees that change alone."""

import difflib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from integrations.compose_file import edits
from tests.integrations.compose_file.conftest import Config, file

GOLDEN = yaml.safe_load((Path(__file__).parent / "golden.yml").read_text())
ALLOWED = {
    "set_memory_limit": ("mem_limit", "memswap_limit", "deploy.resources.limits.memory"),
    "set_cpu_limit": ("cpus", "deploy.resources.limits.cpus"),
    "set_image_tag": ("image",),
    "pin_digest": ("image",),
    "set_environment": ("environment.",),
    "remove_environment": ("environment.",),
    "set_healthcheck": ("healthcheck.",),
    "set_restart": ("restart", "deploy.restart_policy."),
    "set_volume": ("volumes",),
}
_before: dict[str, Any] = {}


@cache
def _edited(number: int) -> str:
    case = GOLDEN[number]
    result: str = getattr(edits, case["edit"])(file(case["file"]), *case["args"], **case.get("named", {}))
    return result


def _name(number: int) -> str:
    case = GOLDEN[number]
    return f"{number}-{case['file']}-{case['edit']}-{case['args'][0]}"


each_case = pytest.mark.parametrize("number", range(len(GOLDEN)), ids=_name)


@each_case
def test_an_edit_changes_only_its_own_lines(number: int) -> None:
    before, after = file(GOLDEN[number]["file"]), _edited(number)
    compared = difflib.unified_diff(before.splitlines(True), after.splitlines(True), n=0)
    lines = [line.removesuffix("\n") for line in compared if not line.startswith(("---", "+++", "@@"))]
    assert lines == GOLDEN[number]["lines"]


@each_case
def test_docker_compose_sees_only_that_change(number: int, config: Config) -> None:
    case = GOLDEN[number]
    if case["file"] not in _before:
        _before[case["file"]] = config(file(case["file"]))
    service = case["args"][0]
    changed = set(_differences(_before[case["file"]], config(_edited(number))))
    own = {path.removeprefix(f"services.{service}.") for path in changed if path.startswith(f"services.{service}.")}
    others = {path for path in changed if not path.startswith(f"services.{service}.")}
    assert own and all(path.startswith(ALLOWED[case["edit"]]) for path in own), own
    assert all(case["edit"] == "set_volume" and path.startswith("volumes") for path in others), others


def _differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """The paths of what is not the same; an empty section is the same as none."""
    if isinstance(before, dict | None) and isinstance(after, dict | None):
        old, new = before or {}, after or {}
        for name in [*old, *(name for name in new if name not in old)]:
            yield from _differences(old.get(name), new.get(name), f"{path}.{name}" if path else name)
    elif isinstance(before, list) and isinstance(after, list) and path.endswith("volumes"):
        for number in range(max(len(before), len(after))):
            old_item, new_item = (part[number] if number < len(part) else None for part in (before, after))
            yield from _differences(old_item, new_item, f"{path}.{number}")
    elif before != after:
        yield path


def test_the_golden_files_are_complete() -> None:
    assert len({case["file"] for case in GOLDEN}) >= 12
