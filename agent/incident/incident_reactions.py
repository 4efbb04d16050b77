"""Reactions of the agent to changes of incidents: begin, withdraw, reconsider."""

from __future__ import annotations

from collections.abc import Iterable

from agent.incident.runtime import IncidentRuntime
from core.actions.gateway import ActionGateway
from core.incidents.incident import WITH_A_PERSON, Incident, IncidentState
from core.incidents.incident_events import (
    AlertJoined,
    IncidentChanged,
    IncidentMerged,
    IncidentOpened,
    IncidentRecovered,
)


class IncidentReactions:
    """One method for each event; the composition root lists them in its table of events."""

    def __init__(self, runtime: IncidentRuntime, gateway: ActionGateway) -> None:
        self._runtime = runtime
        self._gateway = gateway

    async def take_up(self, open_ones: Iterable[Incident]) -> None:
        """Resume every open incident that is not with a person, after a start."""
        for incident in open_ones:
            if incident.state not in WITH_A_PERSON and not incident.is_flapping:
                await self._runtime.begin(incident)

    async def begin(self, event: IncidentOpened) -> None:
        """Begin the run of a new incident unless it is flapping."""
        if not event.incident.is_flapping:
            await self._runtime.begin(event.incident)

    async def let_go(self, event: IncidentRecovered | IncidentMerged) -> None:
        """Withdraw the open calls of an incident that is over."""
        await self._let_go(event.incident)

    async def think_again(self, event: AlertJoined) -> None:
        """Withdraw the plan for a victim once the root is known, so that it is reconsidered."""
        if event.is_root and event.incident.state in (IncidentState.DIAGNOSING, IncidentState.NEEDS_APPROVAL):
            await self._let_go(event.incident)

    async def leave_to_a_person(self, event: IncidentChanged) -> None:
        """Withdraw open calls when a person takes over or closes it; drop the thread once it is over."""
        state = event.incident.state
        if state in (IncidentState.ACKNOWLEDGED, IncidentState.CLOSED) and event.before.state is not state:
            await self._let_go(event.incident)
        elif event.before.state in WITH_A_PERSON and not event.incident.is_open:
            await self._runtime.forget(event.incident)

    async def _let_go(self, incident: Incident) -> None:
        await self._gateway.withdraw(incident.id)
        await self._runtime.poke(incident)
        await self._runtime.forget(incident)
