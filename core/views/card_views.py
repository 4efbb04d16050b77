"""Gathers what a card tells from the records: the incident or deploy, its questions and calls, people's names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Protocol

from core.actions.approvals import Approval, ApprovalState
from core.actions.calls import CallRecord
from core.clock import Clock
from core.deployments.deploys import Deploy, DeployPhase, StackVersion
from core.deployments.versions import version_changes
from core.incidents.incident import Incident
from core.monitoring.inventory import Inventory, Service
from core.monitoring.status import status_of
from core.views.deploy_card import DeployView, HealthyCount, incident_buttons, progress_blocks
from core.views.incident_card import IncidentView


class Calls(Protocol):
    """Wishes to act and how they ended."""

    async def get(self, key: str) -> CallRecord | None:
        """The record, or None."""
        ...

    async def of_incident(self, incident_id: int) -> list[CallRecord]:
        """All calls of an incident, oldest first."""
        ...


class Questions(Protocol):
    """Questions to people."""

    async def of_incident(self, incident_id: int) -> list[Approval]:
        """All of an incident, decided ones too, oldest first."""
        ...


class OrderedDeploys(Protocol):
    """Deploys of ours."""

    async def of_keys(self, *keys: str) -> list[Deploy]:
        """Those among these keys, in no order."""
        ...


class OldVersions(Protocol):
    """Versions that stacks were deployed from."""

    async def get(self, version_id: int) -> StackVersion | None:
        """The version, or None."""
        ...


@dataclass(frozen=True, kw_only=True)
class CardViews:
    """Gathers what cards show, as the records say now."""

    calls: Calls
    questions: Questions
    deploys: OrderedDeploys
    versions: OldVersions
    inventory: Callable[[], Inventory]
    names: Callable[[], Awaitable[Mapping[str, str]]]
    """People's names by actor id."""
    is_followed: Callable[[str], bool]
    """Tells whether what an action begins is followed, as deploys are."""
    clock: Clock

    async def incident(self, incident: Incident, zone: tzinfo) -> IncidentView:
        """The incident with everything its card tells."""
        calls = await self.calls.of_incident(incident.id)
        is_asking = any(record.approval_id for record in calls)
        approvals = await self.questions.of_incident(incident.id) if is_asking else []
        followed = [record.call.key for record in calls if self.is_followed(record.call.action)]
        deploys = await self.deploys.of_keys(*followed) if followed else []
        now = self.clock.now()
        is_asked = any(one.state is ApprovalState.PENDING for one in approvals)
        return IncidentView(
            incident=incident,
            approvals=approvals,
            calls=calls,
            now=now,
            zone=zone,
            names=await self.names(),
            under={one.key: progress_blocks(one, now, self.wellness(one)) for one in deploys if _is_telling(one)},
            more_buttons=incident_buttons(incident, _in_order(deploys, calls), is_asked=is_asked),
        )

    async def deploy(self, deploy: Deploy, call: CallRecord, zone: tzinfo) -> DeployView:
        """A deploy with everything its card tells."""
        before, after = await self._versions(deploy)
        return DeployView(
            deploy=deploy,
            now=self.clock.now(),
            zone=zone,
            names=await self.names(),
            call=call,
            services=self.wellness(deploy) if deploy.phase is DeployPhase.SETTLING else None,
            changes=version_changes(before, after) if before is not None and after is not None else (),
            good_from=after.at if after is not None else None,
        )

    async def _versions(self, deploy: Deploy) -> tuple[StackVersion | None, StackVersion | None]:
        if deploy.version_id is None:
            return None, None
        after = await self.versions.get(deploy.version_id)
        if deploy.version_before is None or deploy.version_before == deploy.version_id:
            return None, after
        return await self.versions.get(deploy.version_before), after

    def wellness(self, deploy: Deploy) -> HealthyCount | None:
        """Count the services of its stack that are well, as last seen; None: none of them is seen from here."""
        own = [one for one in self.inventory().services() if one.stack == deploy.stack]
        if not own:
            return None
        return HealthyCount(well=sum(_is_well(one) for one in own), total=len(own))


def _is_telling(deploy: Deploy) -> bool:
    """Return True if it adds to what the step's own end says."""
    return not deploy.phase.is_over or deploy.phase.is_bad


def _in_order(deploys: Sequence[Deploy], calls: Sequence[CallRecord]) -> list[Deploy]:
    by_key = {one.key: one for one in deploys}
    return [by_key[record.call.key] for record in calls if record.call.key in by_key]


def _is_well(service: Service) -> bool:
    return all(status_of(one).is_fine for one in service.containers)
