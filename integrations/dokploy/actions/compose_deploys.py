"""Deploys of a stack: unchanged, with another image tag, or with newer images. Each is followed to its verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from core.actions.catalog import JsonObject, Outcome, Preview, Result, Risk, action
from core.deployments.deploys import FOLLOW_KIND, DeployKind, VersionContent
from core.deployments.platform import ManagedResource
from core.error_text import own_words
from core.errors import GuardianError, Refused
from core.text import Text, text
from integrations.compose_file.edits import set_image_tag
from integrations.compose_file.env_field import changed_keys, unset_variables
from integrations.compose_file.file_diff import masked_diff
from integrations.compose_file.file_errors import ComposeFileError
from integrations.dokploy.actions.dokploy_deps import DokployToolset, join_names
from integrations.dokploy.actions.stack_params import DeployParams, ImageTagParams, UpdateImagesParams
from integrations.dokploy.deploys.deployed_content import (
    content_digest,
    is_file_in_dokploy,
    is_swarm_stack,
    load_compose_file,
    refuse_git,
    restored_unless_deployed,
    row_branch,
    row_content,
    services_in,
    write_compose_file,
)
from integrations.dokploy.deploys.rollback_plan import (
    RollbackPlan,
    carry_out_rollback,
    plan_from_snapshot,
    plan_rollback,
    rollback_snapshot,
)
from integrations.dokploy.deploys.submit_deploy import (
    DeployOrder,
    load_idle_stack,
    nothing_sent_yet,
    submit_compose_deploy,
)
from integrations.dokploy.deploys.version_keeping import keep_running_version
from integrations.dokploy.models import ComposeRow

DEPLOY_ORDER_LIMIT_S = 90.0
STACK_PULL_LIMIT_S = 1200.0


class ComposeDeploys(DokployToolset):
    """Deploys of a stack: the actions that start a version of it."""

    system = "dokploy.compose"

    @action(
        Risk.CHANGE,
        snapshot="good_before",
        undo="back_to_good",
        preview="deploy_preview",
        follow=FOLLOW_KIND,
        time_limit_s=DEPLOY_ORDER_LIMIT_S,
    )
    async def deploy(self, params: DeployParams) -> Result:
        """Deploy a stack: fetch its source, start it, and follow it until its containers stay healthy.

        Refused while another one waits or runs. Undone by going back to the last good version. A stack of type `stack`
        is started this way too. To apply a change of the file alone, `redeploy` is enough.
        """
        return await self._deploy(params, DeployKind.DEPLOY)

    @action(
        Risk.CHANGE,
        snapshot="good_before",
        undo="back_to_good",
        preview="deploy_preview",
        follow=FOLLOW_KIND,
        time_limit_s=DEPLOY_ORDER_LIMIT_S,
    )
    async def redeploy(self, params: DeployParams) -> Result:
        """Start a stack again without fetching from git; applies the file and environment in Dokploy.

        Use it after an edit (`set_memory_limit` …). Dokploy doesn't announce the result, but it is followed here.
        After a failed git clone the code folder is empty: then only `deploy` helps.
        """
        return await self._deploy(params, DeployKind.REDEPLOY)

    async def good_before(self, params: DeployParams) -> JsonObject:
        """Record the last good version; keep the running one first if it is not kept yet."""
        managed, row = await load_idle_stack(self._parts, params.stack)
        await keep_running_version(self._parts, managed, row, only_good=True)
        good = await self._parts.versions.last_good(managed.id)
        return {"version": good.id if good is not None else None}

    async def back_to_good(self, params: DeployParams, snapshot: JsonObject) -> Result:
        """Roll back to the recorded good version, with a deploy that is followed."""
        with nothing_sent_yet():
            managed, row = await load_idle_stack(self._parts, params.stack)
            number = snapshot.get("version")
            version = await self._parts.versions.get(number) if isinstance(number, int) else None
            if version is None:
                raise Refused(
                    f"there is no earlier version of {managed.name!r} that is known to have held, so there is nothing "
                    "to go back to; look at the log of the deployment and correct its cause",
                    message=text("dokploy_error.nothing_good", stack=managed.name),
                )
            way = await plan_rollback(self._parts, managed, row, version)
        return await carry_out_rollback(self._parts, managed, row, way, why=f"back to version {version.id}")

    async def deploy_preview(self, params: DeployParams) -> Preview:
        """Show what is deployed, and the reasons why it may fail."""
        managed, row = await load_idle_stack(self._parts, params.stack)
        warnings = await self._warnings(managed, row)
        lines = (
            await self._what_is_new(managed, row)
            if is_file_in_dokploy(row)
            else [f"{managed.source}: {row_branch(row) or '–'}"]
        )
        return Preview(lines=tuple(lines), warnings=tuple(warnings), basis=content_digest(row_content(row)))

    @action(
        Risk.CHANGE,
        snapshot="before_tag",
        undo="put_back",
        preview="tag_preview",
        follow=FOLLOW_KIND,
        time_limit_s=DEPLOY_ORDER_LIMIT_S,
    )
    async def change_image_tag(self, params: ImageTagParams) -> Result:
        """Change a service's image tag in the Compose file and deploy, as one action that is followed.

        Undone by writing the old file back and deploying it. Only for files kept in Dokploy; not for images that are
        built.
        """
        with nothing_sent_yet():
            managed, row = await load_idle_stack(self._parts, params.stack)
            after = self._tagged(managed, row, params)
            if after == row_content(row).compose_file and self._runs_tag(managed, params):
                return self._nothing_to_do(text("dokploy.tag_same", service=params.service, tag=params.tag))
            await keep_running_version(self._parts, managed, row)
            await write_compose_file(self._parts, row, after)
        content = replace(row_content(row), compose_file=after)
        order = DeployOrder(what=DeployKind.UPDATE, why=f"{params.service}:{params.tag}", content=content, file=after)
        async with restored_unless_deployed(self._parts, row, content):
            return await submit_compose_deploy(self._parts, managed, row, order)

    async def before_tag(self, params: ImageTagParams) -> JsonObject:
        """Record the row as it is."""
        _, row = await load_idle_stack(self._parts, params.stack)
        return rollback_snapshot(row, RollbackPlan(content=row_content(row)))

    async def tag_preview(self, params: ImageTagParams) -> Preview:
        """Show the changed line."""
        managed, row = await load_idle_stack(self._parts, params.stack)
        before = row_content(row)
        after = self._tagged(managed, row, params)
        lines = masked_diff(before.compose_file, after)
        warnings = [] if lines else [text("dokploy.warn.no_change")]
        return Preview(lines=tuple(lines), warnings=tuple(warnings), basis=content_digest(before))

    @action(
        Risk.CHANGE,
        snapshot="images_before",
        undo="put_back",
        preview="update_preview",
        follow=FOLLOW_KIND,
        time_limit_s=STACK_PULL_LIMIT_S,
    )
    async def update_images(self, params: UpdateImagesParams) -> Result:
        """Pull the images that the registry has now under a stack's tags, and redeploy if any is newer.

        If nothing is newer, nothing is done. Undone by restoring the old images and redeploying. Images that are built
        or pinned to a digest are not touched.
        """
        with nothing_sent_yet():
            managed, row = await load_idle_stack(self._parts, params.stack)
            references = await self._references(managed, row, params.service)
            newer = await self._pull(managed, references)
            if not newer:
                return self._nothing_to_do(text("dokploy.no_newer_images", stack=managed.name, count=len(references)))
        order = DeployOrder(
            what=DeployKind.UPDATE, fetches=False, why=f"newer {', '.join(newer)}", content=row_content(row)
        )
        return await submit_compose_deploy(self._parts, managed, row, order)

    async def images_before(self, params: UpdateImagesParams) -> JsonObject:
        """Record the image ids its references resolve to now, and the row as it is."""
        managed, row = await load_idle_stack(self._parts, params.stack)
        await keep_running_version(self._parts, managed, row, only_good=True)
        host = self._host(managed)
        references = await self._references(managed, row, params.service)
        tags = {name: await self._parts.images.id_of(host, name) for name in references.values()}
        way = RollbackPlan(
            content=row_content(row), tags_now={name: one for name, one in tags.items() if one}, fetches=False
        )
        return {**rollback_snapshot(row, way), "had_images": bool(way.tags_now)}

    async def update_preview(self, params: UpdateImagesParams) -> Preview:
        """Name the images that will be pulled."""
        managed, row = await load_idle_stack(self._parts, params.stack)
        references = await self._references(managed, row, params.service)
        lines = [f"{service}: {reference}" for service, reference in references.items()]
        warnings = [text("dokploy.warn.swarm_images")] if is_swarm_stack(managed) else []
        return Preview(lines=tuple(lines), warnings=tuple(warnings), basis=content_digest(row_content(row)))

    async def put_back(self, params: ImageTagParams | UpdateImagesParams, snapshot: JsonObject) -> Result:
        """Restore the old file and tag the old images again, then deploy and follow."""
        with nothing_sent_yet():
            managed, row = await load_idle_stack(self._parts, params.stack)
            if is_swarm_stack(managed) and "had_images" in snapshot:
                raise Refused(
                    f"{managed.name!r} runs on Swarm, which asks the registry what a tag means: the earlier images "
                    "cannot be put back by name; give the service the earlier tag (dokploy.compose.change_image_tag)",
                    message=text("dokploy_error.tag_again", stack=managed.name),
                )
        return await carry_out_rollback(
            self._parts, managed, row, plan_from_snapshot(snapshot), why="undo: back to what ran before"
        )

    # -- shared ----------------------------------------------------------------------------------------------------

    async def _deploy(self, params: DeployParams, what: DeployKind) -> Result:
        with nothing_sent_yet():
            managed, row = await load_idle_stack(self._parts, params.stack)
        order = DeployOrder(what=what, fetches=what is DeployKind.DEPLOY, why=params.why, content=row_content(row))
        return await submit_compose_deploy(self._parts, managed, row, order)

    async def _warnings(self, managed: ManagedResource, row: ComposeRow) -> list[Text]:
        if not is_file_in_dokploy(row):
            return []
        content: VersionContent = row_content(row)
        try:
            unset = unset_variables(content.compose_file, content.env)
            names = {one.name for one in services_in(content.compose_file)}
        except ComposeFileError as error:
            message = text("dokploy_error.file_invalid", stack=managed.name, problem=own_words(error))
            raise Refused(f"{managed.name!r} cannot be deployed: {error}", message=message) from error
        lost = [one.host for one in row.domains if one.enabled and one.service_name and one.service_name not in names]
        warnings = [text("dokploy.warn.unset", names=", ".join(unset))] if unset else []
        return warnings + [text("dokploy.warn.lost_domain", domain=one) for one in lost]

    async def _what_is_new(self, managed: ManagedResource, row: ComposeRow) -> list[str]:
        """Return the changes since the last kept version, which is what runs or was tried; secrets masked."""
        newest = next(iter(await self._parts.versions.of(managed.id, 1)), None)
        then = await self._parts.versions.content(newest.id) if newest is not None else None
        if then is None:
            return []
        now = row_content(row)
        changed = changed_keys(then.env, now.env)
        lines = masked_diff(then.compose_file, now.compose_file)
        lines += [f"+ {key}" for key in changed.added] + [f"- {key}" for key in changed.removed]
        return [self._parts.redact(line) for line in [*lines, *(f"~ {key}" for key in changed.changed)]]

    def _runs_tag(self, managed: ManagedResource, params: ImageTagParams) -> bool:
        """Return whether all containers of the service were started from that tag."""
        images = [one.image for one in self._parts.containers(managed) if one.service == params.service]
        return bool(images) and all(image.endswith(f":{params.tag}") for image in images)

    def _tagged(self, managed: ManagedResource, row: ComposeRow, params: ImageTagParams) -> str:
        refuse_git(row, managed)
        return set_image_tag(row_content(row).compose_file, params.service, params.tag)

    def _nothing_to_do(self, message: Text) -> Result:
        return self._result(message, outcome=Outcome.NO_DATA, ends_here=True)

    def _host(self, managed: ManagedResource) -> str:
        if managed.host is None:
            raise Refused(
                f"the machine of {managed.name!r} is not watched here, so its images cannot be seen; add its engine "
                "to the setting `engines`",
                message=text("dokploy_error.host_not_watched", stack=managed.name),
            )
        return managed.host

    async def _references(self, managed: ManagedResource, row: ComposeRow, service: str | None) -> dict[str, str]:
        """Return service → image in the file, else of its containers; images that are built or pinned are left out."""
        self._host(managed)
        services = services_in(await load_compose_file(self._parts, row))
        running = {one.service: one.image for one in self._parts.containers(managed)}
        if service is not None and service not in {*running, *(one.name for one in services)}:
            known = sorted({*running, *(one.name for one in services)})
            raise Refused(
                f"{managed.name!r} has no service {service!r}; it has {', '.join(known) or 'none'}",
                message=text("dokploy_error.no_service", stack=managed.name, service=service, known=join_names(known)),
            )
        built = {one.name for one in services if one.build is not None}
        written = {one.name: one.image for one in services if one.image and "$" not in one.image}
        found = {name: image for name, image in {**running, **written}.items() if name not in built}
        return {
            name: image
            for name, image in found.items()
            if service in (None, name) and "@" not in image and not image.startswith("sha256:")
        }

    async def _pull(self, managed: ManagedResource, references: Mapping[str, str]) -> list[str]:
        """Pull all; return the references with an image newer than the running one. A failure restores the old tags."""
        host, images = self._host(managed), self._parts.images
        before = {one: await images.id_of(host, one) for one in references.values()}
        ran = {one.service: one.image_id for one in self._parts.containers(managed)}
        newer: list[str] = []
        try:
            for service, reference in references.items():
                pulled = await images.pull(host, reference)
                if pulled != (ran.get(service) or before[reference]) and reference not in newer:
                    newer.append(reference)
        except (GuardianError, asyncio.CancelledError):
            for reference, image in before.items():
                if image is not None:
                    await images.tag(host, image, reference)
            raise
        return newer
