"""Templates of log lines without their variable parts, so that a thousand lines of one kind count as one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

LINE_LIMIT = 500
"""Maximum number of characters read of a line."""
LINES_LIMIT = 5_000
TEMPLATES_LIMIT = 1_000
"""Maximum number of different templates; further ones are ignored."""

# Each alternative is of bounded length or a single character class: one pass over the line, whatever stands in it.
_CHANGING = re.compile(
    r"(?P<time>\d{4}[-/]\d\d[-/]\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?"
    r"|\b\d\d:\d\d:\d\d(?:[.,]\d{1,9})?)"
    r"|(?P<uuid>\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b)"
    r"|(?P<ip>\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?::\d{1,5})?\b)"
    r"|(?P<hex>\b0[xX][0-9a-fA-F]+\b|\b(?=[0-9a-fA-F]{0,63}\d)(?=[0-9a-fA-F]{0,63}[a-fA-F])[0-9a-fA-F]{8,64}\b)"
    r"|(?P<id>\b(?=[A-Za-z_-]{0,40}\d)[A-Za-z0-9_-]{20,80}\b)"
    r"|(?P<number>\d+(?:\.\d+)?)"
)


def line_template(line: str) -> str:
    """Return the line with single spaces and times, addresses, ids and numbers as `<time>`, `<ip>`, `<id>`, `<n>`."""
    masked = _CHANGING.sub(_mask, " ".join(line[:LINE_LIMIT].split()))
    return masked if len(line) <= LINE_LIMIT else masked + "…"


def count_templates(lines: Iterable[str]) -> list[tuple[str, int]]:
    """Count the templates in the lines, most frequent first, then in order of appearance."""
    counts: Counter[str] = Counter()
    for number, line in enumerate(lines):
        if number >= LINES_LIMIT:
            break
        found = line_template(line)
        if found and (found in counts or len(counts) < TEMPLATES_LIMIT):
            counts[found] += 1
    return counts.most_common()


def _mask(found: re.Match[str]) -> str:
    kind = found.lastgroup or "n"
    return "<n>" if kind == "number" else f"<{kind}>"
