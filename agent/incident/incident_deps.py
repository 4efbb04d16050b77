"""Collaborators of the incident agent, as protocols that the composition root fulfils."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from agent.runbooks.loader import Runbooks
from core.actions.gateway import ActionGateway
from core.clock import Clock
from core.incidents.alerts import Alert
from core.incidents.incident import Incident
from core.incidents.lessons import Lesson
from core.language_model import LanguageModel
from core.monitoring.inventory import Inventory
from core.settings import Settings
from core.text import Text


class IncidentAccess(Protocol):
    """Changes incidents, one change at a time."""

    async def get(self, incident_id: int) -> Incident | None:
        """Return the incident, or None."""
        ...

    async def update(
        self,
        incident_id: int,
        change: Callable[[Incident], Incident],
        *,
        pages: Text | None = None,
    ) -> Incident:
        """Change an incident and publish the change; `pages` is a sentence that a person must see now."""
        ...


class WatchedHosts(Protocol):
    """The state of every watched host."""

    def inventory(self) -> Inventory:
        """Return the inventory as last seen."""
        ...

    def why_not_quiet(self, fingerprint: str, since: datetime) -> Text | None:
        """Return why that trouble is not over since then, by its detector, or None."""
        ...

    def recurred(self, fingerprint: str, since: datetime) -> bool:
        """Return whether the same trouble was seen again after that moment."""
        ...

    def firing(self) -> Sequence[Alert]:
        """Return all alerts that are firing."""
        ...

    async def refresh(self, host: str) -> None:
        """Look at a host now."""
        ...


class LessonStore(Protocol):
    """The incident memory."""

    async def learn(self, lesson: Lesson) -> object:
        """Keep a lesson."""
        ...


class LearntStartTimes(Protocol):
    """Learnt times from start to well of services, named like `Incident.target`."""

    async def learn(self, service: str, seconds: float) -> None:
        """Record how long one more start took."""
        ...

    async def typical(self, service: str) -> float | None:
        """Return the learnt start time in seconds, or None."""
        ...


@dataclass(frozen=True, kw_only=True)
class IncidentDeps:
    """Collaborators of the graph's nodes."""

    gateway: ActionGateway
    tracker: IncidentAccess
    watch: WatchedHosts
    runbooks: Callable[[], Runbooks]
    memory: LessonStore
    start_times: LearntStartTimes
    model: LanguageModel | None
    clock: Clock
    settings: Settings
    render_english: Callable[[Text], str]
    """Renders texts for the model and the memory."""
    redact: Callable[[str], str]
