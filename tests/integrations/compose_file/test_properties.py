"""Whatever the layout of a file, an edit changes what was asked and not one character elsewhere.

A second YAML reader judges what the files mean.
"""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from integrations.compose_file.edits import (
    read_services,
    set_environment,
    set_image_tag,
    set_memory_limit,
    set_restart,
    set_volume,
)
from integrations.compose_file.env_field import changed_keys, env_variable_names, set_env_value
from tests.integrations.compose_file.generated import compose_files

files = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=20)


def _loaded(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def _only(before: str, after: str, *mentioned: str) -> None:
    """Every line that the edit has nothing to do with is there as it was; a line end may come behind the last one."""
    old, new = (
        [line.rstrip("\r\n") for line in text.splitlines(True) if not any(word in line for word in mentioned)]
        for text in (before, after)
    )
    assert old == new
    breaks = "\r\n" if "\r\n" in before else "\n"
    assert after.replace(breaks, "").count("\n") == 0, "line ends are mixed"


@files
@given(compose_files(), st.sampled_from([192, 1024, 1500, 4096]))
def test_a_memory_limit(text: str, limit_mb: int) -> None:
    edited = set_memory_limit(text, "api", limit_mb=limit_mb)
    assert {one.name: one.memory_limit_bytes for one in read_services(edited)} == {
        one.name: limit_mb * 2**20 if one.name == "api" else one.memory_limit_bytes for one in read_services(text)
    }
    before, after = _loaded(text), _loaded(edited)
    for loaded in (before, after):
        loaded["services"]["api"].pop("mem_limit", None)
        limits = loaded["services"]["api"].get("deploy", {}).get("resources", {}).get("limits", {})
        limits.pop("memory", None)
    assert before == after
    _only(text, edited, "mem", "limit")


@files
@given(compose_files(), st.sampled_from("ABCNXY"), TEXT)
def test_an_environment_value(text: str, key: str, value: str) -> None:
    edited = set_environment(text, "api", key, value)
    before, after = _loaded(text)["services"], _loaded(edited)["services"]
    assert _environment(after["api"]) == _environment(before["api"]) | {key: value}
    assert {**before["api"], "environment": 0} == {**after["api"], "environment": 0}
    assert {name: one for name, one in before.items() if name != "api"} == {
        name: one for name, one in after.items() if name != "api"
    }
    _only(text, edited, "environment", key, "BASE")


def _environment(service: dict[str, Any]) -> dict[str, str]:
    found = service.get("environment") or {}
    if isinstance(found, list):
        return dict(item.split("=", 1) for item in found)
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in found.items()}


@files
@given(compose_files())
def test_several_edits_after_one_another(text: str) -> None:
    edited = set_volume(set_restart(set_image_tag(text, "api", "9.9"), "api", "no"), "api", "data2", "/data")
    before, after = _loaded(text), _loaded(edited)
    api = before["services"]["api"]
    name = api["image"].split("@")[0].removesuffix(":1").removesuffix(":1.2")
    expected = {**api, "image": f"{name}:9.9", "restart": "no", "volumes": ["data2:/data"]}
    assert after["services"] == {**before["services"], "api": expected}
    assert after["volumes"] == {**before.get("volumes", {}), "data2": None}
    _only(text, edited, "image", "restart", "volumes", "data2")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["A", "B", "C_D", "E1"]), TEXT), max_size=4), TEXT, st.sampled_from(["A", "Z"])
)
def test_an_environment_keeps_its_other_lines(pairs: list[tuple[str, str]], value: str, key: str) -> None:
    env = "# mine\n\n"
    for name, old in pairs:
        env = set_env_value(env, name, old) + "# after\n"
    edited = set_env_value(env, key, value)
    names = dict.fromkeys([name for name, _ in pairs])
    assert env_variable_names(edited) == list(dict.fromkeys([*names, key]))
    changes = changed_keys(env, edited)
    assert set(changes.added) | set(changes.changed) <= {key} and not changes.removed
    gone = [line for line in env.splitlines() if line not in edited.splitlines()]
    assert all(line.startswith(f"{key}=") for line in gone)
