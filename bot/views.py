"""Gathers what a card tells from the records: the incident or deploy, its questions and calls, people's names."""

from __future__ import annotations

from datetime import tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.chat_face_deps import BotDeps
from core.actions.approvals import Approval, ApprovalState
from core.deployments.deploys import Deploy, DeployPhase, StackVersion
from core.deployments.versions import version_changes
from core.incidents.incident import Incident
from core.monitoring.status import status_of
from core.views.deploy_card import DeployView, HealthyCount, incident_buttons, progress_blocks
from core.views.incident_card import IncidentView
from knowledge.records.people_records import Person


async def incident_view(face: BotDeps, incident: Incident, zone: tzinfo | None = None) -> IncidentView:
    """The incident with everything its card tells, as the records say now."""
    calls = await face.door.ledger.of_incident(incident.id)
    ids = dict.fromkeys(record.approval_id for record in calls if record.approval_id)
    approvals: list[Approval] = []
    for approval_id in ids:
        approval = await face.door.approvals.get(approval_id)
        if approval is not None:
            approvals.append(approval)
    now = face.clock.now()
    deploys = [one for record in calls if (one := await face.deploys.get(record.call.key)) is not None]
    is_asked = any(one.state is ApprovalState.PENDING for one in approvals)
    return IncidentView(
        incident=incident,
        approvals=approvals,
        calls=calls,
        now=now,
        zone=zone or zone_of(face, None),
        names=await names(face),
        under={one.key: progress_blocks(one, now, wellness(face, one)) for one in deploys if _is_telling(one)},
        more_buttons=incident_buttons(incident, deploys, is_asked=is_asked),
    )


def _is_telling(deploy: Deploy) -> bool:
    """Whether it adds to what the step's own end says."""
    return not deploy.phase.is_over or deploy.phase.is_bad


async def deploy_view(face: BotDeps, deploy: Deploy, zone: tzinfo) -> DeployView:
    """A deploy with everything its card tells, as the records say now."""
    before, after = await _versions(face, deploy)
    return DeployView(
        deploy=deploy,
        now=face.clock.now(),
        zone=zone,
        names=await names(face),
        call=await face.door.ledger.get(deploy.key),
        services=wellness(face, deploy) if deploy.phase is DeployPhase.SETTLING else None,
        changes=version_changes(before, after) if before is not None and after is not None else (),
        good_from=after.at if after is not None else None,
    )


async def _versions(face: BotDeps, deploy: Deploy) -> tuple[StackVersion | None, StackVersion | None]:
    if deploy.version_id is None:
        return None, None
    after = await face.versions.get(deploy.version_id)
    if deploy.version_before is None or deploy.version_before == deploy.version_id:
        return None, after
    return await face.versions.get(deploy.version_before), after


def wellness(face: BotDeps, deploy: Deploy) -> HealthyCount | None:
    """How many services of its stack are well, as last seen; None: none of them is seen from here."""
    own = [one for one in face.inventory().services() if one.stack == deploy.stack]
    if not own:
        return None
    return HealthyCount(
        well=sum(all(status_of(each).is_fine for each in one.containers) for one in own), total=len(own)
    )


async def names(face: BotDeps) -> dict[str, str]:
    """People's names by actor id."""
    return {person.actor_id: person.name for person in await face.people.all()}


def zone_of(face: BotDeps, person: Person | None) -> tzinfo:
    """A person's time zone, or the settings'."""
    chosen = person.preferences.get("timezone") if person else None
    for name in (chosen, face.settings.timezone):
        if isinstance(name, str):
            try:
                return ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError):
                continue
    return ZoneInfo("UTC")
