"""Finds the variables that Compose substitutes: $NAME, ${NAME}, ${NAME:-default}; `$$` is a dollar sign."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_BEGIN = re.compile(r"\$(?:(?P<escape>\$)|(?P<bare>[A-Za-z_][A-Za-z0-9_]*)|\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*))")
_SIGN = re.compile(r":?[-?+]")
INTERPOLATION_DEPTH_LIMIT = 10


@dataclass(frozen=True, kw_only=True)
class Variable:
    """One use of a variable."""

    name: str
    start: int
    end: int
    sign: str = ""
    """Operator after the name: `:-` and `-` a default, `:?` and `?` an error, `:+` and `+` a replacement."""
    rest: str = ""
    """Text after the operator."""

    @property
    def has_default(self) -> bool:
        """True when the value works without the variable."""
        return self.sign.endswith(("-", "+"))


def find_variables(value: str) -> list[Variable]:
    """Return the outermost variables of a value; those inside their defaults are in `rest`."""
    return list(_variables(value))


def _variables(value: str) -> Iterator[Variable]:
    position = 0
    while (found := _BEGIN.search(value, position)) is not None:
        position = found.end()
        if found.group("bare"):
            yield Variable(name=found.group("bare"), start=found.start(), end=position)
        elif found.group("braced"):
            end = _closing(value, found.end())
            if end is None:
                return
            sign = _SIGN.match(value, found.end())
            rest = value[sign.end() : end] if sign else ""
            position = end + 1
            yield Variable(
                name=found.group("braced"),
                start=found.start(),
                end=position,
                sign=sign.group() if sign else "",
                rest=rest,
            )


def _closing(value: str, position: int) -> int | None:
    depth = 0
    while position < len(value):
        if value.startswith("${", position):
            depth += 1
        elif value[position] == "}":
            if depth == 0:
                return position
            depth -= 1
        position += 1
    return None


def missing_variables(value: str, is_set: dict[str, bool], depth: int = 0) -> Iterator[str]:
    """Yield the variables a value needs that have no value; `is_set`: known name → whether its value is not empty."""
    for variable in find_variables(value) if depth < INTERPOLATION_DEPTH_LIMIT else ():
        has_value = is_set.get(variable.name)
        if variable.has_default:
            is_used = has_value is None or (variable.sign.startswith(":") and not has_value)
            if variable.sign.endswith("+"):
                is_used = not is_used
            if is_used:
                yield from missing_variables(variable.rest, is_set, depth + 1)
        elif has_value is None or (variable.sign == ":?" and not has_value):
            yield variable.name
