"""Shows a Compose file without its secrets: every line stays in place, values that may be secret are masked.

Fails closed: environment values are masked whatever they are called, and a file that is no YAML line by line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto

from core.redaction import MASK
from integrations.compose_file.command_lines import (
    LINE_BREAKS,
    cannot_be_secret,
    is_secret_flag,
    is_secret_key,
    mask_secrets,
)
from integrations.compose_file.file_errors import ComposeFileError
from integrations.compose_file.yaml_tree import ComposeDocument, YamlNode, parse_compose_file

_COMMENT = re.compile(r"(?<![^\s])#[^\r\n]*")
_COMMENTED_SETTING = re.compile(r"(#[#\s]*(?:- ?)?[\"']?[A-Za-z_][A-Za-z0-9_.-]*[\"']?\s*[=:]\s?)(.*)")
_TALKS_OF_SECRETS = re.compile(
    r"(?i)\b\w*(?:passw|pass\b|passphrase|passcode|secret|token|credential|api.?key|pwd|login|clave|contraseñ)\w*"
)
_ENVIRONMENT_NAME = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*_?")
_ASSIGNMENT = re.compile(r"([^=\s]+)=(.*)", re.DOTALL)
_LABEL_WITH_SECRET = re.compile(r"(?i)basicauth|digestauth|auth|users|headers|cookie|apikey|\.key$")
_ENVIRONMENTS = frozenset({"environment", "env", "args", "build_args", "buildargs"})
_LABELS = frozenset({"labels", "annotations"})


class _MaskingMode(Enum):
    """Way in which the values of a section are masked."""

    PLAIN = auto()
    ENVIRONMENT = auto()
    LABELS = auto()
    SECRET = auto()
    NAMES = auto()
    """Names of Compose secrets and configs, and the paths of their files: no secrets themselves."""


def mask_file(text: str) -> str:
    """Return the whole file for people to read: comments, keys and lines stay, possible secrets become `[secret]`."""
    return "".join(part for line in masked_line_pairs(text) for part in line)


def masked_line_pairs(text: str) -> list[tuple[str, str]]:
    """Return (line, line break) pairs of the masked text; as many as the text has lines."""
    try:
        document = parse_compose_file(text)
        shown = _Masker(document).text()
    except (ComposeFileError, RecursionError):
        shown = None
    parts = LINE_BREAKS.split(text)
    if shown is not None and len(found := LINE_BREAKS.split(shown)) == len(parts):
        lines, breaks = found[::2], found[1::2]
    else:
        lines, breaks = list(_mask_without_yaml(parts[::2])), parts[1::2]
    return list(zip(_mask_private_keys(lines), [*breaks, ""], strict=True))


class _Masker:
    """Collects the replacements for the secrets of a file."""

    def __init__(self, document: ComposeDocument) -> None:
        self._document = document
        self._source = document.text
        self._new: dict[tuple[int, int], str] = {}
        self._seen: set[tuple[int, _MaskingMode]] = set()

    def text(self) -> str:
        self._walk(self._document.root, _MaskingMode.PLAIN, ())
        parts, position = [], 0
        for (start, end), new in sorted(self._new.items()):
            parts += [self._gap(position, start), new]
            position = end
        return "".join([*parts, self._gap(position, len(self._source))])

    def _gap(self, start: int, end: int) -> str:
        """Return the text between two scalars: punctuation and comments, with the comments masked."""
        return _COMMENT.sub(lambda found: mask_comment(found.group()), self._source[start:end])

    def _walk(self, node: YamlNode, how: _MaskingMode, path: tuple[str, ...]) -> None:
        node = node.real
        if (id(node), how) in self._seen:
            return
        self._seen.add((id(node), how))
        for key, value in node.entries:
            name = key.real.value
            self._keep(key.real)
            inner = _mode_under_key(name, how, path)
            if how is _MaskingMode.ENVIRONMENT and value.real.kind == "scalar":
                self._setting(name, value.real)
            else:
                self._walk(value, inner, (*path, name))
        before = ""
        for item in node.items:
            if item.real.kind == "scalar":
                self._item(item.real, how, before)
                before = item.real.value
            else:
                self._walk(item, how, path)
        if node.kind == "scalar":
            self._scalar(node, how)

    def _keep(self, key: YamlNode) -> None:
        span = (key.content, key.end)
        source = self._source[slice(*span)]
        self._new.setdefault(span, source if mask_secrets(source) == source else _masked_lines(source, MASK))

    def _setting(self, name: str, node: YamlNode) -> None:
        if not cannot_be_secret(node.value) or (node.value.isdigit() and is_secret_key(name)):
            self._hide(node)
        else:
            self._scalar(node, _MaskingMode.PLAIN)

    def _item(self, node: YamlNode, how: _MaskingMode, before: str) -> None:
        found = _ASSIGNMENT.fullmatch(node.value)
        name = found.group(1) if found else ""
        if how is _MaskingMode.SECRET:
            self._hide(node)
        elif found and (how is _MaskingMode.ENVIRONMENT or _ENVIRONMENT_NAME.fullmatch(name)):
            if not cannot_be_secret(found.group(2)) or is_secret_key(name):
                self._hide(node, f"{name}={MASK}")
            else:
                self._scalar(node, _MaskingMode.PLAIN)
        elif found and how is _MaskingMode.LABELS and _is_secret_label(name):
            self._hide(node, f"{name}={MASK}")
        elif is_secret_flag(before) and not node.value.startswith("-"):
            self._setting("password", node)
        elif how is _MaskingMode.ENVIRONMENT and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", node.value):
            self._hide(node)
        else:
            self._scalar(node, _MaskingMode.PLAIN)

    def _scalar(self, node: YamlNode, how: _MaskingMode) -> None:
        if how in (_MaskingMode.SECRET, _MaskingMode.ENVIRONMENT) and not cannot_be_secret(node.value):
            self._hide(node)
            return
        if how is _MaskingMode.SECRET and node.value.isdigit():
            self._hide(node)
            return
        source = self._source[node.content : node.end]
        if "-----BEGIN" in node.value:
            self._hide(node)
            return
        shown = mask_secrets(source)
        if shown == source and node.value not in source and mask_secrets(node.value) != node.value:
            self._hide(node)
            return
        self._new.setdefault((node.content, node.end), shown)

    def _hide(self, node: YamlNode, shown: str = MASK) -> None:
        source = self._source[node.content : node.end]
        quote = node.style if node.style in ("'", '"') else ""
        self._new[(node.content, node.end)] = _masked_lines(source, f"{quote}{shown}{quote}", style=node.style)


def _mode_under_key(name: str, how: _MaskingMode, path: tuple[str, ...]) -> _MaskingMode:
    """Return the way to mask the values under a key."""
    if how in (_MaskingMode.SECRET, _MaskingMode.ENVIRONMENT):
        return how
    if name == "<<":
        return how
    if name in ("secrets", "configs"):
        is_compose_own = path == () or (path[:1] == ("services",) and (len(path) == 2 or path[2:] == ("build",)))
        return _MaskingMode.NAMES if is_compose_own else _MaskingMode.SECRET
    if how is _MaskingMode.NAMES:
        return _MaskingMode.SECRET if name in ("content", "driver_opts") else how
    if name in _ENVIRONMENTS:
        return _MaskingMode.ENVIRONMENT
    if name in _LABELS:
        return _MaskingMode.LABELS
    is_secret = is_secret_key(name) and not (path == ("services",) or path == ("volumes",) or path == ("networks",))
    if is_secret or (how is _MaskingMode.LABELS and _is_secret_label(name)) or _ENVIRONMENT_NAME.fullmatch(name):
        return _MaskingMode.SECRET
    return how


def _is_secret_label(name: str) -> bool:
    return _LABEL_WITH_SECRET.search(name) is not None or is_secret_key(name)


def _masked_lines(source: str, shown: str, *, style: str = "") -> str:
    """Mask each line of the source and keep their number; the head of a block scalar stays."""
    first, *rest = LINE_BREAKS.split(source)
    head = first.split("#")[0].rstrip() if style in ("|", ">") else shown
    lines = [head]
    for position, part in enumerate(rest):
        is_break = position % 2 == 0
        blanks = part[: len(part) - len(part.lstrip())]
        lines.append(part if is_break or not part.strip() else blanks + MASK)
    return "".join(lines)


def mask_comment(text: str) -> str:
    """Return a comment without possible secrets: commented-out values, and the text after words such as password."""
    setting = _COMMENTED_SETTING.fullmatch(text)
    if setting is not None:
        name = setting.group(1).strip("#-=: \t\"'")
        is_variable = _ENVIRONMENT_NAME.fullmatch(name) is not None
        if setting.group(2).strip() and (
            is_secret_key(name) or (is_variable and not cannot_be_secret(setting.group(2)))
        ):
            return setting.group(1) + MASK
    word = _TALKS_OF_SECRETS.search(text)
    if word is not None and text[word.end() :].strip(" \t.,;:!?)"):
        return f"{text[: word.end()]} {MASK}"
    return mask_secrets(text)


_LINE = re.compile(
    r"(?P<head>\s*(?:- +)*)(?P<key>[\"']?[A-Za-z0-9_.<$/-]+[\"']?)(?P<sign>\s*:)(?P<gap>\s*)(?P<value>.*)"
)
_ITEM = re.compile(r"(?P<head>\s*(?:- *)+)(?P<quote>[\"']?)(?P<name>[A-Za-z_][A-Za-z0-9_.-]*=)?(?P<value>.*)")
_OPEN_KEYS = frozenset(
    {"version", "restart", "container_name", "image", "mem_limit", "memory", "cpus", "build", "context", "dockerfile"}
    | {"condition", "driver", "external", "interval", "timeout", "retries", "start_period", "hostname", "target"}
)
_OPEN_VALUE = re.compile(r"[\"']?[A-Za-z0-9_./:-]{0,80}[\"']?(?:\s+#.*)?")
_PORT = re.compile(r"[\"']?[0-9.:]{1,30}(?:/tcp|/udp)?[\"']?")


def _mask_without_yaml(lines: list[str]) -> Iterator[str]:
    """Yield the lines of a file that is not YAML: keys and the values of a few keys stay, everything else is masked."""
    for line in lines:
        if not line.strip():
            yield line
        elif line.lstrip().startswith("#"):
            blanks = line[: len(line) - len(line.lstrip())]
            yield blanks + mask_comment(line.lstrip())
        elif (found := _LINE.fullmatch(line)) is not None:
            key, value = found["key"].strip("\"'"), found["value"]
            is_open = not value or (key in _OPEN_KEYS and _OPEN_VALUE.fullmatch(value) is not None)
            head = f"{found['head']}{found['key']}{found['sign']}{found['gap']}"
            yield _open(head, value) if is_open else head + MASK
        elif (item := _ITEM.fullmatch(line)) is not None and "-" in item["head"]:
            is_open = item["name"] is None and _PORT.fullmatch(item["quote"] + item["value"]) is not None
            yield line if is_open else f"{item['head']}{item['quote']}{item['name'] or ''}{MASK}"
        else:
            yield line[: len(line) - len(line.lstrip())] + MASK


def _open(head: str, value: str) -> str:
    setting, sign, remark = value.partition("#")
    return head + mask_secrets(setting) + (mask_comment(sign + remark) if sign else "")


def _mask_private_keys(lines: list[str]) -> Iterator[str]:
    """Mask the lines of private keys that appear in plain text, for instance in comments."""
    is_inside = False
    for line in lines:
        begins, ends = "-----BEGIN" in line, "-----END" in line
        yield MASK if is_inside or begins else line
        is_inside = (is_inside or begins) and not ends
