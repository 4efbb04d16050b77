"""The present knowledge of the guardian as one person may see it: all that a view needs, from memory and records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cached_property

from core.actions.catalog import Role
from core.deployments.deploys import Deploys
from core.incidents.incident import Incident
from core.incidents.incident_store import IncidentStore
from core.monitoring.inventory import Inventory
from core.monitoring.snapshot import PlatformView, Sample
from core.people import Person
from core.views.cards import CardButton, Words, command_button


@dataclass(frozen=True, kw_only=True)
class ViewContext:
    """One look of one person."""

    person: Person
    watched: Inventory
    """Everything that is watched."""
    latest: Callable[[str], Sample | None]
    """The last sample of a container (`host/name`)."""
    platform: PlatformView | None
    """The last word of the platform; None: there is none, or it was not heard yet."""
    firing: Sequence[Incident]
    """Every open incident."""
    incidents: IncidentStore
    deploys: Deploys
    redact: Callable[[str], str]
    now: datetime
    zone: tzinfo

    def may(self, role: Role, stack: str | None) -> bool:
        """Return True if the person has a role on a stack."""
        return self.person.may(role, stack)

    def sees(self, stack: str | None) -> bool:
        """Return True if the person may see a stack; None: what belongs to no stack."""
        return self.person.may(Role.VIEWER, stack)

    @cached_property
    def inventory(self) -> Inventory:
        """The part of what is watched that the person may see."""
        return self.watched.visible_to(self.sees)

    def open_incidents(self) -> list[Incident]:
        """The open incidents that the person may see."""
        return [one for one in self.firing if self.sees(one.stack)]

    def button(self, command: str, label: Words, words: str) -> CardButton:
        """A button that runs a command, for nobody else."""
        return command_button(command, label, words, only_for=self.person.user_id)
