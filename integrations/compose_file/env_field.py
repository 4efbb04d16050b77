"""Reads and edits the environment field of a Compose stack in Dokploy: one `KEY=value` per line, as in a .env file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from core.text import text as said
from integrations.compose_file.file_errors import ComposeFileError
from integrations.compose_file.interpolation import missing_variables
from integrations.compose_file.yaml_tree import YamlNode, parse_compose_file

SIZE_LIMIT_BYTES = 1024 * 1024
SET_BY_DOKPLOY = frozenset({"APP_NAME", "COMPOSE_PROJECT_NAME", "PATH", "HOME", "PWD"})
"""Variables a deploy overrides: Dokploy writes the first two into the .env file, its shell has the others."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_SETTING = re.compile(r"(?P<head>[ \t]*(?:export[ \t]+)?)(?P<key>[A-Za-z_][A-Za-z0-9_.-]*)(?P<sign>[ \t]*[=:][ \t]*)")
_BARE = re.compile(r"[ \t]*(?:export[ \t]+)?(?P<key>[A-Za-z_][A-Za-z0-9_.-]*)[ \t]*(?=\r|\n|$)")
_LINE_END = re.compile(r"[^\r\n]*")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_BREAK = re.compile(r"\r\n|\r|\n")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=?&~*^-]+(?: [A-Za-z0-9_./:@%+,=?&~*^-]+)*")


@dataclass(frozen=True, kw_only=True)
class ChangedKeys:
    """Names of the variables that differ, never values; each group in the order of the file."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """True when nothing differs."""
        return not (self.added or self.removed or self.changed)


@dataclass(frozen=True, kw_only=True)
class _Setting:
    key: str
    raw: str
    """The value as written, with its quotes, without a trailing comment."""
    start: int
    end: int


def env_variable_names(env: str) -> list[str]:
    """Return the names that are set, in order, each once."""
    return list(dict.fromkeys(setting.key for setting in _settings(env)))


def changed_keys(before: str, after: str) -> ChangedKeys:
    """Return the names that were added, removed or changed; of a name that is set twice the last one counts."""
    old, new = _values(before), _values(after)
    return ChangedKeys(
        added=tuple(key for key in new if key not in old),
        removed=tuple(key for key in old if key not in new),
        changed=tuple(key for key in new if key in old and old[key] != new[key]),
    )


def set_env_value(env: str, key: str, value: str) -> str:
    """Return the environment with one value set, in its line or in a new one at the end; the rest stays.

    The value is taken literally: what a .env file would read otherwise is quoted.
    """
    if not _NAME.fullmatch(key):
        raise ComposeFileError(
            "that is no name of a variable; use letters, digits and underscores",
            message=said("compose_error.bad_variable"),
        )
    if "\0" in value:
        raise ComposeFileError(
            f"the value for {key!r} holds a null character, which no environment takes",
            message=said("compose_error.null_character", key=key),
        )
    written = quote_env_value(value)
    found = [setting for setting in _settings(env) if setting.key == key]
    if found:
        last = found[-1]
        sign = "" if "=" in env[last.start - 1 : last.start] or last.raw or _has_sign(env, last) else "="
        return f"{env[: last.start]}{sign}{written}{env[last.end :]}"
    line_break = _BREAK.search(env)
    ending = line_break.group() if line_break else "\n"
    gap = "" if not env or env.endswith(("\n", "\r")) else ending
    tail = ending if env.endswith(("\n", "\r")) else ""
    return f"{env}{gap}{key}={written}{tail}"


def quote_env_value(value: str) -> str:
    """Quote a value so that a .env file reads it back literally."""
    if value == "" or _PLAIN.fullmatch(value):
        return value
    if "'" not in value and "\\" not in value and "\n" not in value and "\r" not in value:
        return f"'{value}'"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r") + '"'


def unset_variables(compose_text: str, env: str) -> list[str]:
    """Return the variables that the file needs and the environment does not set, in order.

    One with a default (`${X:-y}`) is not needed; `${X:?…}` also needs a value that is not empty; `$$X` is no variable.
    ComposeFileError when the file cannot be read.
    """
    is_set = {key: bool(_unquoted(value)) for key, value in _values(env).items()}
    is_set |= {name: True for name in SET_BY_DOKPLOY if name not in is_set}
    missing: dict[str, None] = {}
    for value in _scalars(parse_compose_file(compose_text).root):
        if "$" in value:
            missing.update(dict.fromkeys(missing_variables(value, is_set)))
    return list(missing)


def _scalars(node: YamlNode) -> Iterator[str]:
    """Yield every value of a file; keys are left out, since Compose substitutes no variables there."""
    stack = [node]
    while stack:
        one = stack.pop()
        if one.kind == "scalar":
            yield one.value
        stack += [*reversed(one.items), *(value for _, value in reversed(one.entries))]


def _settings(env: str) -> Iterator[_Setting]:
    if len(env) > SIZE_LIMIT_BYTES:
        raise ComposeFileError(
            "the environment is larger than 1 MB, which Dokploy does not take; make it smaller",
            message=said("compose_error.environment_too_large"),
        )
    position = 0
    while position < len(env):
        found = _SETTING.match(env, position)
        bare = None if found else _BARE.match(env, position)
        end = position
        if found is not None:
            raw, end = _value_at(env, found.end())
            yield _Setting(key=found["key"], raw=raw, start=found.end(), end=found.end() + len(raw))
        elif bare is not None and bare["key"]:
            yield _Setting(key=bare["key"], raw="", start=bare.end(), end=bare.end())
        position = _next_line(env, end)


def _value_at(env: str, start: int) -> tuple[str, int]:
    """Return the value as written, and the position from which to look for the end of its line."""
    quoted_value = _QUOTED.match(env, start)
    if quoted_value is not None:
        return quoted_value.group(), quoted_value.end()
    line = _LINE_END.match(env, start)
    whole = line.group() if line else ""
    if whole.startswith("#"):
        return "", start
    bare = re.split(r"[ \t]#", whole, maxsplit=1)[0].rstrip()
    return bare, start + len(whole)


def _next_line(env: str, position: int) -> int:
    found = _BREAK.search(env, position)
    return found.end() if found else len(env)


def _has_sign(env: str, setting: _Setting) -> bool:
    return env[: setting.start].rstrip(" \t").endswith(("=", ":"))


def _values(env: str) -> dict[str, str]:
    return {setting.key: setting.raw for setting in _settings(env)}


def _unquoted(raw: str) -> str:
    return raw[1:-1] if len(raw) >= 2 and raw[0] == raw[-1] and raw[0] in "'\"" else raw
