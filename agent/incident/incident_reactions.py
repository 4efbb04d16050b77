"""What the agent does when the incidents change: begins, lets go, thinks again."""

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

    def __init__(self, runtime: IncidentRuntime, door: ActionGateway) -> None:
        self._runtime = runtime
        self._door = door

    async def take_up(self, open_ones: Iterable[Incident]) -> None:
        """After a start: every open incident that the machine still has goes on where it was."""
        for incident in open_ones:
            if incident.state not in WITH_A_PERSON and not incident.is_flapping:
                await self._runtime.begin(incident)

    async def begin(self, event: IncidentOpened) -> None:
        """Think about a new incident; a flapping one is left alone."""
        if not event.incident.is_flapping:
            await self._runtime.begin(event.incident)

    async def let_go(self, event: IncidentRecovered | IncidentMerged) -> None:
        """It is over: what was asked for it is withdrawn."""
        await self._let_go(event.incident)

    async def think_again(self, event: AlertJoined) -> None:
        """The root has become known: what was asked for its victim is withdrawn, and thought over."""
        if event.is_root and event.incident.state in (IncidentState.DIAGNOSING, IncidentState.NEEDS_APPROVAL):
            await self._let_go(event.incident)

    async def leave_to_a_person(self, event: IncidentChanged) -> None:
        """Withdraw what was asked when a person takes it over or closes it; drop the thread once it is over."""
        state = event.incident.state
        if state in (IncidentState.ACKNOWLEDGED, IncidentState.CLOSED) and event.before.state is not state:
            await self._let_go(event.incident)
        elif event.before.state in WITH_A_PERSON and not event.incident.is_open:
            await self._runtime.forget(event.incident)

    async def _let_go(self, incident: Incident) -> None:
        await self._door.withdraw(incident.id)
        await self._runtime.poke(incident)
        await self._runtime.forget(incident)
