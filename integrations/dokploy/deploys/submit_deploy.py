"""Sends a deploy once, with a title that identifies it, after everything is recorded."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from core.actions.call_context import CurrentCall, current_call
from core.actions.catalog import Result
from core.deployments.deploys import Deploy, DeployKind, DeployPhase, VersionContent
from core.deployments.platform import ManagedResource
from core.error_text import own_words, problem_of
from core.errors import ActionFailed, GuardianError, Refused, SystemUnavailable
from core.text import Text, text
from integrations.dokploy.actions.dokploy_deps import DokployDeps, redacted_result
from integrations.dokploy.client.dokploy_errors import AnswerUnreadable
from integrations.dokploy.deploys.deployed_content import load_compose_file
from integrations.dokploy.deploys.deployment_history import shown_title
from integrations.dokploy.deploys.version_keeping import keep_running_version, new_version
from integrations.dokploy.models import ComposeRow, DeploymentStatus, QueuedJob

TITLE_LIMIT = 80
"""Length that Dokploy's list of deployments shows in one line."""
QUEUE_EXIT_PAUSES_S = (0.2, 0.4, 0.8, 1.6)
"""Pauses while a finished job leaves the queue: before that it names its deployment and notifies."""
SendDeploy = Callable[..., Awaitable[object]]


@dataclass(frozen=True, kw_only=True)
class DeployOrder:
    """Content to deploy, and the reason."""

    what: DeployKind
    fetches: bool = True
    """Fetch the source first if it comes from git; False rebuilds what is there."""
    why: str = ""
    content: VersionContent
    """Content of Dokploy's row."""
    file: str | None = None
    """Compose file, if it is known already."""


def call_under_way() -> CurrentCall:
    """Return the current call; raises Refused outside of one: a deploy must be recorded to be followed."""
    found = current_call()
    if found is None:
        raise Refused(
            "a deploy is only ordered by a call through the gateway, where it is written down and followed",
            message=text("dokploy_error.through_the_door"),
        )
    return found


@contextmanager
def nothing_sent_yet() -> Iterator[None]:
    """Turn an unavailable system into ActionFailed: nothing was sent yet, so the outcome is known."""
    try:
        yield
    except SystemUnavailable as error:
        message = text("dokploy_error.nothing_deployed", problem=own_words(error))
        raise ActionFailed(f"nothing was deployed: {error}", message=message) from error


class DeployUnderWay(Refused):
    """Deploy refused because another one of the same stack waits or runs."""

    def __init__(self, problem: str, *, message: Text, is_active: bool = False) -> None:
        super().__init__(problem, message=message)
        self.is_active = is_active
        """True if a job of Dokploy's queue runs, False if it waits."""


async def refuse_if_busy(parts: DokployDeps, managed: ManagedResource) -> None:
    """Raise DeployUnderWay while Dokploy's queue or one of our deploys has this one under way."""
    job = next((one for one in await parts.dokploy.deployments.queue() if managed.id == job_resource_id(one)), None)
    if job is not None:
        state = "runs" if job.is_active else "waits"
        raise DeployUnderWay(
            f"a deployment of {managed.name!r} {state} in Dokploy's queue already: "
            f"{shown_title(job.data.title_log, parts.redact)!r}; wait for its end"
            + ("" if job.is_active else ", or take it out (dokploy.compose.cancel_waiting)"),
            message=text(f"dokploy_error.queue_{state}", stack=managed.name, title=parts.redact(job.data.title_log)),
            is_active=job.is_active,
        )
    for ours in await parts.deploys.unfinished():
        if ours.managed_id == managed.id and ours.phase in (DeployPhase.WAITING, DeployPhase.RUNNING):
            raise DeployUnderWay(
                f"a deploy of {managed.name!r} is under way already: {ours.title!r}; wait for its verdict",
                message=text("dokploy_error.under_way", stack=managed.name, title=ours.title),
            )


async def load_idle_stack(parts: DokployDeps, stack: str) -> tuple[ManagedResource, ComposeRow]:
    """Return the stack and its row; raises DeployUnderWay while a deploy of it waits or runs.

    A job stays in the queue for a moment after its deployment has ended: that is waited out.
    """
    managed = parts.managed(stack)
    pauses = iter(QUEUE_EXIT_PAUSES_S)
    while True:
        busy, row = await asyncio.gather(
            refuse_if_busy(parts, managed), parts.dokploy.composes.one(managed.id), return_exceptions=True
        )
        if isinstance(row, BaseException):
            raise row
        if busy is None:
            return managed, row
        pause_s = next(pauses, None)
        if not isinstance(busy, DeployUnderWay) or not busy.is_active or _is_running(row) or pause_s is None:
            raise busy
        await asyncio.sleep(pause_s)


def _is_running(row: ComposeRow) -> bool:
    return any(one.status is DeploymentStatus.RUNNING for one in row.deployments)


def job_resource_id(job: QueuedJob) -> str | None:
    """Return the id of the compose or application that a job deploys."""
    return job.data.compose_id or job.data.application_id


async def submit_compose_deploy(
    parts: DokployDeps, managed: ManagedResource, row: ComposeRow, order: DeployOrder
) -> Result:
    """Keep the version, record the deploy, then send it. Raises AnswerLost if it is unknown whether it is queued."""
    with nothing_sent_yet():
        await keep_running_version(parts, managed, row, only_good=True)
        good = await parts.versions.last_good(managed.id)
        written = order.file if order.file is not None else await load_compose_file(parts, row)
        by = call_under_way()
        version = await parts.versions.add(
            new_version(parts, managed, row, order.content, by=by.actor.id, text=written, deploy_key=by.key),
            order.content,
        )
        deploy = new_deploy_record(
            parts,
            managed,
            what=order.what,
            why=order.why,
            known_ids=tuple(one.deployment_id for one in row.deployments),
        )
        deploy = replace(deploy, version_id=version.id, version_before=good.id if good is not None else None)
    composes = parts.dokploy.composes
    send = composes.deploy if order.fetches else composes.redeploy
    return await record_and_send(parts, deploy, send)


def new_deploy_record(
    parts: DokployDeps, managed: ManagedResource, *, what: DeployKind, why: str, known_ids: tuple[str, ...]
) -> Deploy:
    """Build the record of a deploy that the current call orders."""
    by = call_under_way()
    return Deploy(
        key=by.key,
        what=what,
        managed_id=managed.id,
        managed_kind=managed.kind,
        stack=managed.name,
        app_name=managed.app_name,
        type=managed.type,
        server=managed.server,
        host=managed.host,
        title=title_for_deploy(parts, by, what, why),
        why=parts.redact(why),
        requested_by=by.actor.id,
        requested_name=by.actor.name,
        approved_by=by.approved_by,
        incident_id=by.incident_id,
        ordered_at=parts.clock.now(),
        known_ids=known_ids,
        containers_before={one.id: one.restart_count for one in parts.containers(managed)},
    )


def title_for_deploy(parts: DokployDeps, by: CurrentCall, what: DeployKind, why: str) -> str:
    """Return the title `Ada: new version · ig-1a2b3c4d`: who, why, and a mark of the call; at most 80 characters."""
    mark = f" · ig-{hashlib.sha256(by.key.encode()).hexdigest()[:8]}"
    said = " ".join(parts.redact(f"{by.actor.name}: {why or what}").split())
    room = TITLE_LIMIT - len(mark)
    return (said if len(said) <= room else f"{said[: room - 1]}…") + mark


async def record_and_send(parts: DokployDeps, deploy: Deploy, send: SendDeploy) -> Result:
    """Record the deploy, then send it; one that certainly did not arrive is closed at once."""
    with nothing_sent_yet():
        await parts.deploys.put(deploy)
    described = " ".join(
        parts.redact(f"InfraGuardian, for {deploy.requested_name}: {deploy.why or deploy.what}").split()
    )
    try:
        await send(deploy.managed_id, title=deploy.title, description=described)
    except AnswerUnreadable:
        pass  # it was carried out all the same
    except SystemUnavailable:
        raise
    except GuardianError as error:
        message = text("dokploy.not_ordered", stack=deploy.stack, problem=problem_of(error, parts.redact))
        await parts.deploys.put(replace(deploy, phase=DeployPhase.NEVER, message=message, over_at=parts.clock.now()))
        raise
    data = {
        "stack": deploy.stack,
        "title": deploy.title,
        "what": str(deploy.what),
        "version": deploy.version_id,
        "version_before": deploy.version_before,
    }
    return redacted_result(parts, text("dokploy.ordered", stack=deploy.stack, title=deploy.title), dict(data))
