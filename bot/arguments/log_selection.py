"""Parses the arguments of /logs: a target, a number of lines, a span, a pattern."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bot.arguments.time_spans import parse_time_span

DEFAULT_LOG_LINES = 25
LOG_LINES_LIMIT = 2000


@dataclass(frozen=True, kw_only=True)
class LogSelection:
    """Selection of log lines."""

    target: str
    lines: int = DEFAULT_LOG_LINES
    since: str | None = None
    until: str | None = None
    grep: str | None = None
    errors_only: bool = False
    as_file: bool = False
    follows: bool = False

    def words(self) -> str:
        """Spell the selection as one would type it."""
        parts = [self.target, str(self.lines)]
        parts += [self.since] if self.since else []
        parts += [f"until={self.until}"] if self.until else []
        parts += [mark for mark, is_on in (("!errors", self.errors_only), ("!file", self.as_file)) if is_on]
        parts += ["!follow"] if self.follows else []
        parts += [f"grep {self.grep}"] if self.grep else []
        return " ".join(parts)


def parse_log_selection(words: str) -> LogSelection:
    """Parse `granada api 100 2h grep timeout`: names first, then options in any order, `grep` and the rest last."""
    head, _, pattern = words.partition("grep ") if " grep " in f" {words}" else (words, "", "")
    wanted = LogSelection(target="", grep=pattern.strip()[:200] or None)
    names: list[str] = []
    for word in head.split():
        if word.isascii() and word.isdigit() and names:
            wanted = replace(wanted, lines=max(1, min(int(word[:6]), LOG_LINES_LIMIT)))
        elif parse_time_span(word) is not None and names:
            wanted = replace(wanted, since=word.lower())
        elif word.startswith("until="):
            wanted = replace(wanted, until=word.removeprefix("until=")[:40])
        elif word in ("!errors", "!file", "!follow"):
            wanted = replace(
                wanted,
                errors_only=wanted.errors_only or word == "!errors",
                as_file=wanted.as_file or word == "!file",
                follows=wanted.follows or word == "!follow",
            )
        else:
            names.append(word)
    return replace(wanted, target=" ".join(names))
