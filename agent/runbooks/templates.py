"""Fills `${incident.service}` and `${evidence.exit_code}` in the texts and parameters of runbooks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from agent.runbooks.conditions import FactLookup, FactPath

VALUE_LIMIT = 300
"""Maximum number of characters of one value inside a text."""
LIST_LIMIT = 5
_REFERENCE = re.compile(r"\$\{([^{}]{0,200})\}")
_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){1,3}")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+(?=\S)")


def template_references(value: JsonValue) -> Iterator[str]:
    """Yield the text between `${` and `}` anywhere in a value, as written."""
    if isinstance(value, str):
        yield from _REFERENCE.findall(value)
    elif isinstance(value, list):
        for item in value:
            yield from template_references(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from template_references(item)


def is_fact_name(reference: str) -> bool:
    """Return whether it has the form `root.name`."""
    return _NAME.fullmatch(reference) is not None


def fact_path(reference: str) -> FactPath:
    """Split `evidence.exit_code` into its parts."""
    return tuple(reference.split("."))


def fill_template(value: JsonValue, lookup: FactLookup) -> JsonValue:
    """Fill the references in a value: alone, a reference keeps its type; inside a text it becomes text."""
    if isinstance(value, str):
        whole = _REFERENCE.fullmatch(value)
        if whole:
            return lookup(fact_path(whole[1]))
        return _REFERENCE.sub(lambda found: fact_text(lookup(fact_path(found[1]))), value)
    if isinstance(value, list):
        return [fill_template(item, lookup) for item in value]
    if isinstance(value, Mapping):
        return {name: fill_template(item, lookup) for name, item in value.items()}
    return value


def missing_references(value: JsonValue, lookup: FactLookup) -> list[str]:
    """Return the references in a value whose fact is missing."""
    return sorted({name for name in template_references(value) if lookup(fact_path(name)) is None})


def fill_sentences(template: str, lookup: FactLookup) -> str:
    """Fill the text, leaving out sentences that name a missing or empty fact."""
    kept = [part for part in _SENTENCE_END.split(template.strip()) if not _tells_nothing(part, lookup)]
    return str(fill_template(" ".join(kept), lambda path: fact_text(lookup(path))))


def _tells_nothing(sentence: str, lookup: FactLookup) -> bool:
    return any(lookup(fact_path(name)) in (None, "", []) for name in template_references(sentence))


def fact_text(value: JsonValue) -> str:
    """Format a fact for people inside a sentence, on one line."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.1f}".rstrip("0").rstrip(".")
    if isinstance(value, list):
        return ", ".join(fact_text(item) for item in value[:LIST_LIMIT])
    if isinstance(value, dict):
        return ", ".join(f"{name} {fact_text(item)}" for name, item in list(value.items())[:LIST_LIMIT])
    plain = " ".join(str(value)[: 2 * VALUE_LIMIT].split())
    return plain if len(plain) <= VALUE_LIMIT else plain[: VALUE_LIMIT - 1] + "…"
