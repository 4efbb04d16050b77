"""Condition language of runbooks: a few operators over facts, compiled once, never `eval`.

    evidence.oom_killed and not evidence.stopped_by_person
    evidence.memory_shape == 'peak' and host.memory_free_mb > 2 * evidence.memory_limit_mb
    'name_resolution' in evidence.log_errors
    matches(evidence.health_output, 'port \\d+')

A fact that is missing is None: a comparison with it is false, arithmetic with it is None, `not` of it is true.
Strings are raw: a backslash stands for itself.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from pydantic import JsonValue

from core.errors import RunbookError, closest

FactPath = tuple[str, ...]
"""A name in its parts: `evidence.exit_code` is `("evidence", "exit_code")`."""
FactLookup = Callable[[FactPath], JsonValue]
"""Returns the fact of a name, or None."""
Evaluation = Callable[[FactLookup], JsonValue]

SOURCE_LIMIT = 500
NODE_LIMIT = 100
DEPTH_LIMIT = 20
PATH_LIMIT = 4
TEXT_LIMIT = 4_000
"""Maximum number of characters that `in` and `lower` read of a text."""
MATCH_LIMIT = 2_000
"""Maximum number of characters that `matches` reads of a text or list, with LINE_LIMIT of each line."""
LINE_LIMIT = 300
REPEAT_LIMIT = 2
"""Maximum number of open-ended repeats (`*`, `+`, `{2,}`) in a pattern: keeps matching fast on hostile text."""
PART_LIMIT = 8
"""Maximum number of repeats of any kind, including `?`."""

_CONSTANTS: dict[str, JsonValue] = {"true": True, "false": False}
_ORDER: dict[type[ast.cmpop], Callable[[float | str, float | str], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_HINTS = (
    ("&&", "write 'and'"),
    ("||", "write 'or'"),
    ("!", "write 'not' or '!='"),
    ("=", "write '==' to compare"),
)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One compiled condition."""

    source: str
    names: frozenset[FactPath]
    compared: frozenset[tuple[FactPath, str]]
    """Facts and the words they are compared with: `evidence.a == 'kill'` gives (("evidence", "a"), "kill")."""
    evaluate: Evaluation

    def holds(self, lookup: FactLookup) -> bool:
        """Return whether it is true for these facts; never raises."""
        return bool(self.evaluate(lookup))

    def names_used(self) -> frozenset[str]:
        """Return every fact it uses, as written: `evidence.exit_code`."""
        return frozenset(".".join(path) for path in self.names)


def compile_condition(source: str, roots: Collection[str]) -> Condition:
    """Compile one condition whose names begin with one of `roots`; raises RunbookError with the correct spelling."""
    if len(source) > SOURCE_LIMIT:
        raise RunbookError(f"the condition is longer than {SOURCE_LIMIT} characters: split it into several clauses")
    if re.search(r"\b[rRbBfFuU]{1,2}['\"]", source):
        raise RunbookError("leave out the letter before the quotes: strings are raw already")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the parser's advice is for programs, not for conditions
            tree = ast.parse(source.strip().replace("\\", "\\\\"), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise RunbookError(f"the condition {source!r} cannot be read{_hint(source)}") from error
    if sum(1 for _ in ast.walk(tree)) > NODE_LIMIT * 2:
        raise RunbookError(f"the condition {source!r} has too many parts: split it into several clauses")
    compiler = _Compiler(source, roots)
    evaluate = compiler.compile(tree.body, 0)
    return Condition(
        source=source, evaluate=evaluate, names=frozenset(compiler.names), compared=frozenset(compiler.compared)
    )


def _hint(source: str) -> str:
    return next((f": {hint}" for sign, hint in _HINTS if sign in source), ": check quotes and brackets")


class _Compiler:
    def __init__(self, source: str, roots: Collection[str]) -> None:
        self._source = source
        self._roots = roots
        self.names: set[FactPath] = set()
        self.compared: set[tuple[FactPath, str]] = set()

    def compile(self, node: ast.expr, depth: int) -> Evaluation:
        if depth > DEPTH_LIMIT:
            raise RunbookError(f"the condition {self._source!r} is nested too deeply: split it into several clauses")
        evaluate = self._operation(node, depth) or self._value(node, depth)
        if evaluate is None:
            raise RunbookError(
                f"the condition {self._source!r} uses {type(node).__name__.lower()!r}, which conditions don't support; "
                "they support and, or, not, comparisons, in, + - * /, and the functions len, lower, matches"
            )
        return evaluate

    def _operation(self, node: ast.expr, depth: int) -> Evaluation | None:
        match node:
            case ast.BoolOp(op=op, values=values):
                parts = [self.compile(value, depth + 1) for value in values]
                return _all(parts) if isinstance(op, ast.And) else _any(parts)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.compile(operand, depth + 1)
                return lambda lookup: not inner(lookup)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _arithmetic(operator.sub, lambda _: 0, self.compile(operand, depth + 1))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                return _arithmetic(_ARITHMETIC[type(op)], self.compile(left, depth + 1), self.compile(right, depth + 1))
            case ast.Compare():
                return self._compare(node, depth)
        return None

    def _value(self, node: ast.expr, depth: int) -> Evaluation | None:
        match node:
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self._call(name, args, depth)
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return self._literals(elements)
            case ast.Constant(value=value) if isinstance(value, str | int | float):
                return _constant(value)
            case ast.Name(id=name) if name in _CONSTANTS:
                return _constant(_CONSTANTS[name])
            case ast.Attribute() | ast.Name():
                return self._name(node)
        return None

    def _name(self, node: ast.Attribute | ast.Name) -> Evaluation:
        full = (node.id,) if isinstance(node, ast.Name) else next(iter(_path(node)), None)
        if full is None:
            raise RunbookError(f"the condition {self._source!r} reads an attribute of something that isn't a name")
        if full[0] not in self._roots:
            raise RunbookError(f"there is no {full[0]!r} here{_did_you_mean(full[0], self._roots)}")
        if not 2 <= len(full) <= PATH_LIMIT:
            raise RunbookError(f"{'.'.join(full)!r} isn't a name: write {full[0]}.<name>")
        self.names.add(full)
        return lambda lookup: lookup(full)

    def _compare(self, node: ast.Compare, depth: int) -> Evaluation:
        sides = [node.left, *node.comparators]
        links = [
            self._link(left, op, right, depth) for left, op, right in zip(sides, node.ops, sides[1:], strict=False)
        ]
        return links[0] if len(links) == 1 else _all(links)

    def _link(self, left: ast.expr, op: ast.cmpop, right: ast.expr, depth: int) -> Evaluation:
        is_none = isinstance(right, ast.Constant) and right.value is None
        first = self.compile(left, depth + 1)
        if is_none and isinstance(op, ast.Is | ast.IsNot):
            wanted = isinstance(op, ast.Is)
            return lambda lookup: (first(lookup) is None) is wanted
        if is_none or isinstance(op, ast.Is | ast.IsNot):
            raise RunbookError(f"in {self._source!r} write 'is None' or 'is not None' to ask whether a fact is missing")
        second = self.compile(right, depth + 1)
        if isinstance(op, ast.In | ast.NotIn | ast.Eq | ast.NotEq):
            self.compared.update((path, word) for path in _path(left) for word in _words(right))
            self.compared.update((path, word) for path in _path(right) for word in _words(left))
        if isinstance(op, ast.In | ast.NotIn):
            return _membership(first, second, wanted=isinstance(op, ast.In))
        if isinstance(op, ast.Eq | ast.NotEq):
            return _equality(first, second, wanted=isinstance(op, ast.Eq))
        return _ordering(_ORDER[type(op)], first, second)

    def _call(self, name: str, args: list[ast.expr], depth: int) -> Evaluation:
        if name == "matches" and len(args) == 2:
            pattern = args[1]
            if not (isinstance(pattern, ast.Constant) and isinstance(pattern.value, str)):
                raise RunbookError(f"in {self._source!r} the pattern of 'matches' must be written out in quotes")
            return _matches(self.compile(args[0], depth + 1), compile_safe_pattern(pattern.value))
        if name in ("len", "lower") and len(args) == 1:
            return _FUNCTIONS[name](self.compile(args[0], depth + 1))
        known = ("len", "lower", "matches")
        if name in known:
            takes = "two arguments: a fact and a pattern" if name == "matches" else "one argument"
            raise RunbookError(f"in {self._source!r} {name!r} takes {takes}")
        raise RunbookError(f"there is no function {name!r}{_did_you_mean(name, known)}")

    def _literals(self, elements: Iterable[ast.expr]) -> Evaluation:
        values: list[JsonValue] = []
        for element in elements:
            if not (isinstance(element, ast.Constant) and isinstance(element.value, str | int | float)):
                raise RunbookError(f"in {self._source!r} a list may hold texts and numbers only")
            values.append(element.value)
        return _constant(values)


def compile_safe_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a pattern that no text can make slow; raises RunbookError for one that could be."""
    bare = re.sub(r"\\.|\[[^\]]*\]", "x", pattern)
    if re.search(r"\)\s*[*+?{]", bare) or re.search(r"\\[1-9]|\(\?[P<=!]", pattern):
        raise RunbookError(f"the pattern {pattern!r} repeats a group or looks back; write it without")
    if len(re.findall(r"[*+]|\{\d*,(?:\d{3,})?\}|\{\d{3,}\}", bare)) > REPEAT_LIMIT:
        raise RunbookError(f"the pattern {pattern!r} has more than {REPEAT_LIMIT} open repeats; match a shorter part")
    if len(re.findall(r"[*+?{]", bare)) > PART_LIMIT:
        raise RunbookError(f"the pattern {pattern!r} has more than {PART_LIMIT} repeats; match a shorter part")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.compile(pattern, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        raise RunbookError(f"the pattern {pattern!r} cannot be read: {error}") from error


def _path(node: ast.expr) -> list[FactPath]:
    """Return the name that the node is, as a list of one, or an empty list."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    return [(node.id, *parts)] if isinstance(node, ast.Name) and parts else []


def _words(node: ast.expr) -> list[str]:
    """Return the literal words in the node."""
    members = node.elts if isinstance(node, ast.List | ast.Tuple) else [node]
    return [one.value for one in members if isinstance(one, ast.Constant) and isinstance(one.value, str)]


def _did_you_mean(name: str, known: Collection[str]) -> str:
    nearest = closest(name, known)
    return f"; did you mean {nearest!r}?" if nearest else f"; known are {', '.join(sorted(known))}"


def _constant(value: JsonValue) -> Evaluation:
    return lambda _: value


def _all(parts: list[Evaluation]) -> Evaluation:
    return lambda lookup: all(part(lookup) for part in parts)


def _any(parts: list[Evaluation]) -> Evaluation:
    return lambda lookup: any(part(lookup) for part in parts)


def _number(value: JsonValue) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _arithmetic(compute: Callable[[float, float], float], left: Evaluation, right: Evaluation) -> Evaluation:
    def run(lookup: FactLookup) -> JsonValue:
        first, second = _number(left(lookup)), _number(right(lookup))
        if first is None or second is None:
            return None
        try:
            return compute(first, second)
        except (ZeroDivisionError, OverflowError):
            return None

    return run


def _equality(left: Evaluation, right: Evaluation, *, wanted: bool) -> Evaluation:
    def run(lookup: FactLookup) -> JsonValue:
        first, second = left(lookup), right(lookup)
        return first is not None and second is not None and (first == second) is wanted

    return run


def _ordering(compare: Callable[[float | str, float | str], bool], left: Evaluation, right: Evaluation) -> Evaluation:
    def run(lookup: FactLookup) -> JsonValue:
        first, second = left(lookup), right(lookup)
        if isinstance(first, str) and isinstance(second, str):
            return compare(first, second)
        one, other = _number(first), _number(second)
        return one is not None and other is not None and compare(one, other)

    return run


def _membership(left: Evaluation, right: Evaluation, *, wanted: bool) -> Evaluation:
    def run(lookup: FactLookup) -> JsonValue:
        first, second = left(lookup), right(lookup)
        if isinstance(second, str):
            return isinstance(first, str) and (first in second[:TEXT_LIMIT]) is wanted
        if first is None or not isinstance(second, list | dict):
            return False
        return (first in list(second)) is wanted

    return run


def _matches(inner: Evaluation, pattern: re.Pattern[str]) -> Evaluation:
    def run(lookup: FactLookup) -> JsonValue:
        value = inner(lookup)
        texts = [one for one in (value if isinstance(value, list) else [value])[:100] if isinstance(one, str)]
        looked_at = "\n".join(one[:MATCH_LIMIT] for one in texts)[:MATCH_LIMIT]
        return any(pattern.search(line[:LINE_LIMIT]) for line in looked_at.splitlines())

    return run


def _len(inner: Evaluation) -> Evaluation:
    def run(lookup: FactLookup) -> JsonValue:
        value = inner(lookup)
        return len(value) if isinstance(value, str | list | dict) else None

    return run


def _lower(inner: Evaluation) -> Evaluation:
    def run(lookup: FactLookup) -> JsonValue:
        value = inner(lookup)
        return value[:TEXT_LIMIT].lower() if isinstance(value, str) else None

    return run


_FUNCTIONS = {"len": _len, "lower": _lower}
