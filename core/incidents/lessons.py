"""Lessons of past incidents: findings, actions, and the proof that they helped."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.incidents.incident import Decider


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """Lesson of one incident."""

    id: int = 0
    incident_id: int | None
    at: datetime
    host: str = ""
    stack: str | None
    service: str | None
    kind: str
    """The alert's kind."""
    cause: str
    """The cause class; empty: it was never found."""
    text: str
    """Findings in plain words; free of secrets."""
    runbook: str | None = None
    actions: tuple[str, ...] = ()
    """Actions in order: `docker.restart local/api-1`."""
    held: bool | None = None
    """True: proved to have helped. False: did not help. None: nothing was done, or it is unknown."""
    decided_by: Decider = Decider.RULE

    @property
    def target(self) -> str:
        """`stack/service`, as in Incident.target."""
        return "/".join(part for part in (self.stack, self.service) if part) or self.host
