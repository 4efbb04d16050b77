"""Evidence as lines of a card: its name and value in people's words, by source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from core.durations import duration
from core.incidents.alerts import Evidence
from core.incidents.evidence import name_key, unit_of, word_key
from core.incidents.grouping import alert_title
from core.incidents.incident import Incident
from core.text import Text, text
from core.views.cards import Block, Folded, Words

FACTS_SHOWN = 6
FACT_LENGTH = 160
_SOURCES = (
    ("dependency graph", "graph"),
    ("gathering", "gathering"),
    ("deployment log of ", "deployment_log"),
    ("deployments of ", "deployments"),
    ("records of ", "records"),
    ("versions of ", "versions"),
    ("compose file of ", "compose_file"),
    ("logs ", "logs"),
    ("events", "events"),
    ("history.", "history"),
)
"""Beginnings of sources, with the key of their sentence."""
LONG_S = 120
"""From this length on a time span is shown in minutes, hours and days."""


def evidence_blocks(incident: Incident) -> list[Block]:
    """Return all evidence of an incident, folded."""
    items = incident.evidence()
    lines: list[Words] = []
    for source in dict.fromkeys(item.source for item in items):
        lines += [
            text("card.fact_short", name=_label(item), value=_value(item)) for item in items if item.source == source
        ]
        lines.append(text("card.source", source=_source(source)))
    return [Folded(heading=text("card.evidence"), lines=tuple(lines))] if lines else []


def telling_facts(incident: Incident) -> Iterator[Block]:
    """Yield the facts behind the diagnosis (all, without one) by source, leaving out false and empty ones."""
    wanted = incident.diagnosis.evidence if incident.diagnosis else ()
    by_name = _facts_of_root(incident)
    chosen = [by_name[name] for name in wanted if name in by_name] or list(by_name.values())
    telling = [item for item in chosen if item.value not in (False, None, "", 0)][:FACTS_SHOWN]
    lines: list[Words] = []
    for source in dict.fromkeys(item.source for item in telling):
        facts = [_short_fact(item) for item in telling if item.source == source]
        joined = facts[0]
        for one in facts[1:]:
            joined = text("card.joined", first=joined, second=one)
        lines += [joined, text("card.source", source=_source(source))]
    if lines:
        yield Folded(lines=tuple(lines))


def _source(source: str) -> Words:
    """Return the source in people's words; a command and its object are shown as they are typed."""
    for start, key in _SOURCES:
        if source.startswith(start):
            return text(f"evidence.source.{key}", what=source[len(start) :].strip())
    return source


def _facts_of_root(incident: Incident) -> dict[str, Evidence]:
    """Return evidence by name; if several services share an incident, the root's fact wins."""
    root = incident.culprit or incident.target
    own = [item for alert in incident.alerts if alert_title(alert) == root for item in alert.evidence]
    return {item.name: item for item in (*incident.evidence(), *own, *incident.gathered)}


def _short_fact(item: Evidence) -> Text:
    if item.value is True:
        return text("card.fact_true", name=_label(item))
    return text("card.fact_short", name=_label(item), value=_value(item))


def _label(item: Evidence) -> Words:
    key = name_key(item.name)
    return Text(key) if key else item.name


def _value(item: Evidence) -> Words:
    value, unit = item.value, unit_of(item.name)
    if isinstance(value, bool):
        return text("card.yes") if value else text("card.no")
    if isinstance(value, list):
        return _listed(item.name, [str(one) for one in value])
    if isinstance(value, str) and (key := word_key(item.name, value)):
        return Text(key)
    if unit == "s" and isinstance(value, int | float) and value >= LONG_S:
        return duration(timedelta(seconds=value))
    shown = _number(value) if isinstance(value, float) else str(value) if value is not None else "–"
    shown = _short(shown)
    return f"{shown} {unit}" if unit else shown


def _listed(name: str, values: Sequence[str]) -> Words:
    """Return a few words, each as people read it, or plain values in one short piece."""
    keys = [word_key(name, one) for one in values]
    if not all(keys) or not keys:
        return _short(", ".join(values)) or "–"
    joined: Words = Text(str(keys[0]))
    for key in keys[1:]:
        joined = text("card.listed", first=joined, second=Text(str(key)))
    return joined


def _short(shown: str) -> str:
    one_line = " ".join(shown.split())
    return f"{one_line[:FACT_LENGTH]}…" if len(one_line) > FACT_LENGTH else one_line


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
