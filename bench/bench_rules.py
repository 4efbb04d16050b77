"""Time in ms for the rules to name the cause of one incident, with every shipped runbook matched and explained."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from agent.incident.evidence.incident_context import context_of
from agent.incident.evidence.log_evidence import log_facts
from agent.runbooks.loader import load_runbooks
from agent.runbooks.plans import ChosenSolution, choose_solution, render_plan
from agent.runbooks.rules import diagnose_by_rules
from bench.common import Report, percentile, spread
from tests.agent.rules.fakes import incident, inventory, small_catalog

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 300
LIMIT_MS = 20.0
FACTS = {
    "oom_killed": True,
    "exit_code": 137,
    "memory_limit_mb": 512,
    "memory_peak_mb": 512,
    "memory_shape": "peak",
    "log_errors": ["name_resolution", "connection_refused"],
    "error_line": "KeyError: 'DATABASE_URL' " * 10,
    "log_lines": ["a line of the log " * 10] * 20,
}


def main() -> int:
    """Print the figures; the exit code says whether they kept their limit."""
    report = Report("diagnosis by rules")
    catalog = small_catalog()
    runbooks = load_runbooks(ROOT / "runbooks", None, catalog)
    trouble, seen = incident(**FACTS), inventory()  # type: ignore[arg-type]

    def name_the_cause() -> None:
        context = context_of(trouble, seen)
        verdict = diagnose_by_rules(runbooks, context)
        assert verdict.runbook is not None
        assert verdict.diagnosis is not None
        choice = choose_solution(verdict.runbook, context, verdict.diagnosis.confidence, set(), catalog)
        assert isinstance(choice, ChosenSolution)
        render_plan(verdict.runbook, choice.index, context, attempt=1, catalog=catalog)

    lines = [f"2026-11-20T02:15:{n % 60:02d}Z INFO request {n} took {n} ms from 172.18.0.{n % 250}" for n in range(200)]
    _measure(report, f"one incident, {len(runbooks.names())} runbooks, plan rendered, p95", name_the_cause)
    _measure(report, "200 log lines read, p95", lambda: log_facts(lines))
    return report.finish()


def _measure(report: Report, what: str, run: Callable[[], object]) -> None:
    took = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        run()
        took.append((time.perf_counter() - started) * 1000)
    report.add(what, percentile(took, 95), "ms", limit=LIMIT_MS, note=spread(took, "ms"))


if __name__ == "__main__":
    sys.exit(main())
