"""Cards as structure: a title, lines, folded details and buttons, without any markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from core.text import Text, text

Words = Text | str
"""A sentence of the catalogue, or a name or measured value that is shown as it is."""


class Tone(StrEnum):
    """Meaning of a line, for which a face chooses the sign."""

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
    """Style of a piece of a line."""

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
    """The name that the sentence is about: emphasised in it, or put before it if the sentence does not contain it."""


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
    """Lines of a unified diff: a short one is shown open, with removed and added lines marked."""
    keep_end: bool = False
    """Keep the last lines when it must be shortened (logs), else the first ones."""


Block = Line | Gap | Folded


class ButtonAction(StrEnum):
    """Action of a button; a face turns it into a payload of its own."""

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
    """Style of a button."""

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
    """The command's words, or the number of confirmations that the presser has seen."""
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
    """The file or picture that the rest is the caption of."""
    is_replaced: bool = False
    """A question or a page: the answer to a tap on it replaces it."""


LABEL_FITS = 14
"""Characters of a button that shares its row."""


def command_button(
    command: str, label: Words, words: str, *, only_for: int | None, weight: ButtonStyle = ButtonStyle.NORMAL
) -> CardButton:
    """A button that runs a command with these words behind it."""
    return CardButton(
        press=ButtonAction.COMMAND, label=label, weight=weight, subject=command, detail=words, only_for=only_for
    )


def in_rows(buttons: Sequence[CardButton], per_row: int = 2) -> tuple[tuple[CardButton, ...], ...]:
    """The buttons side by side; a label too long for its share of a phone's width gives each a row of its own."""
    if any(isinstance(one.label, str) and len(one.label) > LABEL_FITS for one in buttons):
        per_row = 1
    return tuple(tuple(buttons[at : at + per_row]) for at in range(0, len(buttons), per_row))


def line(*pieces: Words | Span, tone: Tone | None = None, indent: bool = False) -> Line:
    """Return a line of plain pieces and spans."""
    spans = tuple(piece if isinstance(piece, Span) else Span(words=piece) for piece in pieces)
    return Line(spans=spans, tone=tone, indent=indent)


def strong(words: Words) -> Span:
    """Return an emphasised piece."""
    return Span(words=words, style=TextStyle.STRONG)


def code(words: Words) -> Span:
    """Return a piece set as code: identifiers to copy."""
    return Span(words=words, style=TextStyle.CODE)


def about(subject: str, words: Words) -> Span:
    """Return a sentence with the name it is about emphasised."""
    return Span(words=words, subject=subject)


def faint(words: Words) -> Span:
    """Return a less prominent piece."""
    return Span(words=words, style=TextStyle.FAINT)


def said(words: Words, tone: Tone | None = None) -> Card:
    """Return a card of one sentence."""
    return Card(blocks=(line(words, tone=tone),))


def refusal(needed: str) -> Card:
    """The person's role does not reach; `needed`: the one that would."""
    return said(text("access.role", needed=text(f"role.{needed}")), Tone.BAD)
