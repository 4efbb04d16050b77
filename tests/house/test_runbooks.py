"""Every shipped runbook fits the real catalogue; what their README says is true and current."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import pytest

from agent.incident.evidence.evidence_docs import README, with_evidence_tables
from agent.incident.evidence.known_evidence import known_evidence
from agent.runbooks.loader import load_runbooks
from agent.runbooks.runbook import Runbook, Runbooks
from core.actions.catalog import Catalog, Risk
from core.incidents.alert_kinds import AlertKind
from core.incidents.evidence import EVIDENCE_NAMES, GATHERED_NAMES, PLATFORM_NAMES
from integrations.docker_engine.actions.container_actions import ContainerToolset
from knowledge.history_actions import HistoryToolset
from tests.agent.rules.fakes import dokploy_toolsets

ROOT = Path(__file__).resolve().parents[2]


def catalog() -> Catalog:
    nothing = cast(Any, None)  # the catalogue only reads names, risks and parameters
    history = HistoryToolset(nothing, nothing, nothing, nothing, nothing)
    return Catalog([ContainerToolset({}, str), history, *dokploy_toolsets()])


@pytest.fixture(scope="module")
def books() -> Runbooks:
    return load_runbooks(ROOT / "runbooks", None, catalog())


def test_every_shipped_runbook_fits_the_catalogue(books: Runbooks) -> None:
    assert {"container_oom", "child_oom", "crash_loop", "service_unhealthy", "dependency_down"} <= set(books.names())


def test_every_kind_of_alert_has_a_runbook(books: Runbooks) -> None:
    assert [kind for kind in AlertKind if not books.for_kind(kind)] == []


def test_no_shipped_runbook_destroys(books: Runbooks) -> None:
    known = catalog()
    risks = {known.get(step.action).risk for book in _all(books) for one in book.solutions for step in one.steps}
    assert Risk.DESTRUCTIVE not in risks


def test_the_tables_of_the_runbook_readme_are_current() -> None:
    readme = README.read_text(encoding="utf-8")
    assert with_evidence_tables(readme) == readme, "run: python -m agent.incident.evidence.evidence_docs"


def test_the_example_of_the_readme_is_a_good_runbook(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 1
    (tmp_path / "example.yml").write_text(blocks[0], encoding="utf-8")
    assert load_runbooks(tmp_path, None, catalog()).names() == ["example"]


def test_no_evidence_is_named_twice() -> None:
    parts = (EVIDENCE_NAMES, PLATFORM_NAMES, GATHERED_NAMES)
    assert len(known_evidence()) == sum(len(part) for part in parts)


def _all(books: Runbooks) -> list[Runbook]:
    return list(books.by_id.values())
