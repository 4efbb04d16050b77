"""Applications of Dokploy: one Swarm service each."""

from __future__ import annotations

from datetime import datetime

from core.actions.catalog import JsonObject, Outcome, Preview, Result, Risk, action
from core.deployments.deploys import FOLLOW_KIND, DeployKind
from core.deployments.platform import ManagedKind, ManagedResource
from core.errors import ActionFailed, Refused
from core.text import text
from integrations.dokploy.actions.dokploy_deps import DokployToolset
from integrations.dokploy.actions.service_containers import has_running_task, wait_until_settled
from integrations.dokploy.actions.stack_params import ResourceDeployParams, ResourceParams
from integrations.dokploy.deploys.submit_deploy import (
    new_deploy_record,
    nothing_sent_yet,
    record_and_send,
    refuse_if_busy,
)
from integrations.dokploy.deploys.version_keeping import sort_deployment_rows
from integrations.dokploy.models import RollbackRow

SLOW_S = 240.0


class ApplicationActions(DokployToolset):
    """Deploy, roll back, start, stop and restart an application."""

    system = "dokploy.application"

    @action(Risk.CHANGE, follow=FOLLOW_KIND, snapshot="rollback_before", undo="back", time_limit_s=90.0)
    async def deploy(self, params: ResourceDeployParams) -> Result:
        """Deploy an application: fetch its source or image, build, start it; followed until it stays healthy.

        Undone by Dokploy's own rollback, if that is set up.
        """
        return await self._order(params, DeployKind.DEPLOY)

    @action(Risk.CHANGE, follow=FOLLOW_KIND, snapshot="rollback_before", undo="back", time_limit_s=90.0)
    async def redeploy(self, params: ResourceDeployParams) -> Result:
        """Build an application again from the source already there, and start it; followed until it stays healthy."""
        return await self._order(params, DeployKind.REDEPLOY)

    async def rollback_before(self, params: ResourceDeployParams) -> JsonObject:
        """Record the image that it could go back to."""
        managed = self._application(params.name)
        kept = await self._rollbacks(managed)
        return {"rollback_id": kept[0].rollback_id if kept else None, "image": kept[0].image if kept else None}

    async def back(self, params: ResourceDeployParams, snapshot: JsonObject) -> Result:
        """Restore the previous image."""
        managed = self._application(params.name)
        wanted = snapshot.get("rollback_id")
        kept = next((one for one in await self._rollbacks(managed) if one.rollback_id == wanted), None)
        if kept is None:
            raise _not_set_up(managed)
        return await self._go_back(managed, kept, "dokploy.rolled_back")

    @action(
        Risk.CHANGE,
        snapshot="image_before",
        undo="forward_again",
        preview="rollback_preview",
        time_limit_s=SLOW_S,
    )
    async def rollback(self, params: ResourceDeployParams) -> Result:
        """Go back to the previous image with Dokploy's own rollback, which must be set up there.

        Its environment and mounts go back too. Databases are not rolled back.
        """
        managed = self._application(params.name)
        await refuse_if_busy(self._parts, managed)
        return await self._go_back(managed, (await self._two_images(managed))[1], "dokploy.rolled_back")

    async def image_before(self, params: ResourceDeployParams) -> JsonObject:
        """Record the newest image."""
        newest = (await self._two_images(self._application(params.name)))[0]
        return {"rollback_id": newest.rollback_id, "image": newest.image}

    async def forward_again(self, params: ResourceDeployParams, snapshot: JsonObject) -> Result:
        """Restore the newest image."""
        managed = self._application(params.name)
        wanted = snapshot.get("rollback_id")
        kept = next((one for one in await self._rollbacks(managed) if one.rollback_id == wanted), None)
        if kept is None:
            raise Refused(
                f"the image that {managed.name!r} had before is not kept any more; deploy it",
                message=text("dokploy_error.image_gone", name=managed.name),
            )
        return await self._go_back(managed, kept, "dokploy.rolled_forward")

    async def rollback_preview(self, params: ResourceDeployParams) -> Preview:
        """Name the image it leaves and the one it goes back to."""
        now, then = await self._two_images(self._application(params.name))
        return Preview(
            lines=(f"- {now.image}", f"+ {then.image}"),
            warnings=(text("dokploy.warn.volumes"),),
            basis=f"{now.rollback_id} {then.rollback_id}",
        )

    @action(Risk.DISRUPTIVE, outcome="is_started", time_limit_s=SLOW_S)
    async def start(self, params: ResourceParams) -> Result:
        """Start an application with one replica. If it had more, `reload` restores them."""
        managed = self._application(params.name)
        await self._dokploy.applications.start(managed.id)
        return await self._told(managed, "dokploy.one_started", is_wanted=True)

    async def is_started(self, params: ResourceParams, started_at: datetime) -> Outcome:
        """Return OK if any task of the application runs."""
        return Outcome.OK if await has_running_task(self._parts, self._application(params.name)) else Outcome.FAILED

    @action(
        Risk.DISRUPTIVE,
        snapshot="state_before",
        undo="run_again",
        outcome="is_stopped",
        time_limit_s=SLOW_S,
    )
    async def stop(self, params: ResourceParams) -> Result:
        """Stop an application until someone starts it. Not a repair."""
        managed = self._application(params.name)
        await refuse_if_busy(self._parts, managed)
        await self._dokploy.applications.stop(managed.id)
        return await self._told(managed, "dokploy.one_stopped", is_wanted=False)

    async def state_before(self, params: ResourceParams) -> JsonObject:
        """Record whether it ran."""
        return {"was_running": await has_running_task(self._parts, self._application(params.name))}

    async def run_again(self, params: ResourceParams, snapshot: JsonObject) -> Result:
        """Start it with all its replicas if it ran before."""
        managed = self._application(params.name)
        if snapshot.get("was_running") is True:
            return await self.reload(params)
        return self._result(text("dokploy.was_stopped_before", stack=managed.name), {"name": managed.name})

    async def is_stopped(self, params: ResourceParams, started_at: datetime) -> Outcome:
        """Return OK if no task of the application runs."""
        return Outcome.FAILED if await has_running_task(self._parts, self._application(params.name)) else Outcome.OK

    @action(Risk.DISRUPTIVE, time_limit_s=SLOW_S)
    async def reload(self, params: ResourceParams) -> Result:
        """Restart an application with all its replicas; it is unavailable for a moment."""
        managed = self._application(params.name)
        await self._dokploy.applications.reload(managed.id, managed.app_name)
        return await self._told(managed, "dokploy.reloaded", is_wanted=True)

    # -- shared ----------------------------------------------------------------------------------------------------

    def _application(self, name: str) -> ManagedResource:
        return self._parts.managed(name, ManagedKind.APPLICATION)

    async def _order(self, params: ResourceDeployParams, what: DeployKind) -> Result:
        with nothing_sent_yet():
            managed = self._application(params.name)
            await refuse_if_busy(self._parts, managed)
            known = await self._dokploy.deployments.of_application(managed.id)
            deploy = new_deploy_record(
                self._parts,
                managed,
                what=what,
                why=params.why,
                known_ids=tuple(one.deployment_id for one in known),
            )
        applications = self._dokploy.applications
        return await record_and_send(
            self._parts, deploy, applications.deploy if what is DeployKind.DEPLOY else applications.redeploy
        )

    async def _rollbacks(self, managed: ManagedResource) -> list[RollbackRow]:
        """Return the images it can go back to, newest first."""
        found = sort_deployment_rows(await self._dokploy.deployments.of("application", managed.id))
        return [one.rollback for one in found if one.rollback is not None]

    async def _two_images(self, managed: ManagedResource) -> tuple[RollbackRow, RollbackRow]:
        """Return the newest image and the one before it."""
        kept = await self._rollbacks(managed)
        if not kept:
            raise _not_set_up(managed)
        if len(kept) < 2:
            raise Refused(
                f"Dokploy keeps only one image of {managed.name!r} ({kept[0].image}); there is none before it",
                message=text("dokploy_error.one_image", name=managed.name, image=kept[0].image),
            )
        return kept[0], kept[1]

    async def _go_back(self, managed: ManagedResource, kept: RollbackRow, key: str) -> Result:
        await self._dokploy.rollbacks.roll_back(kept.rollback_id)
        found = await wait_until_settled(self._parts, managed, is_wanted=True)
        if not found:
            raise ActionFailed(
                f"Dokploy put {kept.image!r} back for {managed.name!r}, but nothing of it runs; look at its log",
                message=text("dokploy_error.nothing_runs", name=managed.name, image=kept.image),
            )
        data: JsonObject = {"name": managed.name, "image": kept.image}
        return self._result(
            text(key, name=managed.name, image=kept.image or "–"),
            data,
            f"rollback.rollback {kept.rollback_id}",
            ends_here=True,
        )

    async def _told(self, managed: ManagedResource, key: str, *, is_wanted: bool) -> Result:
        is_so = await wait_until_settled(self._parts, managed, is_wanted=is_wanted)
        bad = "dokploy.one_not_started" if is_wanted else "dokploy.one_not_stopped"
        said = text(key if is_so else bad, name=managed.name)
        return self._result(said, {"name": managed.name}, outcome=Outcome.OK if is_so else Outcome.FAILED)


def _not_set_up(managed: ManagedResource) -> Refused:
    return Refused(
        f"Dokploy keeps no earlier image of {managed.name!r}: rollbacks are not set up for it. In Dokploy, add a "
        "registry (Settings, Registry), then switch rollbacks on in the application's deployments tab and choose that "
        "registry; from the next deploy on it can be rolled back",
        message=text("dokploy_error.no_earlier_image", name=managed.name),
    )
