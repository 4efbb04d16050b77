"""Renders a card as Telegram's HTML within a message's limits, and as plain text in case the HTML is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape

from core.sanitize import sanitize
from core.text import Language, Texts
from core.views.cards import Block, Card, Folded, Gap, Line, Span, TextStyle, Tone, Words
from core.views.diff_lines import phone_diff

MESSAGE_LIMIT = 4000
"""UTF-16 units of text; the Bot API takes 4096 characters (sendMessage), which is never fewer."""
CAPTION_LIMIT = 1000
"""The same for captions: 1024 characters (sendPhoto)."""
LINE_LIMIT = 700
"""Longest single line inside details; the rest of it is cut with an ellipsis."""
ELLIPSIS = "…"
TONE_SIGNS = {
    Tone.CRITICAL: "🔴",
    Tone.WARNING: "🟠",
    Tone.INFO: "🔵",
    Tone.GOOD: "✅",
    Tone.WELL: "🟢",
    Tone.ASK: "✋",
    Tone.BUSY: "⏳",
    Tone.WATCH: "🔎",
    Tone.BAD: "❌",
    Tone.UNDONE: "↩️",
    Tone.PERSON: "👤",
    Tone.PAGE: "🚨",
    Tone.QUIET: "🔕",
    Tone.FROZEN: "❄️",
    Tone.UNKNOWN: "❔",
    Tone.OFF: "⚪",
    Tone.TODO: "▫️",
    Tone.LINK: "🔗",
    Tone.STOPPED: "⚫",
    Tone.PAUSED: "⏸",
    Tone.SKIPPED: "➖",
}
_TAGS = {TextStyle.STRONG: "b", TextStyle.CODE: "code", TextStyle.FAINT: "i"}


@dataclass(frozen=True, kw_only=True)
class RenderedText:
    """One message's text, as HTML and plain."""

    html: str
    plain: str


def render_card(card: Card, texts: Texts, language: Language, limit: int = MESSAGE_LIMIT) -> RenderedText:
    """Render the card in a language. What does not fit is cut outside of entities: details first, then whole lines."""
    pieces = [_render_block(block, texts, language) for block in card.blocks]
    pieces = _fit(pieces, limit)
    return RenderedText(
        html="\n".join(_html(piece) for piece in pieces).strip("\n"),
        plain="\n".join(_plain(piece) for piece in pieces).strip("\n"),
    )


def utf16_units(text: str) -> int:
    """Length in UTF-16 units, as Telegram measures offsets."""
    return len(text) + sum(1 for char in text if ord(char) > 0xFFFF)


def cut_to_limit(text: str, limit: int, *, keep_end: bool = False) -> str:
    """Cut the text to `limit` UTF-16 units, its loss marked with an ellipsis."""
    if utf16_units(text) <= limit:
        return text
    if limit <= 1:
        return ELLIPSIS[:limit]
    kept, used = [], 1
    for char in reversed(text) if keep_end else text:
        used += 2 if ord(char) > 0xFFFF else 1
        if used > limit:
            break
        kept.append(char)
    return ELLIPSIS + "".join(reversed(kept)) if keep_end else "".join(kept).rstrip() + ELLIPSIS


def split_message(text: str, limit: int = MESSAGE_LIMIT) -> list[str]:
    """Split plain text into parts of at most `limit` units, at paragraphs, lines or words where possible."""
    parts = []
    rest = text.strip()
    while utf16_units(rest) > limit:
        head = cut_to_limit(rest, limit)[:-1]
        at = max(head.rfind("\n\n"), head.rfind("\n"))
        if at < len(head) // 2:
            at = head.rfind(" ")
        at = at if at > len(head) // 2 else len(head)
        parts.append(rest[:at].rstrip())
        rest = rest[at:].lstrip()
    return [*parts, rest] if rest or not parts else parts


@dataclass(frozen=True, kw_only=True)
class _RenderedBlock:
    """A block rendered in a language."""

    block: Block
    spans: tuple[tuple[str, TextStyle], ...] = ()
    heading: str = ""
    lines: tuple[str, ...] = ()

    @property
    def units(self) -> int:
        return utf16_units(_plain(self)) + 1


def _render_block(block: Block, texts: Texts, language: Language) -> _RenderedBlock:
    if isinstance(block, Line):
        pieces = tuple(piece for span in block.spans for piece in _span(span, texts, language))
        return _RenderedBlock(block=block, spans=pieces)
    if isinstance(block, Folded):
        rendered = (_words(words, texts, language) for words in block.lines)
        lines = tuple(cut_to_limit(one.rstrip(), LINE_LIMIT) for one in rendered)
        lines = phone_diff(lines) if block.is_diff else lines
        heading = _words(block.heading, texts, language) if block.heading else ""
        return _RenderedBlock(block=block, heading=heading, lines=lines)
    return _RenderedBlock(block=block)


def _span(span: Span, texts: Texts, language: Language) -> Iterator[tuple[str, TextStyle]]:
    words = _words(span.words, texts, language)
    if not span.subject:
        yield words, span.style
        return
    subject = sanitize(span.subject)
    before, named, after = words.partition(subject)
    if not named:
        yield from ((subject, TextStyle.STRONG), (f" · {words}", span.style))
        return
    yield from ((before, span.style), (named, TextStyle.STRONG), (after, span.style))


def _words(words: Words, texts: Texts, language: Language) -> str:
    return sanitize(texts.render(words, language))


def _fit(pieces: Sequence[_RenderedBlock], limit: int) -> list[_RenderedBlock]:
    room = limit - sum(piece.units for piece in pieces if not isinstance(piece.block, Folded))
    folded = [piece for piece in pieces if isinstance(piece.block, Folded)]
    wanted = sum(piece.units for piece in folded)
    fitted = []
    for piece in pieces:
        if isinstance(piece.block, Folded) and wanted > room:
            piece = _shorten(piece, max(0, room) * piece.units // wanted)
        fitted.append(piece)
    return list(_whole(fitted, limit))


def _shorten(piece: _RenderedBlock, room: int) -> _RenderedBlock:
    keep_end = isinstance(piece.block, Folded) and piece.block.keep_end
    kept: list[str] = []
    room -= utf16_units(piece.heading) + 3
    for one in reversed(piece.lines) if keep_end else piece.lines:
        if room - utf16_units(one) - 1 < 0:
            if not kept and room > 20:
                kept.append(cut_to_limit(one, room - 1, keep_end=keep_end))
            break
        room -= utf16_units(one) + 1
        kept.append(one)
    if len(kept) < len(piece.lines):
        kept.append(ELLIPSIS)
    return replace(piece, lines=tuple(reversed(kept)) if keep_end else tuple(kept))


def _whole(pieces: Sequence[_RenderedBlock], limit: int) -> Iterator[_RenderedBlock]:
    """Cut at the end what is still too much: a line at its last piece that fits."""
    room = limit
    for piece in pieces:
        if piece.units <= room:
            room -= piece.units
            yield piece
            continue
        kept = []
        for words, style in piece.spans:
            if room <= 3:
                break
            kept.append((cut_to_limit(words, room - 3), style))
            room -= utf16_units(kept[-1][0])
        if kept:
            yield replace(piece, spans=tuple(kept))
        return


def _html(piece: _RenderedBlock) -> str:
    block = piece.block
    if isinstance(block, Gap):
        return ""
    if isinstance(block, Line):
        return _lead(block) + "".join(_tagged(words, style) for words, style in piece.spans)
    body = escape("\n".join(piece.lines), quote=False)
    heading = f"<b>{escape(piece.heading, quote=False)}</b>\n" if piece.heading else ""
    if not piece.lines and not piece.heading:
        return ""
    if isinstance(block, Folded) and block.is_diff and len(piece.lines) <= OPEN_DIFF_LINES:
        return f'{heading}<pre><code class="language-diff">{body}</code></pre>'
    is_narrow = all(utf16_units(one) <= OPEN_CODE_WIDTH for one in piece.lines)
    if isinstance(block, Folded) and block.is_code and len(piece.lines) <= OPEN_CODE_LINES and is_narrow:
        return f"{heading}<pre>{body}</pre>"
    return f"<blockquote expandable>{heading}{body}</blockquote>"


OPEN_DIFF_LINES = 24
"""Most lines of a diff shown open: it is what a person approves."""
OPEN_CODE_LINES = 4
OPEN_CODE_WIDTH = 44
"""Code with at most so many lines, each as wide as a phone's screen, is shown open in a fixed-width font."""


def _tagged(words: str, style: TextStyle) -> str:
    tag = _TAGS.get(style)
    inner = escape(words, quote=False)
    return f"<{tag}>{inner}</{tag}>" if tag and words.strip() else inner


def _plain(piece: _RenderedBlock) -> str:
    if isinstance(piece.block, Gap):
        return ""
    if isinstance(piece.block, Line):
        return _lead(piece.block) + "".join(words for words, _ in piece.spans)
    return "\n".join([piece.heading, *piece.lines] if piece.heading else piece.lines)


def _lead(block: Line) -> str:
    sign = f"{TONE_SIGNS[block.tone]} " if block.tone else ""
    return f"{'   ' if block.indent else ''}{sign}"
