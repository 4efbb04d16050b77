"""Result of one check of `infraguardian check`: fine, or the problem and the next step."""

from __future__ import annotations

from dataclasses import dataclass

from core.text import Text


@dataclass(frozen=True, kw_only=True)
class CheckLine:
    """One check and its result."""

    name: Text
    ok: bool
    problem: Text | None = None
    next_step: Text | None = None
