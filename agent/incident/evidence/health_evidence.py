"""Derives evidence from a container's health check and from the engine's start error."""

from __future__ import annotations

import re
from datetime import datetime

from pydantic import JsonValue

from core.monitoring.inventory import Container, Health

OUTPUT_LIMIT = 500
NOT_RUN = -1
"""The engine's code for a probe that timed out or could not be started; the output shows which."""
NOT_EXECUTABLE, NOT_FOUND = 126, 127
NEVER_GOOD_SHARE = 0.8
"""Failing for this share of its run means that no probe has succeeded since the start."""

_REFUSED = re.compile(
    r"connection refused|failed to connect|could ?n.t connect|can.t connect to remote host|econnrefused", re.IGNORECASE
)
_PORT = re.compile(r"(?:port |[\w\]]:)(\d{1,5})\b", re.IGNORECASE)
_TOOL = re.compile(r"(?:exec: \"([^\"]{1,80})\"|([\w./-]{1,80}): (?:command )?not found)")
_HTTP = re.compile(
    r"returned error: (?:HTTP/\S{1,5} )?[45]\d\d|HTTP/\d\S{0,4} [45]\d\d|status (?:code )?[45]\d\d", re.IGNORECASE
)
_INSIDE = re.compile(r"(?:^|->)(\d{1,5})(?:/|$)")

_START_PROBLEMS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "port_taken",
        re.compile(r"address already in use|port is already allocated|ports are not available", re.IGNORECASE),
    ),
    ("wrong_platform", re.compile(r"exec format error|does not match the (?:detected )?host platform", re.IGNORECASE)),
    (
        "mount",
        re.compile(
            r"not a directory|mount(?:ing|s)? .{0,200}(?:denied|failed|error|no such)|bind source path",
            re.IGNORECASE,
        ),
    ),
    ("not_executable", re.compile(r"permission denied", re.IGNORECASE)),
    ("not_found", re.compile(r"executable file not found|no such file or directory", re.IGNORECASE)),
    ("user", re.compile(r"unable to find user|no matching entries in passwd", re.IGNORECASE)),
    ("network", re.compile(r"network .{0,200}not found|no available .{0,40}address|address pools", re.IGNORECASE)),
)
HEALTH_PROBLEMS = ("wrong_port", "refused", "tool_missing", "timeout", "http_error", "failing")
START_PROBLEMS = (*(name for name, _ in _START_PROBLEMS), "other")
_TAKEN_PORT = re.compile(r":(\d{1,5})(?: failed|:? bind|\b)", re.IGNORECASE)


def health_facts(container: Container, at: datetime) -> dict[str, JsonValue]:
    """Return evidence from its failing probes; empty unless it is unhealthy."""
    if container.health is not Health.UNHEALTHY or not container.health_log:
        return {}
    last = container.health_log[-1]
    output = last.output.strip()[-OUTPUT_LIMIT:]
    facts: dict[str, JsonValue] = {
        "health_exit_code": last.exit_code,
        "health_output": output,
        "failing_streak": container.failing_streak,
        "health_problem": _health_problem(container, last.exit_code, output),
    }
    tool = _TOOL.search(output)
    if facts["health_problem"] == "tool_missing" and tool:
        facts["health_tool"] = tool[1] or tool[2]
    port = _PORT.search(output)
    if facts["health_problem"] in ("wrong_port", "refused") and port:
        facts["health_port"] = int(port[1])
    was_healthy = _was_healthy(container, at)
    if was_healthy is not None:
        facts["was_healthy"] = was_healthy
    return facts


def start_facts(container: Container | None, state_error: str) -> dict[str, JsonValue]:
    """Return the reason why the engine could not start it, from the engine's own words."""
    error = state_error or (container.error if container else "")
    if not error:
        return {}
    short = error[:2_000]
    problem = next((name for name, pattern in _START_PROBLEMS if pattern.search(short)), "other")
    facts: dict[str, JsonValue] = {"start_problem": problem, "state_error": short[:OUTPUT_LIMIT]}
    taken = _TAKEN_PORT.search(short)
    if problem == "port_taken" and taken:
        facts["port_taken"] = int(taken[1])
    return facts


def _health_problem(container: Container, exit_code: int, output: str) -> str:
    if exit_code in (NOT_EXECUTABLE, NOT_FOUND) or ("not found" in output.lower() and _TOOL.search(output)):
        return "tool_missing"
    if exit_code == NOT_RUN and "exceeded timeout" in output.lower():
        return "timeout"
    if _HTTP.search(output):
        return "http_error"
    if _REFUSED.search(output):
        known = {found[1] for port in container.ports if (found := _INSIDE.search(port))}
        asked = _PORT.search(output)
        return "wrong_port" if asked and known and asked[1] not in known else "refused"
    return "failing"


def _was_healthy(container: Container, at: datetime) -> bool | None:
    """Return whether a probe has succeeded since its start; None when unknown."""
    if any(probe.exit_code == 0 for probe in container.health_log):
        return True
    if container.started_at is None or container.health_interval_s <= 0:
        return None
    ran_s = (at - container.started_at).total_seconds() - container.start_period_s
    return (container.failing_streak + 1) * container.health_interval_s < ran_s * NEVER_GOOD_SHARE
