"""Edits of one setting in a stack's Compose file, without deploying it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

from core.actions.catalog import JsonObject, Outcome, Params, Preview, Result, Risk, action
from core.deployments.platform import ManagedResource
from core.errors import Refused
from core.text import text
from integrations.compose_file.edits import (
    LimitStyle,
    MountMode,
    ServiceFacts,
    read_services,
    set_cpu_limit,
    set_healthcheck,
    set_image_tag,
    set_memory_limit,
    set_restart,
    set_volume,
)
from integrations.dokploy.actions.dokploy_deps import MB, DokployToolset
from integrations.dokploy.actions.file_edit import FileEdit, file_edit, take_file_back
from integrations.dokploy.actions.stack_params import (
    CpuLimitParams,
    HealthcheckParams,
    ImageTagParams,
    MemoryLimitParams,
    RestartPolicyParams,
    ServiceParams,
    VolumeParams,
)
from integrations.dokploy.deploys.deployed_content import is_swarm_stack, row_content

EDIT_LIMIT_S = 60.0
HOST_RESERVE_MB = 256
"""Memory a limit must leave to the host."""


T = TypeVar("T", bound=DokployToolset)
P = TypeVar("P", bound=Params)


def _edit_action(
    outcome: str = "would_change_nothing",
) -> Callable[[Callable[[T, P], Awaitable[Result]]], Callable[[T, P], Awaitable[Result]]]:
    """Mark a method as an edit of the file; edits differ only in `outcome`, the check whether a lost one was made."""
    return action(
        Risk.CHANGE,
        snapshot="file_before",
        undo="take_back",
        outcome=outcome,
        preview="changed_lines",
        time_limit_s=EDIT_LIMIT_S,
    )


class ComposeEdits(DokployToolset):
    """Edits that keep comments, order and anchors; each shows a diff first and is undone from its snapshot.

    They take effect at the next `redeploy`.
    """

    system = "dokploy.compose"

    # -- memory ----------------------------------------------------------------------------------------------------

    @_edit_action(outcome="has_memory_limit")
    async def set_memory_limit(self, params: MemoryLimitParams) -> Result:
        """Set the memory limit of a service in the Compose file; `redeploy` applies it.

        For a limit that is too low for a peak, not for a leak. Permanent, unlike docker.update_memory. Refused if the
        host doesn't have that much, if the file comes from git, or if a variable holds the limit (the error names
        it; set it with set_environment).
        """
        edit = await self._memory(params)
        old, new = self._limits(edit, params.service)
        data: JsonObject = {"service": params.service, "old_limit_mb": old, "new_limit_mb": new}
        message = text(
            "dokploy.memory_set", stack=edit.managed.name, service=params.service, old_mb=old or "–", new_mb=new
        )
        return await edit.carry_out(message, data)

    async def has_memory_limit(self, params: MemoryLimitParams, started_at: datetime) -> Outcome:
        """Return OK if the file has the limit; a multiple is checked against the limit the containers run with."""
        now = (await self._service(params)).memory_limit_bytes or 0
        if params.limit_mb is not None:
            return _ok_if(now == params.limit_mb * MB)
        held = self._held_mb(self._parts.managed(params.stack), params.service) * MB
        if held and abs(now - held * (params.factor or 1.0)) < MB:
            return Outcome.OK
        return Outcome.FAILED if held and now == held else Outcome.UNKNOWN

    async def _memory(self, params: MemoryLimitParams) -> FileEdit:
        def change(managed: ManagedResource, before: str) -> str:
            return set_memory_limit(
                before,
                params.service,
                limit_mb=params.limit_mb,
                factor=params.factor,
                current_mb=self._held_mb(managed, params.service) or None,
                style=_style(managed),
            )

        edit = await file_edit(self._parts, params.stack, change)
        _, new = self._limits(edit, params.service)
        total = self._parts.memory_of_host(edit.managed) // MB
        if total and new > total - HOST_RESERVE_MB:
            raise Refused(
                f"{new} MB for {params.service!r} do not fit: {edit.managed.host!r} has {total} MB in all, and "
                f"{HOST_RESERVE_MB} MB of them stay for itself; choose less",
                message=text(
                    "dokploy_error.memory_does_not_fit",
                    new_mb=new,
                    service=params.service,
                    host=edit.managed.host,
                    total_mb=total,
                    kept_mb=HOST_RESERVE_MB,
                ),
            )
        return edit

    def _limits(self, edit: FileEdit, service: str) -> tuple[int | None, int]:
        """Return the limits before and after, in MB; None before if there is no limit."""
        old = _facts(edit.before, service).memory_limit_bytes
        held = self._held_mb(edit.managed, service)
        return (old // MB if old else held or None), (_facts(edit.after, service).memory_limit_bytes or 0) // MB

    def _held_mb(self, managed: ManagedResource, service: str) -> int:
        """Return the limit its containers run with, in MB; 0 if they have none or there are none."""
        held = [one.memory_limit_bytes for one in self._parts.containers(managed) if one.service == service]
        return max(held, default=0) // MB

    # -- processors ------------------------------------------------------------------------------------------------

    @_edit_action(outcome="has_cpu_limit")
    async def set_cpu_limit(self, params: CpuLimitParams) -> Result:
        """Set how many CPUs a service may use, in the Compose file; `redeploy` applies it."""
        edit = await self._cpu(params)
        old = _facts(edit.before, params.service).cpu_limit
        message = text(
            "dokploy.cpu_set", stack=edit.managed.name, service=params.service, old=old or "–", new=params.cpus
        )
        return await edit.carry_out(message, {"service": params.service, "old_cpus": old, "new_cpus": params.cpus})

    async def has_cpu_limit(self, params: CpuLimitParams, started_at: datetime) -> Outcome:
        """Return OK if the file has the CPU limit."""
        now = (await self._service(params)).cpu_limit
        return _ok_if(now is not None and abs(now - params.cpus) < 0.001)

    async def _cpu(self, params: CpuLimitParams) -> FileEdit:
        def change(managed: ManagedResource, before: str) -> str:
            return set_cpu_limit(before, params.service, params.cpus, style=_style(managed))

        edit = await file_edit(self._parts, params.stack, change)
        hosts = self._parts.inventory().hosts
        cpus = next((one.cpus for one in hosts if one.name == edit.managed.host and not one.is_platform), 0)
        if cpus and params.cpus > cpus:
            raise Refused(
                f"{params.cpus:g} processors for {params.service!r} do not fit: {edit.managed.host!r} has {cpus}, and "
                "Docker would not start it; choose less",
                message=text(
                    "dokploy_error.cpus_do_not_fit",
                    service=params.service,
                    cpus=params.cpus,
                    host=edit.managed.host,
                    total=cpus,
                ),
            )
        return edit

    # -- image -----------------------------------------------------------------------------------------------------

    @_edit_action(outcome="has_tag")
    async def set_image_tag(self, params: ImageTagParams) -> Result:
        """Change a service's image tag in the Compose file without deploying; change_image_tag does both."""
        edit = await self._image(params)
        message = text("dokploy.tag_set", stack=edit.managed.name, service=params.service, tag=params.tag)
        old, new = _facts(edit.before, params.service).image, _facts(edit.after, params.service).image
        return await edit.carry_out(message, {"service": params.service, "old_image": old, "new_image": new})

    async def has_tag(self, params: ImageTagParams, started_at: datetime) -> Outcome:
        """Return OK if the file has the tag."""
        return _ok_if(((await self._service(params)).image or "").endswith(f":{params.tag}"))

    async def _image(self, params: ImageTagParams) -> FileEdit:
        return await file_edit(
            self._parts, params.stack, lambda _, before: set_image_tag(before, params.service, params.tag)
        )

    # -- health check ----------------------------------------------------------------------------------------------

    @_edit_action()
    async def set_healthcheck(self, params: HealthcheckParams) -> Result:
        """Set the health check of a service in the Compose file; `redeploy` applies it.

        The command runs inside the container, so the program it calls (curl, wget) must be in the image.
        """
        edit = await self._healthcheck(params)
        message = text("dokploy.healthcheck_set", stack=edit.managed.name, service=params.service)
        return await edit.carry_out(message, {"service": params.service})

    async def _healthcheck(self, params: HealthcheckParams) -> FileEdit:
        def change(_: ManagedResource, before: str) -> str:
            return set_healthcheck(
                before,
                params.service,
                params.test,
                interval_s=params.interval_s,
                timeout_s=params.timeout_s,
                retries=params.retries,
                start_period_s=params.start_period_s,
            )

        return await file_edit(self._parts, params.stack, change)

    # -- restart policy --------------------------------------------------------------------------------------------

    @_edit_action()
    async def set_restart_policy(self, params: RestartPolicyParams) -> Result:
        """Set when Docker restarts a service on its own, in the Compose file; `redeploy` applies it."""
        edit = await self._policy(params)
        old = _facts(edit.before, params.service).restart
        message = text(
            "dokploy.policy_set", stack=edit.managed.name, service=params.service, old=old or "no", new=params.policy
        )
        return await edit.carry_out(
            message, {"service": params.service, "old_policy": old, "new_policy": params.policy}
        )

    async def _policy(self, params: RestartPolicyParams) -> FileEdit:
        def change(managed: ManagedResource, before: str) -> str:
            return set_restart(before, params.service, params.policy, style=_style(managed))

        return await file_edit(self._parts, params.stack, change)

    # -- volume ----------------------------------------------------------------------------------------------------

    @_edit_action()
    async def set_volume(self, params: VolumeParams) -> Result:
        """Mount a volume or a folder of the host into a service, in the Compose file; `redeploy` applies it.

        Whatever was mounted at that path before stays on the disk, but the service no longer sees it.
        """
        edit = await self._volume(params)
        message = text(
            "dokploy.volume_set",
            stack=edit.managed.name,
            service=params.service,
            source=params.source,
            target=params.target_path,
        )
        return await edit.carry_out(message, {"service": params.service})

    async def _volume(self, params: VolumeParams) -> FileEdit:
        mode: MountMode = "ro" if params.read_only else "rw"
        return await file_edit(
            self._parts,
            params.stack,
            lambda _, before: set_volume(before, params.service, params.source, params.target_path, mode=mode),
        )

    # -- shared ----------------------------------------------------------------------------------------------------

    async def changed_lines(self, params: ServiceParams) -> Preview:
        """Show the lines the edit changes."""
        hidden = [text("dokploy.warn.volume", target=params.target_path)] if isinstance(params, VolumeParams) else []
        return (await self._edit(params)).preview(*hidden)

    async def file_before(self, params: ServiceParams) -> JsonObject:
        """Record the file before and after."""
        return (await self._edit(params)).snapshot()

    async def would_change_nothing(self, params: ServiceParams, started_at: datetime) -> Outcome:
        """Return OK if repeating the change would change nothing."""
        edit = await self._edit(params)
        return _ok_if(edit.before == edit.after)

    async def _edit(self, params: ServiceParams) -> FileEdit:
        """Return the edit for these parameters."""
        makers: dict[type[ServiceParams], Callable[[Any], Awaitable[FileEdit]]] = {
            MemoryLimitParams: self._memory,
            CpuLimitParams: self._cpu,
            ImageTagParams: self._image,
            HealthcheckParams: self._healthcheck,
            RestartPolicyParams: self._policy,
            VolumeParams: self._volume,
        }
        return await makers[type(params)](params)

    async def take_back(self, params: ServiceParams, snapshot: JsonObject) -> Result:
        """Restore the file, without deploying it."""
        return await take_file_back(self._parts, params.stack, snapshot)

    async def _service(self, params: ServiceParams) -> ServiceFacts:
        managed = self._parts.managed(params.stack)
        return _facts(row_content(await self._dokploy.composes.one(managed.id)).compose_file, params.service)


def _facts(file: str, service: str) -> ServiceFacts:
    found = next((one for one in read_services(file) if one.name == service), None)
    if found is None:
        raise Refused(
            f"the Compose file has no service {service!r}",
            message=text("dokploy_error.file_has_no_service", service=service),
        )
    return found


def _style(managed: ManagedResource) -> LimitStyle:
    return "swarm" if is_swarm_stack(managed) else "compose"


def _ok_if(is_so: bool) -> Outcome:
    return Outcome.OK if is_so else Outcome.FAILED
