"""Derives evidence from log lines: error classes, the line that names the error, and the values in it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import JsonValue

from agent.logs.error_classes import LogFinding, find_log_classes
from agent.logs.line_templates import count_templates
from agent.logs.stack_traces import StackTrace, last_stack_trace

LINES_KEPT = 20
LINE_CHARS = 300
NEAR_LINES = 3
_LOUD = re.compile(r"\b(?:error|fatal|panic|critical|exception|emerg|failed|traceback)\b", re.IGNORECASE)
_FIELDS = {
    "missing_variable": "missing_variable",
    "auth_user": "auth_user",
    "unresolved_host": "dependency_host_unresolved",
    "refused_host": "refused_host",
    "timed_out_host": "timed_out_host",
    "denied_path": "denied_path",
}
_NUMBERS = {"refused_port": "refused_port", "port_taken": "port_taken"}


def log_facts(lines: Sequence[str]) -> dict[str, JsonValue]:
    """Return the evidence that the lines show, by name."""
    present = [line for line in lines if line.strip()]
    if not present:
        return {}
    findings = find_log_classes(present)
    trace = last_stack_trace(present)
    loud = [line for line in present if _LOUD.search(line[:LINE_CHARS])]
    counted = count_templates(loud)
    facts: dict[str, JsonValue] = {
        "log_lines": [cut_line(line) for line in present[-LINES_KEPT:]],
        "log_last": cut_line(present[-1]),
        "log_errors": [one.name for one in findings],
    }
    if counted:
        facts["log_template"] = counted[0][0]
    if trace is not None:
        facts["exception"] = trace.exception
        facts["trace_fingerprint"] = trace.fingerprint
    error_line = _error_line(trace, findings) or (loud[-1] if loud else None)
    if error_line is not None:
        facts["error_line"] = cut_line(error_line)
    for one in findings:
        facts.update(_read_out(one))
    return facts


def _error_line(trace: StackTrace | None, findings: Sequence[LogFinding]) -> str | None:
    """Return the newest error: older ones did no harm. A stack trace counts as newer than the lines around it."""
    newest = max(findings, key=lambda one: one.at, default=None)  # of one line, the most telling class
    if trace is not None and (newest is None or trace.at + NEAR_LINES >= newest.at):
        return trace.line
    return newest.line if newest else None


def cut_line(line: str) -> str:
    """Cut the line to at most LINE_CHARS characters."""
    plain = line.strip()
    return plain if len(plain) <= LINE_CHARS else plain[: LINE_CHARS - 1] + "…"


def _read_out(finding: LogFinding) -> dict[str, JsonValue]:
    facts: dict[str, JsonValue] = {}
    for field, name in _FIELDS.items():
        if field in finding.fields:
            facts[name] = finding.fields[field]
    for field, name in _NUMBERS.items():
        if field in finding.fields:
            facts[name] = int(finding.fields[field])
    if finding.name == "child_killed":
        facts["killed_child"] = cut_line(finding.line)
    return facts
