"""Writes the tables of runbooks/README.md (`python -m agent.incident.evidence.evidence_docs`); a test compares them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from agent.incident.evidence.known_evidence import HOST_NAMES, INCIDENT_NAMES, KNOWN_VALUES, known_evidence
from agent.logs.error_classes import LOG_CLASSES
from agent.runbooks.runbook import EscalationTrigger
from core.incidents.alert_kinds import AlertKind

README = Path(__file__).resolve().parents[3] / "runbooks" / "README.md"
BEGIN = "<!-- tables: written by `python -m agent.incident.evidence.evidence_docs` -->"
END = "<!-- end of tables -->"


def evidence_tables() -> str:
    """Return every name that a runbook may use, as Markdown tables."""
    evidence = [
        (f"`evidence.{name}`", f"{one.type}{f' ({one.unit})' if one.unit else ''}", one.producer, one.meaning)
        for name, one in known_evidence().items()
    ]
    words = [(f"`{name}`", ", ".join(f"`{word}`" for word in sorted(known))) for name, known in _short(KNOWN_VALUES)]
    parts = [
        "### Evidence\n\n`detectors`: comes with the alert. `context`: gathered while the incident is investigated.\n",
        _table(("name", "type", "from", "meaning"), evidence),
        "### Incident\n",
        _table(("name", "meaning"), [(f"`incident.{name}`", message) for name, message in INCIDENT_NAMES.items()]),
        "### Host\n",
        _table(("name", "meaning"), [(f"`host.{name}`", message) for name, message in HOST_NAMES.items()]),
        "### Possible values\n",
        _table(("name", "words"), words),
        "### Error classes in logs\n\nPossible values of `evidence.log_errors`, most specific first: "
        + ", ".join(f"`{one.name}`" for one in LOG_CLASSES)
        + ".\n",
        "### Events and escalation triggers\n\nEvents: "
        + ", ".join(f"`{kind.value}`" for kind in AlertKind)
        + ".\n\nTriggers: "
        + ", ".join(f"`{one.value}`" for one in EscalationTrigger)
        + ".\n",
    ]
    return "\n".join(parts)


def with_evidence_tables(readme: str) -> str:
    """Return the text with new tables between the two marks."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{evidence_tables()}\n{END}{after}"


def _short(vocabulary: Mapping[str, frozenset[str]]) -> Iterable[tuple[str, frozenset[str]]]:
    return ((name, known) for name, known in vocabulary.items() if not name.endswith("log_errors"))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    README.write_text(with_evidence_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
