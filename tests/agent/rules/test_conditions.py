"""The language of conditions: what it can say, what it refuses, and that missing facts never raise."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from agent.runbooks.conditions import FactLookup, compile_condition
from core.errors import RunbookError

FACTS: dict[str, JsonValue] = {
    "exit_code": 137,
    "oom_killed": True,
    "shape": "peak",
    "errors": ["name_resolution", "deadlock"],
    "output": "curl: (7) Failed to connect to 127.0.0.1 port 9999",
    "share": 0.5,
    "zero": 0,
}
ROOTS = ("evidence", "host")


def lookup(path: tuple[str, ...]) -> JsonValue:
    return FACTS.get(path[1]) if path[0] == "evidence" and len(path) == 2 else None


def holds(source: str, facts: FactLookup = lookup) -> bool:
    return compile_condition(source, ROOTS).holds(facts)


@pytest.mark.parametrize(
    "source",
    [
        "evidence.oom_killed",
        "not evidence.nothing",
        "evidence.exit_code == 137 and evidence.shape == 'peak'",
        "evidence.exit_code in [126, 137]",
        "1 < evidence.exit_code < 200",
        "'deadlock' in evidence.errors",
        "'oom' not in evidence.errors",
        "'port 9999' in evidence.output",
        r"matches(evidence.output, 'port \d+$')",
        "matches(evidence.errors, '^name_')",
        "len(evidence.errors) == 2",
        "lower(evidence.output) != evidence.output",
        "evidence.exit_code * 2 - 4 == 270",
        "evidence.exit_code / 2 > 68",
        "-evidence.exit_code < 0",
        "evidence.oom_killed == true",
        "evidence.zero is not None",
        "evidence.nothing is None",
        "host.memory_free_mb is None",
    ],
)
def test_a_true_condition_holds(source: str) -> None:
    assert holds(source)


@pytest.mark.parametrize(
    "source",
    [
        "evidence.nothing",
        "evidence.nothing == 1",
        "evidence.nothing != 1",
        "evidence.nothing > 1",
        "evidence.nothing in [1]",
        "1 not in evidence.nothing",
        "evidence.nothing + 1 > 0",
        "len(evidence.nothing) == 0",
        "matches(evidence.nothing, 'x')",
        "evidence.shape > 1",
        "evidence.shape + 1 == 2",
        "evidence.exit_code / evidence.zero > 0",
        "evidence.oom_killed + 1 == 2",
        "evidence.exit_code in evidence.output",
    ],
)
def test_a_missing_or_unfit_fact_makes_a_condition_false(source: str) -> None:
    assert not holds(source)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("__import__('os')", "no function"),
        ("evidence.__class__", None),
        ("evidence.exit_code.__class__.__mro__.x", "isn't a name"),
        ("evidence", "write evidence.<name>"),
        ("evidnce.x", "did you mean 'evidence'"),
        ("(lambda: 1)()", "which conditions don't support"),
        ("[x for x in evidence.errors]", "which conditions don't support"),
        ("evidence.errors[0]", "which conditions don't support"),
        ("f'{evidence.x}'", "leave out the letter"),
        ("evidence.x ** 9 ** 9", "which conditions don't support"),
        ("evidence.x == None", "is None"),
        ("evidence.x is 1", "is None"),
        ("evidence.x = 1", "write '=='"),
        ("evidence.x && evidence.y", "write 'and'"),
        ("lenn(evidence.x)", "did you mean 'len'"),
        ("len(evidence.x, 1)", "one argument"),
        ("matches(evidence.x, evidence.y)", "written out in quotes"),
        ("matches(evidence.x, '(a+)+')", "repeats a group"),
        ("matches(evidence.x, 'a*b*c*')", "open repeats"),
        ("matches(evidence.x, 'a?a?a?a?a?a?a?a?a?')", "more than 8 repeats"),
        ("matches(evidence.x, '(')", "cannot be read"),
        ("evidence.x == 1 and " * 30 + "true", "longer than"),
        ("not " * 60 + "true", "nested too deeply"),
        ("(" * 240 + "1" + ")" * 240, "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_an_unsupported_condition_is_refused_with_words(source: str, message: str | None) -> None:
    if message is None:
        assert compile_condition(source, ROOTS).names_used() == {"evidence.__class__"}  # a name that is in no list
        return
    with pytest.raises(RunbookError, match=message.replace("(", r"\(")):
        compile_condition(source, ROOTS)


def test_the_names_it_uses_are_known() -> None:
    condition = compile_condition("evidence.a > 1 or (host.b == 'x' and len(evidence.c) > 0)", ROOTS)
    assert condition.names_used() == {"evidence.a", "host.b", "evidence.c"}


@given(st.text(max_size=80))
def test_any_text_is_compiled_or_refused_with_words(source: str) -> None:
    try:
        compile_condition(source, ROOTS).holds(lookup)
    except RunbookError as error:
        assert str(error)


@pytest.mark.parametrize("text", ["a" * 1_000_000, ("a" * 299 + "\n") * 3_000, ["ab" * 500_000] * 50])
def test_hostile_text_does_not_slow_a_pattern(text: JsonValue) -> None:
    condition = compile_condition("matches(evidence.x, 'a+.*[0-9]')", ROOTS)
    started = time.perf_counter()
    assert not condition.holds(lambda _: text)
    assert time.perf_counter() - started < 2
