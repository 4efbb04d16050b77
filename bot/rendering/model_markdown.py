"""Parses the simple Markdown that models write into blocks of a card; unknown markup stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from core.views.cards import Block, Folded, Gap, Line, Span, TextStyle

_INLINE = re.compile(r"\*\*(?P<strong>[^*\n]{1,500})\*\*|`(?P<code>[^`\n]{1,500})`")
_HEADING = re.compile(r"#{1,6}\s+(.*)")
_BULLET = re.compile(r"(\s*)[-*]\s+(.*)")
_FENCE = re.compile(r"\s*```")


def markdown_blocks(words: str) -> list[Block]:
    """Blocks of a text: paragraphs, bullets, headings, and code between fences."""
    return list(_blocks(words.strip().splitlines()))


def _blocks(lines: list[str]) -> Iterator[Block]:
    place = 0
    while place < len(lines):
        one = lines[place].rstrip()
        place += 1
        if _FENCE.match(one):
            code = []
            while place < len(lines) and not _FENCE.match(lines[place]):
                code.append(lines[place])
                place += 1
            place += 1
            yield Folded(lines=tuple(code), is_code=True)
        elif not one:
            yield Gap()
        elif heading := _HEADING.fullmatch(one):
            yield Line(spans=(Span(words=heading.group(1).replace("**", ""), style=TextStyle.STRONG),))
        elif bullet := _BULLET.fullmatch(one):
            indent = "  " * (len(bullet.group(1)) // 2)
            yield Line(spans=(Span(words=f"{indent}• "), *_spans(bullet.group(2))))
        else:
            yield Line(spans=tuple(_spans(one)))


def _spans(words: str) -> Iterator[Span]:
    at = 0
    for found in _INLINE.finditer(words):
        if found.start() > at:
            yield Span(words=words[at : found.start()])
        if found.group("strong") is not None:
            yield Span(words=found.group("strong"), style=TextStyle.STRONG)
        else:
            yield Span(words=found.group("code"), style=TextStyle.CODE)
        at = found.end()
    if at < len(words):
        yield Span(words=words[at:])
