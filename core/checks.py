"""One thing that `infraguardian check` looked at: fine, or what is wrong and the next step."""

from __future__ import annotations

from dataclasses import dataclass

from core.text import Text


@dataclass(frozen=True, kw_only=True)
class CheckLine:
    """One thing that was looked at."""

    name: Text
    ok: bool
    problem: Text | None = None
    next_step: Text | None = None
