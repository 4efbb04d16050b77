"""Collaborators of the dialogue, and one question with its context."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from agent.chat.conversation import ChatQuestion
from core.actions.gateway import ActionGateway
from core.actions.policy import Actor
from core.clock import Clock
from core.deployments.deploys import Deploys, Versions
from core.durations import clock_time, duration
from core.incidents.alerts import Alert
from core.incidents.incident import Incident
from core.incidents.incident_store import IncidentStore
from core.language_model import LanguageModel
from core.monitoring.inventory import Container, Inventory
from core.monitoring.usage_series import Series
from core.people import number_of
from core.settings import Settings
from core.text import Text, Texts


def _everything(_: Actor, __: str | None) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class ChatDeps:
    """The collaborators, handed in by the composition root."""

    gateway: ActionGateway
    inventory: Callable[[], Inventory]
    firing: Callable[[], Sequence[Alert]]
    """All alerts that are on."""
    incidents: IncidentStore
    model: LanguageModel | None
    """None: no model is configured."""
    texts: Texts
    redact: Callable[[str], str]
    clock: Clock
    settings: Settings
    series: Series | None = None
    """Kept samples, for when the engine does not answer."""
    sees: Callable[[Actor, str | None], bool] = _everything
    """Returns whether a person may see a stack; a stack of None means whatever belongs to no stack."""
    called: Callable[[str], str] = number_of
    """Returns the display name of an actor id."""
    deploys: Deploys
    versions: Versions


@dataclass(frozen=True, kw_only=True)
class QuestionContext:
    """A question and the part of the inventory that this person may see."""

    question: ChatQuestion
    inventory: Inventory
    """Holds only what the person may see."""
    incident: Incident | None = None
    """The incident whose card the person replied to."""
    subject: str = ""
    """The `stack/service` mentioned last, for 'restart it'."""
    parts: ChatDeps

    @property
    def sees_all(self) -> bool:
        """Return whether nothing is hidden from the person."""
        whole = self.parts.inventory()
        shown, known = (len(one.containers) + len(one.managed) for one in (self.inventory, whole))
        return shown == known

    def say(self, sentence: Text) -> str:
        """Render a sentence in the person's language."""
        return self.parts.texts.render(sentence, self.question.language)

    def english(self, sentence: Text) -> str:
        """Render a sentence in English, for the model."""
        return self.parts.texts.render(sentence, "en")

    def may_see(self, stack: str | None) -> bool:
        """Return whether the person may see that stack."""
        return self.parts.sees(self.question.actor, stack)

    def moment(self, at: datetime) -> str:
        """Format a moment for people: `14:02 (3 h 5 min)`."""
        now = self.parts.clock.now()
        return f"{clock_time(at, now, ZoneInfo(self.parts.settings.timezone))} ({duration(now - at)})"

    def since(self, container: Container) -> str:
        """Format the time since it started, or ended when it is not running: `14:02 (3 h 5 min)`."""
        at = container.started_at if container.is_running else container.finished_at
        return "–" if at is None else self.moment(at)


def visible_inventory(parts: ChatDeps, actor: Actor) -> Inventory:
    """Return the part of the inventory that a person may see."""
    return parts.inventory().visible_to(lambda stack: parts.sees(actor, stack))
