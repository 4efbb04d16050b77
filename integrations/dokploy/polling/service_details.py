"""Details that Dokploy sends of one service at a time: domains, source, branch, and backup runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from core.deployments.platform import BackupState, DeployStatus, Domain, ManagedKind, ManagedResource
from core.sanitize import sanitize_line
from integrations.dokploy.client.dokploy_client import Dokploy
from integrations.dokploy.client.endpoints.deployment_queue import DeploymentOwner
from integrations.dokploy.client.instance_models import VolumeBackup
from integrations.dokploy.models import ApplicationRow, BackupRow, ComposeRow, DatabaseKind, DeploymentRow, DomainRow

HOST_NAME_LIMIT = 253
"""Longest host name, as in DNS."""


@dataclass(frozen=True, kw_only=True)
class BackupSchedule:
    """Planned backup and its last run."""

    state: BackupState
    owner: DeploymentOwner
    """Kind of owner its runs are asked for by."""
    is_told: bool = False
    """True if its runs came with it; otherwise they must be asked for."""


@dataclass(frozen=True, kw_only=True)
class ServiceDetails:
    """Details from one request about a compose, an application or a database."""

    at: datetime
    domains: tuple[Domain, ...] = ()
    source: str = ""
    type: str = ""
    branch: str | None = None
    status: str = ""
    backups: tuple[BackupSchedule, ...] = ()

    def added_to(self, managed: ManagedResource) -> ManagedResource:
        """Return the resource with these details added."""
        return replace(
            managed, domains=self.domains, source=self.source, type=self.type or managed.type, branch=self.branch
        )


async def fetch_details(client: Dokploy, managed: ManagedResource, now: datetime) -> ServiceDetails:
    """Ask for the details with one request; the secrets in the answer are dropped with it."""
    if managed.kind is ManagedKind.COMPOSE:
        return _of_compose(await client.composes.one(managed.id), managed, now)
    if managed.kind is ManagedKind.APPLICATION:
        return _of_application(await client.applications.one(managed.id), now)
    row = await client.databases.one(DatabaseKind(managed.type), managed.id)
    status = str(row.application_status or "")
    return ServiceDetails(at=now, type=managed.type, status=status, backups=tuple(_plans(row.backups, managed)))


async def fetch_volume_backups(client: Dokploy, managed: ManagedResource) -> tuple[BackupSchedule, ...]:
    """Ask for the planned backups of a compose's volumes with one request."""
    rows = await client.volume_backups.of("compose", managed.id)
    return tuple(_volume_plan(row, managed) for row in rows if row.enabled is not False)


async def fetch_backup_runs(client: Dokploy, plan: BackupSchedule) -> BackupSchedule:
    """Ask for the last run of a planned backup with one request."""
    return _with_runs(plan, await client.deployments.of(plan.owner, plan.state.id))


def _of_compose(row: ComposeRow, managed: ManagedResource, now: datetime) -> ServiceDetails:
    branch = row.branch_field
    return ServiceDetails(
        at=now,
        domains=tuple(to_domain(one) for one in row.domains),
        source=str(row.source_type or ""),
        type=str(row.compose_type or ""),
        branch=getattr(row, branch) if branch else None,
        status=str(row.compose_status or ""),
        backups=tuple(_plans(row.backups, managed)),
    )


def _of_application(row: ApplicationRow, now: datetime) -> ServiceDetails:
    branch = row.custom_git_branch if str(row.source_type) == "git" else row.branch
    return ServiceDetails(
        at=now,
        domains=tuple(to_domain(one) for one in row.domains),
        source=str(row.source_type or ""),
        branch=branch,
        status=str(row.application_status or ""),
    )


def to_domain(row: DomainRow) -> Domain:
    """Convert a domain."""
    return Domain(
        id=row.domain_id,
        host=sanitize_line(row.host, HOST_NAME_LIMIT),
        path=row.path or "/",
        https=row.https,
        port=row.port,
        service=row.service_name,
        certificate=row.certificate_type or "none",
        is_enabled=row.enabled,
    )


def _plans(rows: Iterable[BackupRow], managed: ManagedResource) -> Iterable[BackupSchedule]:
    for row in rows:
        if row.enabled is not False:
            what = row.database or row.service_name or row.database_type or ""
            name = f"{managed.name} ({what})" if what and what != managed.name else managed.name
            plan = BackupSchedule(state=BackupState(id=row.backup_id, name=name, managed_id=managed.id), owner="backup")
            yield _with_runs(plan, row.deployments) if "deployments" in row.model_fields_set else plan


def _volume_plan(row: VolumeBackup, managed: ManagedResource) -> BackupSchedule:
    name = f"{managed.name} ({row.volume_name or row.name})"
    state = BackupState(id=row.volume_backup_id, name=name, managed_id=managed.id)
    plan = BackupSchedule(state=state, owner="volumeBackup")
    return _with_runs(plan, row.deployments) if "deployments" in row.model_fields_set else plan


def _with_runs(plan: BackupSchedule, runs: Iterable[DeploymentRow]) -> BackupSchedule:
    """Return the plan with its newest run; the error text is left out, for it may hold the database's password."""
    dated = ((run.created_at or run.started_at, run) for run in runs)
    known = [(at, run) for at, run in dated if at is not None]
    if not known:
        return replace(plan, is_told=True)
    at, last = max(known, key=lambda one: one[0])
    state = replace(
        plan.state,
        status=DeployStatus(str(last.status)) if last.status else DeployStatus.UNKNOWN,
        at=last.finished_at or at,
        run_id=last.deployment_id,
    )
    return replace(plan, state=state, is_told=True)
