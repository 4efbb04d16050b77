"""What the incident agent works with, as protocols; the composition root hands in the real ones."""

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


class Desk(Protocol):
    """Where incidents are changed, one change at a time."""

    async def get(self, incident_id: int) -> Incident | None:
        """The incident, or None."""
        ...

    async def update(
        self,
        incident_id: int,
        change: Callable[[Incident], Incident],
        *,
        pages: Text | None = None,
    ) -> Incident:
        """Change it and tell everybody; `pages`: a sentence that a person must hear of now."""
        ...


class WatchView(Protocol):
    """What is going on, from every watched host."""

    def inventory(self) -> Inventory:
        """As last seen."""
        ...

    def why_not_quiet(self, fingerprint: str, since: datetime) -> Text | None:
        """What speaks against that trouble being over since then, by its detector; None: nothing."""
        ...

    def recurred(self, fingerprint: str, since: datetime) -> bool:
        """Whether the same trouble was seen again after that moment."""
        ...

    def firing(self) -> Sequence[Alert]:
        """All alerts that are on."""
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
    """How long services take from start to well; named as `Incident.target` names them."""

    async def learn(self, service: str, seconds: float) -> None:
        """One more start took so long."""
        ...

    async def typical(self, service: str) -> float | None:
        """The learnt start time in seconds, or None."""
        ...


@dataclass(frozen=True, kw_only=True)
class IncidentDeps:
    """Everything a node may use."""

    door: ActionGateway
    desk: Desk
    watch: WatchView
    runbooks: Callable[[], Runbooks]
    memory: LessonStore
    start_times: LearntStartTimes
    model: LanguageModel | None
    clock: Clock
    settings: Settings
    render_english: Callable[[Text], str]
    """For the model and the memory."""
    redact: Callable[[str], str]
