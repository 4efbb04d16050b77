"""Removes invisible and layout-changing characters from foreign text: controls, bidi marks, hidden letters."""

from __future__ import annotations

import re

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, but tab and new line
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # direction, zero width, line ends
    "\ud800-\udfff"  # half a letter: no text can be sent with it
    "\U000e0000-\U000e007f]"  # tags: letters that only a machine reads
)


def sanitize(text: str) -> str:
    """Return the text without them. Joiners stay: scripts and emoji need them."""
    return _HIDDEN.sub("", text)


def sanitize_line(text: str, limit: int) -> str:
    """Return the text without them, as one line of at most `limit` characters."""
    return " ".join(sanitize(" ".join(text[: limit * 8].split())).split())[:limit]
