"""Shows what an edit changes, short enough for a phone and without secrets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from integrations.compose_file.command_lines import LINE_BREAKS
from integrations.compose_file.masking import mask_file, masked_line_pairs

__all__ = ["mask_file", "masked_diff"]

DIFF_LINES_LIMIT = 20
DIFF_LINE_WIDTH = 60
_COMPARED_LINES = 4000
"""Longer files are shown as one changed block: comparing takes time that grows with the square of their length."""


@dataclass(frozen=True, kw_only=True)
class _LineChange:
    """Lines `before[start:stop]` became `after[new_start:new_stop]`."""

    start: int
    stop: int
    new_start: int
    new_stop: int


def masked_diff(before: str, after: str, *, context: int = 1) -> list[str]:
    """Return unified lines (`-`, `+`, blank), secrets masked, each hunk after a line with the service's name: `@@ api`.

    At most 20 lines of at most 60 characters; a last line `… -3 +8` counts what does not fit. Empty: no change.
    A value that changed and is masked shows as `- KEY: [secret]` and `+ KEY: [secret]`.
    """
    old, new = _lines(before), _lines(after)
    changes = _changes(old, new)
    if not changes:
        return []
    shown_old = [line for line, _ in masked_line_pairs(before)]
    shown_new = [line for line, _ in masked_line_pairs(after)]
    lines: list[str] = []
    last_name = None
    for hunk in _hunks(changes, context, len(old)):
        name = _section(shown_old, shown_new, hunk[0])
        if name != last_name or not lines:
            lines.append(f"@@ {name}" if name else "@@")
            last_name = name
        lines += _dedented(list(_hunk_lines(hunk, shown_old, shown_new, context)))
    return _limited(lines)


def _lines(text: str) -> list[str]:
    return LINE_BREAKS.split(text)[::2]


def _changes(old: Sequence[str], new: Sequence[str]) -> list[_LineChange]:
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    inner_old, inner_new = old[head : len(old) - tail], new[head : len(new) - tail]
    if len(inner_old) + len(inner_new) > _COMPARED_LINES:
        return [_LineChange(start=head, stop=len(old) - tail, new_start=head, new_stop=len(new) - tail)]
    codes = SequenceMatcher(None, inner_old, inner_new, autojunk=False).get_opcodes()
    return [
        _LineChange(start=head + a, stop=head + b, new_start=head + c, new_stop=head + d)
        for tag, a, b, c, d in codes
        if tag != "equal"
    ]


def _hunks(changes: list[_LineChange], context: int, total: int) -> Iterator[list[_LineChange]]:
    """Group the changes whose context lines touch."""
    hunk: list[_LineChange] = []
    for one in changes:
        if hunk and one.start - hunk[-1].stop > 2 * context:
            yield hunk
            hunk = []
        hunk.append(one)
    yield hunk


def _hunk_lines(hunk: list[_LineChange], old: list[str], new: list[str], context: int) -> Iterator[tuple[str, str]]:
    position = max(0, hunk[0].start - context)
    for one in hunk:
        yield from ((" ", line) for line in old[position : one.start] if line.strip())
        yield from (("-", line) for line in old[one.start : one.stop])
        yield from (("+", line) for line in new[one.new_start : one.new_stop])
        position = one.stop
    changed = [line for one in hunk for line in old[one.start : one.stop] + new[one.new_start : one.new_stop]]
    least = min((_column(line) for line in changed if line.strip()), default=0)
    for line in old[position : position + context]:
        if line.strip() and _column(line) >= least:
            yield " ", line


def _column(line: str) -> int:
    return len(line) - len(line.lstrip())


def _dedented(lines: list[tuple[str, str]]) -> list[str]:
    margin = min((_column(line) for _, line in lines if line.strip()), default=0)
    return [_clipped(f"{sign} {line[margin:].rstrip()}".rstrip()) for sign, line in lines]


def _clipped(line: str) -> str:
    return line if len(line) <= DIFF_LINE_WIDTH else f"{line[: DIFF_LINE_WIDTH - 1]}…"


def _limited(lines: list[str]) -> list[str]:
    if len(lines) <= DIFF_LINES_LIMIT:
        return lines
    rest = lines[DIFF_LINES_LIMIT - 1 :]
    gone, come = (sum(line.startswith(sign) for line in rest) for sign in ("-", "+"))
    return [*lines[: DIFF_LINES_LIMIT - 1], f"… -{gone} +{come}"]


def _section(old: list[str], new: list[str], first: _LineChange) -> str:
    """Return the service (or top-level section) that the first changed line belongs to."""
    lines, position = (old, first.start) if first.start < first.stop else (new, first.new_start)
    outer, inner, inner_column = "", "", 0
    for line in lines[: position + 1]:
        text = line.strip()
        column = _column(line)
        if not text or text.startswith(("#", "-")) or ":" not in text:
            continue
        name = text.split(":", 1)[0].strip("\"'")
        if column == 0:
            outer, inner, inner_column = name, "", 0
        elif outer == "services" and (not inner or column <= inner_column):
            inner, inner_column = name, column
    return _clipped(inner or outer)
