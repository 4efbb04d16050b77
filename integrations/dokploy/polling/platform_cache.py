"""Everything known of a Dokploy: each answer stays until the next one to the same question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from core.deployments.platform import (
    BackupState,
    Deployment,
    DeployStatus,
    DomainState,
    ManagedResource,
    QueuedDeployment,
    StackNames,
)
from core.monitoring.snapshot import PlatformView
from core.sanitize import sanitize_line
from integrations.dokploy.polling.project_tree import (
    PLACE_NAME_LIMIT,
    ManagedHeading,
    ManagedRow,
    ProjectTree,
    name_resources,
)
from integrations.dokploy.polling.service_details import BackupSchedule, ServiceDetails

_STATUS_OF = {DeployStatus.RUNNING: "running", DeployStatus.DONE: "done", DeployStatus.ERROR: "error"}


class PlatformCache:
    """Cache that takes answers and returns a PlatformView; it asks nothing itself."""

    def __init__(self, names: StackNames, *, since: datetime, stuck_after_s: float) -> None:
        self.is_loaded = False
        self.queue: tuple[QueuedDeployment, ...] = ()
        self.queue_at: datetime | None = None
        self.status_at: datetime | None = None
        self.project_ids: frozenset[str] = frozenset()
        self.clock_ahead = timedelta()
        """Lead of Dokploy's clock over ours."""
        self._names = names
        self._since = since
        self._stuck_after_s = stuck_after_s
        self._leaves: dict[str, ManagedRow] = {}
        self._details: dict[str, ServiceDetails] = {}
        self._volume_backups: dict[str, tuple[BackupSchedule, ...]] = {}
        self._runs: dict[str, BackupSchedule] = {}
        self._own_backup: BackupState | None = None
        self._deployments: Mapping[str, tuple[Deployment, ...]] = {}
        self._errors: dict[str, tuple[str, str]] = {}
        self._managed: tuple[ManagedResource, ...] | None = None

    # -- answers ----------------------------------------------------------------------------------------------------

    def take_tree(self, tree: ProjectTree, at: datetime) -> None:
        """Replace all managed resources."""
        self._leaves = {leaf.id: leaf for leaf in tree.leaves}
        self.project_ids = tree.project_ids
        self.status_at = at
        self.is_loaded = True
        self._forget()

    def take_project(self, project_id: str, leaves: Iterable[ManagedRow]) -> None:
        """Replace one project: resources it no longer holds are dropped, unless they moved to another."""
        kept = {key: leaf for key, leaf in self._leaves.items() if leaf.project_id != project_id}
        self._leaves = kept | {leaf.id: leaf for leaf in leaves}
        self.project_ids |= {project_id}
        self._forget()

    def take_headings(
        self, found: Mapping[str, ManagedHeading], projects: Iterable[str], at: datetime
    ) -> frozenset[str]:
        """Update all statuses and drop what is no longer listed; return the projects that hold something unknown."""
        strange = {
            one.project_id
            for one in found.values()
            if one.id not in self._leaves or self._leaves[one.id].project_id != one.project_id
        }
        self._leaves = {
            key: replace(leaf, status=found[key].status or leaf.status, name=found[key].name or leaf.name)
            for key, leaf in self._leaves.items()
            if key in found
        }
        self.project_ids = frozenset(projects)
        self.status_at = at
        self._forget()
        return frozenset(strange)

    def take_deployments(self, found: Mapping[str, tuple[Deployment, ...]]) -> None:
        """Replace the deployments of all resources."""
        self._deployments = found
        self._follow_statuses(found)
        listed = {one.id for own in found.values() for one in own} | {one.run_id for one in self.backups()}
        self._errors = {key: error for key, error in self._errors.items() if key in listed}

    def take_own_deployments(self, managed_id: str, own: tuple[Deployment, ...]) -> None:
        """Replace the deployments of one compose or application."""
        self._deployments = {**self._deployments, managed_id: own}
        self._follow_statuses({managed_id: own})

    def take_error(self, deployment_id: str, error: str, line: str) -> None:
        """Store the error class and line from the log of a failed deployment or backup."""
        self._errors[deployment_id] = (error, line)
        self._managed = None

    def take_detail(self, managed_id: str, detail: ServiceDetails) -> None:
        """Store the details of one resource."""
        self._details[managed_id] = detail
        leaf = self._leaves.get(managed_id)
        if leaf is not None and detail.status:
            self._leaves[managed_id] = replace(leaf, status=detail.status)
        self._managed = None

    def take_volume_backups(self, managed_id: str, backups: tuple[BackupSchedule, ...]) -> None:
        """Store the volume backups of one compose."""
        self._volume_backups[managed_id] = backups

    def take_runs(self, plan: BackupSchedule) -> None:
        """Store the last run of a backup whose runs do not come with it."""
        self._runs[plan.state.id] = plan

    def take_own_backup(self, state: BackupState) -> None:
        """Store the result of Dokploy's backup of itself, known only from its notification."""
        self._own_backup = state

    # -- what is known ----------------------------------------------------------------------------------------------

    def view(self, domains: Mapping[str, DomainState]) -> PlatformView:
        """Return the view for the detectors."""
        return PlatformView(
            managed=self.managed(),
            queue=self.queue,
            queue_at=self.queue_at,
            domains=domains,
            backups=self.backups(),
            status_at=self.status_at,
            stuck_after_s=self._stuck_after_s,
            since=self._since,
            clock_ahead=self.clock_ahead,
        )

    def managed(self) -> tuple[ManagedResource, ...]:
        """Return every managed resource, with all that is known of it."""
        if self._managed is None:
            named = name_resources(self._leaves.values(), self._names)
            self._managed = tuple(self._whole(one) for one in named)
        return self._managed

    def one(self, managed_id: str) -> ManagedResource | None:
        """Return the compose, application or database of that id; None if it is unknown."""
        return next((one for one in self.managed() if one.id == managed_id), None)

    def has(self, managed_id: str) -> bool:
        """Return whether the key may see that resource."""
        return managed_id in self._leaves

    def called(self, name: str, project: str) -> list[str]:
        """Return the ids of the resources with that name in Dokploy, in a project of that name."""
        wanted = (sanitize_line(name, PLACE_NAME_LIMIT), sanitize_line(project, PLACE_NAME_LIMIT))
        named = (
            (leaf.id, (sanitize_line(leaf.name, PLACE_NAME_LIMIT), leaf.project)) for leaf in self._leaves.values()
        )
        return [managed_id for managed_id, own in named if own == wanted]

    def backups(self) -> tuple[BackupState, ...]:
        """Return every planned backup that was seen, and Dokploy's own."""
        planned = [self._runs.get(plan.state.id, plan).state for plan in self._plans()]
        own = [self._own_backup] if self._own_backup else []
        return tuple(self._explained(one) for one in (*planned, *own))

    def untold(self, managed_id: str | None = None) -> list[BackupSchedule]:
        """Return the planned backups whose runs must be asked for, of one service or of all."""
        return [one for one in self._plans() if not one.is_told and managed_id in (None, one.state.managed_id)]

    def _plans(self) -> list[BackupSchedule]:
        of_services = [plan for detail in self._details.values() for plan in detail.backups]
        return of_services + [plan for own in self._volume_backups.values() for plan in own]

    def is_busy(self, now: datetime) -> bool:
        """Return whether a deployment waits or runs; one that has run far too long does not count."""
        oldest = now - timedelta(seconds=self._stuck_after_s)
        return bool(self.queue) or any(
            one.status is DeployStatus.RUNNING and (one.started_at or one.created_at or oldest) > oldest
            for own in self._deployments.values()
            for one in own[:1]
        )

    def unexplained(self) -> list[str]:
        """Return the ids of deployments and backups that failed while watched and whose log was not read yet."""
        newest = (next((one for one in own if one.status.is_final), None) for own in self._deployments.values())
        failed = [
            (one.id, one.finished_at or one.created_at)
            for one in newest
            if one is not None and one.status is DeployStatus.ERROR
        ]
        failed += [(one.run_id, one.at) for one in self.backups() if one.run_id and one.status is DeployStatus.ERROR]
        since = self._since + self.clock_ahead
        return [key for key, at in failed if at is not None and at > since and key not in self._errors]

    # -- parts ------------------------------------------------------------------------------------------------------

    def _whole(self, one: ManagedResource) -> ManagedResource:
        deployments = tuple(self._with_error(each) for each in self._deployments.get(one.id, ()))
        one = replace(one, deployments=deployments)
        detail = self._details.get(one.id)
        return detail.added_to(one) if detail else one

    def _with_error(self, one: Deployment) -> Deployment:
        error, line = self._errors.get(one.id, ("", ""))
        return replace(one, error=error, error_line=line) if error else one

    def _explained(self, one: BackupState) -> BackupState:
        line = self._errors.get(one.run_id, ("", ""))[1]
        return replace(one, detail=line) if line else one

    def _follow_statuses(self, found: Mapping[str, tuple[Deployment, ...]]) -> None:
        """Take the status from a deployment that is newer than the statuses."""
        for managed_id, own in found.items():
            leaf = self._leaves.get(managed_id)
            if leaf is None or not own or self.status_at is None:
                continue
            moment = own[0].finished_at or own[0].started_at or own[0].created_at
            status = _STATUS_OF.get(own[0].status)
            if status is not None and moment is not None and moment - self.clock_ahead > self.status_at:
                self._leaves[managed_id] = replace(leaf, status=status)
        self._managed = None

    def _forget(self) -> None:
        self._details = {key: one for key, one in self._details.items() if key in self._leaves}
        self._volume_backups = {key: one for key, one in self._volume_backups.items() if key in self._leaves}
        planned = {plan.state.id for plan in self._plans()}
        self._runs = {key: plan for key, plan in self._runs.items() if key in planned}
        self._managed = None
