"""Understands common questions and requests in English and Spanish by plain rules, without a model."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from agent.chat.intent_table import CHANGE_INTENTS, CHANGE_VERB_PATTERNS, QUESTION_PATTERNS, Intent
from agent.chat.vocabulary import (
    AGREEMENT,
    CHANGE_WORDS,
    CLAUSE_END,
    CONDITION,
    DEPLOY_REPORT,
    FILLER,
    FORBIDS,
    HEDGE,
    NEGATED_ACT,
    PAST_TENSE,
    POLITE,
    REASON_CLAUSE,
    TROUBLE,
)
from core.monitoring.inventory import Inventory, Target, find

__all__ = ["CHANGE_INTENTS", "Intent", "Interpretation", "asks_for_change", "fold_text", "interpret_question"]

MAX_WORDS = 60
"""A longer text is never a common question."""
COMPARED_WORDS_LIMIT = 12
"""Maximum number of words compared with every name."""
LEAST_WORD_LIKENESS = 0.65
"""Likeness (0–1) below which a word is not looked up at all."""
UNKNOWN_WORDS_LIMIT = 1
"""Maximum number of unknown words; with more, a rule would miss the point of the question."""

_COMPILED = tuple((intent, re.compile(pattern)) for intent, pattern in QUESTION_PATTERNS)
_WISH_VERBS = tuple((intent, re.compile(rf"^{POLITE}(?:{verbs})(?=\s|$)")) for intent, verbs in CHANGE_VERB_PATTERNS)
_OF_VERSIONS = frozenset({Intent.DEPLOY, Intent.ROLLBACK, Intent.UPDATE})
_MAYBE_FOR = re.compile(rf"^{POLITE}para\b")
"""'para el weaviate' stops it, or begins 'for the weaviate, show me …'."""
_MEASURES = re.compile(
    r"\b\d+ ?(m|min|minutos?|minutes?|h|hs|horas?|hours?|d|dias?|days?|semanas?|weeks?|lineas?|lines?)?\b"
    r"|\b(ultim[oa]s?|last|past|this|esta) (hora|hour|dia|day|semana|week|noche|night)\b"
)


@dataclass(frozen=True, kw_only=True)
class Interpretation:
    """A question as a rule understands it."""

    intent: Intent
    targets: tuple[Target, ...] = ()
    """Empty when nothing is named or the name is unknown; several when the name is ambiguous."""
    named: str = ""
    """The words that name the target; with no targets, a name that is unknown."""
    is_sure: bool = True
    """False when the question holds more than the rule would answer; a model then answers better."""


def interpret_question(question: str, inventory: Inventory) -> Interpretation | None:
    """Return the intent and targets of a question; None when no rule fits or it is too long."""
    plain = fold_text(question)
    words = plain.split()
    if not words or len(words) > MAX_WORDS:
        return None
    names = _KnownNames(inventory)
    return _wish(question, names) or _prohibition(question) or _look(plain, names)


def asks_for_change(question: str) -> bool:
    """Return whether a person asks for a change or agrees to one; False if any act is negated."""
    for clause in _clauses(question):
        if NEGATED_ACT.search(clause):
            return False
    plain = fold_text(question)
    return bool(CHANGE_WORDS.search(plain) or AGREEMENT.search(plain))


def fold_text(text: str) -> str:
    """Return lower case without accents and punctuation (`/`, `-`, `_`, `.`, `'` stay), with single spaces."""
    return " ".join(re.sub(r"[^\w\s/\-.']", " ", _plain(text)).split()).strip(".- ").replace(". ", " ")


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold().replace("’", "'"))
    return "".join(char for char in decomposed if not unicodedata.combining(char) and char != "\ufe0f")


def _clauses(question: str) -> Iterator[str]:
    for part in CLAUSE_END.split(_plain(question)):
        if clause := fold_text(part):
            yield clause


# -- wishes ----------------------------------------------------------------------------------------------------------


def _wish(question: str, names: _KnownNames) -> Interpretation | None:
    """Read a request for one thing now; conditions, exceptions, times and several requests are left to the model."""
    if PAST_TENSE.search(unicodedata.normalize("NFC", question.casefold())):
        return None
    clauses = list(_clauses(question))
    if any(CONDITION.match(clause) for clause in clauses):
        return None
    found = [(place, *verb) for place, clause in enumerate(clauses) if (verb := _wish_verb(clause))]
    if len(found) != 1:
        return None
    place, intent, rest = found[0]
    if _MAYBE_FOR.match(clauses[place]) and any(_looks(clause) for clause in clauses):
        return None
    if HEDGE.search(REASON_CLAUSE.sub("", rest)):
        return None
    named, targets, left = names.target(REASON_CLAUSE.sub("", rest))
    others = [clause for other, clause in enumerate(clauses) if other != place]
    if not named:
        named, targets = _mentioned(others, names)
    elif any(len(one.split()) <= 3 and names.is_exact(one) for one in others[place:]):
        return None
    return Interpretation(
        intent=intent, targets=targets, named=named, is_sure=bool(targets) or len(left) <= UNKNOWN_WORDS_LIMIT
    )


def _wish_verb(clause: str) -> tuple[Intent, str] | None:
    for intent, pattern in _WISH_VERBS:
        match = pattern.match(clause)
        if match is None:
            continue
        rest = clause[match.end() :]
        if intent in _OF_VERSIONS and DEPLOY_REPORT.search(rest):
            return None
        if intent is not Intent.RESTART and _looks(rest):
            return None
        return intent, rest
    return None


def _looks(rest: str) -> bool:
    """Return whether the words ask to show something: 'para el weaviate los logs'."""
    shown = (Intent.LOGS, Intent.METRICS, Intent.CPU, Intent.MEMORY_USE, Intent.STATUS)
    return any(pattern.search(rest) for intent, pattern in _COMPILED if intent in shown)


def _mentioned(clauses: list[str], names: _KnownNames) -> tuple[str, tuple[Target, ...]]:
    """Find the target of a request without a name in the other clauses: 'la api está caída, reiníciala'."""
    for clause in clauses:
        named, targets, _ = names.target(clause)
        if targets:
            return named, targets
    return "", ()


def _prohibition(question: str) -> Interpretation | None:
    if any(FORBIDS.match(clause) for clause in _clauses(question)):
        return Interpretation(intent=Intent.FORBIDS)
    return None


# -- questions -------------------------------------------------------------------------------------------------------


def _look(plain: str, names: _KnownNames) -> Interpretation | None:
    exact = names.exact_part(plain)
    without_name = _without(plain, exact) if exact else plain
    match = _first_match(without_name) or _first_match(plain)
    if match is None:
        return _bare(plain, names)
    intent, pattern = match
    rest = _MEASURES.sub(" ", pattern.sub(" ", without_name))
    if exact:
        named, targets, left = exact, names.find(exact), names.content_words(rest)
    else:
        named, targets, left = names.target(rest)
    asks_cause = intent not in (Intent.WHY, Intent.CHANGES) and bool(re.search(r"\b(por ?que|why)\b", plain))
    if intent is Intent.WHY and not targets and named and not TROUBLE.search(plain):
        return None
    return Interpretation(
        intent=intent, targets=targets, named=named, is_sure=len(left) <= UNKNOWN_WORDS_LIMIT and not asks_cause
    )


def _bare(plain: str, names: _KnownNames) -> Interpretation | None:
    """Read a bare name: alone it asks for the status, with trouble words it asks for the cause."""
    is_trouble = bool(TROUBLE.search(plain))
    named, targets, left = names.target(TROUBLE.sub(" ", plain))
    if is_trouble and not named:
        return Interpretation(intent=Intent.INCIDENTS)
    if not targets or len(left) > (UNKNOWN_WORDS_LIMIT if is_trouble else 0):
        return None
    return Interpretation(intent=Intent.WHY if is_trouble else Intent.STATUS, targets=targets, named=named)


def _first_match(plain: str) -> tuple[Intent, re.Pattern[str]] | None:
    return next(((intent, pattern) for intent, pattern in _COMPILED if pattern.search(plain)), None)


class _KnownNames:
    """Finds targets by name: an exact name anywhere first, then the longest matching run of words.

    `find` compares every name, so it is used only for runs in which every word resembles part of some name.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._exact: set[str] = set()
        for service in inventory.services():
            stack, own = _joined(service.stack or ""), _joined(service.name)
            self._exact |= {stack, own, f"{stack} {own}", f"{own} {stack}"}
            self._exact |= {_joined(container.name) for container in service.containers}
        self._exact |= {_joined(stack.name) for stack in inventory.stacks()}
        self._exact.discard("")
        self._words = sorted({word for name in self._exact for word in name.split()})

    def find(self, name: str) -> tuple[Target, ...]:
        return find(self._inventory, name)

    def is_exact(self, words: str) -> bool:
        return " ".join(one for one in _joined(words).split() if one not in FILLER) in self._exact

    def _is_near(self, word: str) -> bool:
        parts = _joined(word).split()
        return bool(parts) and all(
            self._begins(part)
            or (len(part) > 2 and get_close_matches(part, self._words, n=1, cutoff=LEAST_WORD_LIKENESS))
            for part in parts
        )

    def _begins(self, part: str) -> bool:
        place = bisect_left(self._words, part)
        return place < len(self._words) and self._words[place].startswith(part)

    def exact_part(self, plain: str) -> str:
        """Return the longest run of words that is exactly a known name, or ''."""
        words = plain.split()
        for size in range(min(len(words), 6), 0, -1):
            for start in range(len(words) - size + 1):
                run = words[start : start + size]
                if run[0] in FILLER or run[-1] in FILLER:
                    continue
                if self.is_exact(" ".join(run)):
                    return " ".join(run)
        return ""

    def content_words(self, rest: str) -> list[str]:
        """Return the words that are neither filler nor numbers."""
        return [word for word in rest.split() if word not in FILLER and not word.isdigit() and len(word) > 1]

    def target(self, rest: str) -> tuple[str, tuple[Target, ...], list[str]]:
        """Return the naming words, the targets they may mean, and the remaining content words."""
        exact = self.exact_part(rest)
        if exact:
            return exact, self.find(exact), self.content_words(_without(rest, exact))
        words = self.content_words(rest)
        near = [place < COMPARED_WORDS_LIMIT and self._is_near(word) for place, word in enumerate(words)]
        for size in range(min(len(words), 4), 0, -1):
            for start in range(len(words) - size + 1):
                if not all(near[start : start + size]):
                    continue
                name = " ".join(words[start : start + size])
                if found := self.find(name):
                    return name, found, words[:start] + words[start + size :]
        return " ".join(words[:4]), (), words


def _without(plain: str, part: str) -> str:
    return re.sub(rf"(?<!\S){re.escape(part)}(?!\S)", " ", plain, count=1)


@lru_cache(maxsize=8192)
def _joined(name: str) -> str:
    """Return the words of a name in plain form, with single spaces."""
    return " ".join("".join(char if char.isalnum() else " " for char in _plain(name)).split())
