"""The collaborators of the chat face."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from functools import cached_property

from agent.chat.conversation import Dialogue
from agent.runbooks.runbook import Runbooks
from core.actions.executor import RedactText
from core.actions.gateway import ActionGateway
from core.bus import Bus
from core.clock import Clock
from core.decisions import DecisionDeps, Decisions
from core.deployments.deploys import Deploys, Versions
from core.incidents import paging
from core.incidents.incident import Incident
from core.incidents.incident_store import IncidentStore, Silences
from core.incidents.tracker import IncidentTracker
from core.monitoring.inventory import Inventory
from core.monitoring.snapshot import PlatformView, Sample
from core.monitoring.usage_series import Series
from core.people import People, Person
from core.runs import Runs
from core.settings import Settings
from core.text import Language, Texts
from core.views.card_views import CardViews
from knowledge.memory.incident_memory import IncidentMemory
from knowledge.records.audit_records import AuditRecords
from knowledge.records.inbox_records import Inbox
from knowledge.records.message_records import Outbox
from knowledge.records.setting_records import SettingRecords
from knowledge.stores import Knowledge


@dataclass(frozen=True, kw_only=True)
class BotDeps:
    """Everything that the chat face is given."""

    settings: Settings
    texts: Texts
    bus: Bus
    clock: Clock
    redact: RedactText
    gateway: ActionGateway
    tracker: IncidentTracker
    knowledge: Knowledge
    inventory: Callable[[], Inventory]
    """All that is watched, as last seen, from memory."""
    latest: Callable[[str], Sample | None]
    """The last sample of a container (`host/name`), from memory."""
    dialogue: Dialogue
    runbooks: Callable[[], Runbooks]
    ready: Callable[[], Awaitable[None]]
    """Returns once hosts were looked at and runs work: nobody is heard before, or orders would meet an empty world."""
    poke: Callable[[Incident], Awaitable[None]]
    """Makes the run of an incident look again, after a person's decision."""
    platform: Callable[[], PlatformView | None]
    """The last word of Dokploy, from memory; None: there is none, or it was not heard yet."""

    @property
    def deploys(self) -> Deploys:
        """Deploys of ours, and how they ended."""
        return self.knowledge.deploys

    @property
    def versions(self) -> Versions:
        """The versions that stacks were deployed from."""
        return self.knowledge.versions

    @property
    def incidents(self) -> IncidentStore:
        """Incidents, closed ones too."""
        return self.knowledge.incidents

    @property
    def silences(self) -> Silences:
        """Targets that raise no alarm for a while."""
        return self.knowledge.silences

    @property
    def series(self) -> Series:
        """Measured resources over time."""
        return self.knowledge.series

    @property
    def runs(self) -> Runs:
        """Durable work."""
        return self.knowledge.runs

    @property
    def inbox(self) -> Inbox:
        """Updates that came in."""
        return self.knowledge.inbox

    @property
    def outbox(self) -> Outbox:
        """Messages that go out."""
        return self.knowledge.outbox

    @cached_property
    def people(self) -> People:
        """The people by the records and by the settings of this face (the playground has its own)."""
        return self.knowledge.people.with_roles_of(self.settings.telegram)

    async def names(self) -> Mapping[str, str]:
        """People's names by actor id."""
        return {person.actor_id: person.name for person in await self.people.all()}

    def zone_of(self, person: Person | None) -> tzinfo:
        """A person's time zone, or the settings'."""
        return paging.zone_of(person.time_zone if person is not None else None, self.settings.timezone)

    def language_of(self, person: Person) -> Language:
        """A person's language, or the settings'."""
        return person.language or self.settings.language

    @cached_property
    def decisions(self) -> Decisions:
        """The decisions of people."""
        return Decisions(
            DecisionDeps(
                gateway=self.gateway,
                tracker=self.tracker,
                silences=self.silences,
                overrides=self.changed,
                audit=self.audit,
                bus=self.bus,
                clock=self.clock,
                redact=self.redact,
                wake=self.poke,
            )
        )

    @cached_property
    def views(self) -> CardViews:
        """Gathers what cards of incidents and deploys show."""
        catalog = self.gateway.catalog
        return CardViews(
            calls=self.gateway.ledger,
            questions=self.knowledge.approvals,
            deploys=self.knowledge.deploys,
            versions=self.knowledge.versions,
            inventory=self.inventory,
            names=self.names,
            is_followed=lambda action: action in catalog and catalog.get(action).follow is not None,
            clock=self.clock,
        )

    @property
    def changed(self) -> SettingRecords:
        """Settings that were changed in the chat."""
        return self.knowledge.settings

    @property
    def audit(self) -> AuditRecords:
        """Every decision with who made it."""
        return self.knowledge.audit

    @property
    def memory(self) -> IncidentMemory:
        """Lessons of past incidents."""
        return self.knowledge.memory
