"""What a face shows, as structure: a title, lines, folded details and buttons, without any markup."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from core.text import Text

Words = Text | str
"""A sentence of the catalogue, or a name or measured value that is shown as it is."""


class Tone(StrEnum):
    """What a line is like, seen from three steps away; a face chooses the sign."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"
    GOOD = "good"
    WELL = "well"
    ASK = "ask"
    BUSY = "busy"
    WATCH = "watch"
    BAD = "bad"
    UNDONE = "undone"
    PERSON = "person"
    PAGE = "page"
    QUIET = "quiet"
    FROZEN = "frozen"
    UNKNOWN = "unknown"
    OFF = "off"
    TODO = "todo"
    LINK = "link"
    STOPPED = "stopped"
    PAUSED = "paused"
    SKIPPED = "skipped"


class TextStyle(StrEnum):
    """How a piece of a line is set."""

    PLAIN = "plain"
    STRONG = "strong"
    CODE = "code"
    FAINT = "faint"


@dataclass(frozen=True, kw_only=True)
class Span:
    """A piece of a line."""

    words: Words
    style: TextStyle = TextStyle.PLAIN
    subject: str = ""
    """The name that the sentence is about: it stands out in it, or before it where the sentence does not name it."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """Pieces side by side; `tone` puts a sign before them."""

    spans: tuple[Span, ...]
    tone: Tone | None = None
    indent: bool = False


@dataclass(frozen=True, kw_only=True)
class Gap:
    """An empty line."""


@dataclass(frozen=True, kw_only=True)
class Folded:
    """Many lines that a reader opens when needed (logs, evidence); shortened first when a message gets too long."""

    lines: tuple[Words, ...]
    heading: Words | None = None
    is_code: bool = False
    is_diff: bool = False
    """Lines of a unified diff: a short one is shown open, with what is taken away and added told apart."""
    keep_end: bool = False
    """What to keep when it must be shortened: the newest lines (logs) or the first ones."""


Block = Line | Gap | Folded


class ButtonAction(StrEnum):
    """What a button is for; a face turns it into a payload of its own."""

    APPROVE = "approve"
    DENY = "deny"
    APPROVE_ALL = "approve_all"
    DENY_ALL = "deny_all"
    WHY = "why"
    LOGS = "logs"
    METRICS = "metrics"
    SILENCE = "silence"
    TAKE = "take"
    CLOSE = "close"
    CANCEL = "cancel"
    COMMAND = "command"
    """Runs a command again with other words."""


class ButtonStyle(StrEnum):
    """How a button stands out."""

    NORMAL = "normal"
    PRIMARY = "primary"
    SUCCESS = "success"
    DANGER = "danger"


@dataclass(frozen=True, kw_only=True)
class CardButton:
    """One button of a card."""

    press: ButtonAction
    label: Words
    weight: ButtonStyle = ButtonStyle.NORMAL
    subject: str = ""
    """An approval's id, an incident's number, or a command's name."""
    detail: str = ""
    """The command's words, or how many confirmations the presser has seen."""
    only_for: int | None = None
    """Numeric id of the one person who may press it; None: anybody with the role."""


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A file or picture."""

    name: str
    content: bytes
    is_picture: bool = False


@dataclass(frozen=True, kw_only=True)
class Card:
    """One message."""

    blocks: tuple[Block, ...]
    buttons: tuple[tuple[CardButton, ...], ...] = field(default=())
    attachment: Attachment | None = None
    """What the rest is the caption of."""
    is_replaced: bool = False
    """A question or a page: what a tap on it brings takes its place."""


def line(*pieces: Words | Span, tone: Tone | None = None, indent: bool = False) -> Line:
    """A line of plain pieces and spans."""
    spans = tuple(piece if isinstance(piece, Span) else Span(words=piece) for piece in pieces)
    return Line(spans=spans, tone=tone, indent=indent)


def strong(words: Words) -> Span:
    """A piece that stands out."""
    return Span(words=words, style=TextStyle.STRONG)


def code(words: Words) -> Span:
    """A piece set as code: identifiers to copy."""
    return Span(words=words, style=TextStyle.CODE)


def about(subject: str, words: Words) -> Span:
    """A sentence in which the name it is about stands out."""
    return Span(words=words, subject=subject)


def faint(words: Words) -> Span:
    """A piece that stands back."""
    return Span(words=words, style=TextStyle.FAINT)


def said(words: Words, tone: Tone | None = None) -> Card:
    """A card of one sentence."""
    return Card(blocks=(line(words, tone=tone),))
