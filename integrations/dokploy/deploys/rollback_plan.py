"""Plan of a rollback to an earlier version of a compose: content to write, images to tag, and the deploy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from core.actions.catalog import JsonObject, Result
from core.deployments.deploys import DeployKind, StackVersion, VersionContent, VersionVerdict
from core.deployments.platform import ManagedResource
from core.errors import GuardianError, NotFound, Refused
from core.text import Text, Value
from core.text import text as said
from integrations.dokploy.actions.dokploy_deps import DokployDeps
from integrations.dokploy.actions.stack_params import is_commit_hash
from integrations.dokploy.deploys.deployed_content import (
    content_digest,
    is_file_in_dokploy,
    is_swarm_stack,
    load_compose_file,
    restored_unless_deployed,
    row_branch,
    row_content,
    row_source,
    services_in,
    source_name,
    write_content,
)
from integrations.dokploy.deploys.submit_deploy import DeployOrder, nothing_sent_yet, submit_compose_deploy
from integrations.dokploy.deploys.version_keeping import FOUND_RUNNING, is_version_kept, new_version
from integrations.dokploy.models import ComposeRow


@dataclass(frozen=True, kw_only=True)
class RollbackPlan:
    """Steps of a rollback. `content` is secret."""

    content: VersionContent
    file: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    """Reference → id of the image to tag with it on the stack's host."""
    tags_now: Mapping[str, str] = field(default_factory=dict)
    """Reference → id of the image it resolves to now, if any."""
    fetches: bool = True
    gone: tuple[str, ...] = ()
    """References whose old image is no longer on the host: another one may be used instead."""
    version: StackVersion | None = None

    def to_json(self) -> JsonObject:
        """Return the plan as JSON, for a snapshot; secret."""
        content = self.content
        return {
            "compose_file": content.compose_file,
            "env": content.env,
            "settings": content.settings,
            "tags": dict(self.tags),
            "fetches": self.fetches,
        }


def plan_from_snapshot(snapshot: JsonObject) -> RollbackPlan:
    """Read the plan that `to_json` wrote."""
    settings, tags = snapshot.get("settings"), snapshot.get("tags")
    compose_file = str(snapshot.get("compose_file") or "")
    return RollbackPlan(
        content=VersionContent(
            compose_file=compose_file,
            env=str(snapshot.get("env") or ""),
            settings=settings if isinstance(settings, dict) else {},
        ),
        file=compose_file or None,
        tags={name: str(value) for name, value in tags.items()} if isinstance(tags, dict) else {},
        fetches=snapshot.get("fetches") is not False,
    )


async def last_good_before(parts: DokployDeps, managed: ManagedResource, row: ComposeRow) -> StackVersion | None:
    """Return the newest version that stayed healthy and is not the running one."""
    newest = next(iter(await parts.versions.of(managed.id, 1)), None)
    if newest is None:
        return None
    kept = await is_version_kept(parts, managed, row)
    running = newest.digest if kept else content_digest(row_content(row))
    images = {one.service: one.image_id for one in parts.containers(managed) if one.image_id}
    found = await parts.versions.last_good(managed.id, before=newest.id if kept else None)
    while (
        found is not None
        and is_file_in_dokploy(row)
        and found.digest == running
        and _ran_same_images(found.image_ids, images)
    ):
        found = await parts.versions.last_good(managed.id, before=found.id)
    return found


def _ran_same_images(then: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Return whether no service is known to have run another image; a registry's digest cannot be compared to an id."""
    return all("@" in image or now.get(service, image) == image for service, image in then.items())


async def plan_rollback_to_ref(managed: ManagedResource, row: ComposeRow, ref: str, parts: DokployDeps) -> RollbackPlan:
    """Plan a rollback to a tag or branch of the repository; raises Refused for a commit's hash."""
    if row.branch_field is None:
        raise Refused(
            f"{managed.name!r} does not come from git ({row_source(row)}), so it has no tags or branches; give a "
            "version (dokploy.compose.versions lists them) or nothing",
            message=said("dokploy_error.no_git", stack=managed.name, source=source_name(row_source(row))),
        )
    if is_commit_hash(ref):
        raise Refused(
            f"{ref!r} is a commit, and Dokploy clones by branch or tag only: the clone would fail and leave the code "
            f"folder of {managed.name!r} empty. Push a tag there first (git tag rollback-{ref[:7]} {ref}; git push "
            f"origin rollback-{ref[:7]}), then roll back to rollback-{ref[:7]}",
            message=said("dokploy_error.commit", short=ref[:7], ref=ref, stack=managed.name),
        )
    now = row_content(row)
    return RollbackPlan(content=replace(now, settings={**now.settings, row.branch_field: ref}))


async def plan_rollback(
    parts: DokployDeps, managed: ManagedResource, row: ComposeRow, version: StackVersion
) -> RollbackPlan:
    """Plan a rollback to a version; raises Refused with the reason if it is impossible."""
    kept = await parts.versions.content(version.id)
    if kept is None:
        raise Refused(
            f"the content of version {version.id} of {managed.name!r} is not kept any more; choose another",
            message=said("dokploy_error.content_gone", stack=managed.name, number=version.id),
        )
    if is_file_in_dokploy(row) != (version.source == "raw"):
        raise Refused(
            f"version {version.id} of {managed.name!r} came from {version.source}, and it comes from {row_source(row)} "
            "now; change its source back in Dokploy first",
            message=said(
                "dokploy_error.other_source",
                stack=managed.name,
                number=version.id,
                then=source_name(version.source),
                now=source_name(row_source(row)),
            ),
        )
    if is_file_in_dokploy(row):
        return await _plan_from_file(parts, managed, row, version, kept)
    if version.branch and version.branch != row_branch(row):
        return RollbackPlan(content=kept, version=version)
    return await _plan_by_images(parts, managed, row, version, kept)


async def _plan_from_file(
    parts: DokployDeps, managed: ManagedResource, row: ComposeRow, version: StackVersion, kept: VersionContent
) -> RollbackPlan:
    built = {one.name for one in services_in(kept.compose_file) if one.build is not None}
    references = {name: image for name, image in version.images.items() if name not in built}
    try:
        tags, tags_now, gone = await _tags(parts, managed, references, version)
    except GuardianError:  # the file goes back all the same: Dokploy reaches an engine that we may not reach
        tags, tags_now, gone = {}, {}, {}
    if kept == row_content(row) and not tags and not await _has_undeployed_edits(parts, managed, row):
        raise Refused(
            f"there is nothing to go back to: version {version.id} of {managed.name!r} is what is deployed already",
            message=said("dokploy_error.already_there", stack=managed.name, number=version.id),
        )
    return RollbackPlan(
        content=kept, file=kept.compose_file, tags=tags, tags_now=tags_now, gone=tuple(gone.values()), version=version
    )


async def _has_undeployed_edits(parts: DokployDeps, managed: ManagedResource, row: ComposeRow) -> bool:
    """Return whether the row differs from the last deploy, so that deploying it unchanged would change something."""
    newest = next(iter(await parts.versions.of(managed.id, 1)), None)
    return newest is not None and newest.digest != content_digest(row_content(row))


async def _plan_by_images(
    parts: DokployDeps, managed: ManagedResource, row: ComposeRow, version: StackVersion, kept: VersionContent
) -> RollbackPlan:
    """Plan for git on the same branch: tag the old images with the names the file has now."""
    text = await load_compose_file(parts, row)
    advice = "give a tag or branch of the repository that holds the earlier state (`ref`), or revert the commit there"
    told: dict[str, Value | Text] = {
        "stack": managed.name,
        "number": version.id,
        "advice": said("dokploy_error.git_advice"),
    }
    if text is None or managed.host is None or is_swarm_stack(managed) or not version.image_ids:
        why = (
            "Swarm asks the registry what a tag means"
            if is_swarm_stack(managed)
            else "its images of then are not known"
        )
        raise Refused(
            f"{managed.name!r} cannot go back to version {version.id} by its images ({why}); {advice}",
            message=Text(
                "dokploy_error.swarm_images" if is_swarm_stack(managed) else "dokploy_error.images_unknown", told
            ),
        )
    services = services_in(text)
    ran = {one.service: one.image_id for one in parts.containers(managed)}
    built = [one.name for one in services if one.build and ran.get(one.name) != version.image_ids.get(one.name)]
    if built:
        raise Refused(
            f"{', '.join(built)} of {managed.name!r} is built from the repository, so an earlier image would be built "
            f"over at once; {advice}",
            message=Text("dokploy_error.is_built", {**told, "services": ", ".join(built)}),
        )
    references = {one.name: one.image for one in services if one.image and not one.build}
    tags, tags_now, gone = await _tags(parts, managed, references, version)
    if gone:
        raise Refused(
            f"the images of version {version.id} of {managed.name!r} are not on {managed.host!r} any more: "
            f"{', '.join(gone.values())}; {advice}",
            message=Text(
                "dokploy_error.images_gone", {**told, "host": managed.host, "images": ", ".join(gone.values())}
            ),
        )
    if not tags and kept.env == row_content(row).env:
        raise Refused(
            f"version {version.id} of {managed.name!r} has the same branch, images and environment as now; {advice}",
            message=Text("dokploy_error.same_as_now", told),
        )
    content = replace(row_content(row), env=kept.env)
    return RollbackPlan(content=content, file=text, tags=tags, tags_now=tags_now, fetches=False, version=version)


async def _tags(
    parts: DokployDeps, managed: ManagedResource, references: Mapping[str, str], version: StackVersion
) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Return the references to tag, the images they resolve to now, and by service those whose old image is gone."""
    tags: dict[str, str] = {}
    tags_now: dict[str, str] = {}
    gone: dict[str, str] = {}
    host = managed.host
    if host is None or is_swarm_stack(managed):
        return tags, tags_now, gone
    for service, reference in references.items():
        wanted = version.image_ids.get(service)
        if not wanted or "$" in reference or "@" in reference:
            continue
        then = await parts.images.id_of(host, wanted) if "@" in wanted else wanted
        now = await parts.images.id_of(host, reference)
        if then is None or (now != then and not await parts.images.has(host, then)):
            gone[service] = reference
        elif now != then:
            tags[reference] = then
            if now is not None:
                tags_now[reference] = now
    return tags, tags_now, gone


async def carry_out_rollback(
    parts: DokployDeps,
    managed: ManagedResource,
    row: ComposeRow,
    way: RollbackPlan,
    *,
    why: str,
    what: DeployKind = DeployKind.ROLLBACK,
) -> Result:
    """Write, tag the images and deploy. Content in Dokploy that is in no version is kept first."""
    with nothing_sent_yet():
        await _keep_edits(parts, managed, row)
        written: dict[str, str] = {}
        try:
            for reference, image in way.tags.items():
                await _tag(parts, managed, reference, image)
                written[reference] = image
            await write_content(parts, row, way.content)
        except GuardianError:
            for reference in written:
                if reference in way.tags_now:
                    await _tag(parts, managed, reference, way.tags_now[reference])
            raise
    order = DeployOrder(what=what, fetches=way.fetches, why=why, content=way.content, file=way.file)
    async with restored_unless_deployed(parts, row, way.content):
        return await submit_compose_deploy(parts, managed, row, order)


async def _tag(parts: DokployDeps, managed: ManagedResource, reference: str, image: str) -> None:
    if managed.host is None:
        raise NotFound(
            f"the host of {managed.name!r} is not watched, so its images cannot be named again",
            message=said("dokploy_error.host_not_watched", stack=managed.name),
        )
    await parts.images.tag(managed.host, image, reference)


async def _keep_edits(parts: DokployDeps, managed: ManagedResource, row: ComposeRow) -> None:
    """Keep a file that was edited in Dokploy and never deployed."""
    content = row_content(row)
    newest = next(iter(await parts.versions.of(managed.id, 1)), None)
    if not is_file_in_dokploy(row) or (newest is not None and newest.digest == content_digest(content)):
        return
    if newest is None and not content.compose_file:
        return
    version = new_version(parts, managed, row, content, by=FOUND_RUNNING, text=content.compose_file)
    await parts.versions.add(replace(version, verdict=VersionVerdict.UNKNOWN), content)


def rollback_snapshot(row: ComposeRow, way: RollbackPlan) -> JsonObject:
    """Return the state that restores the stack to what it is now, after the rollback `way`."""
    return replace(way, content=row_content(row), file=None, tags=way.tags_now, version=None).to_json()


def image_lines(way: RollbackPlan) -> list[str]:
    """Return the images that are tagged again, for a preview."""
    return [f"{reference} → {image.removeprefix('sha256:')[:12]}" for reference, image in way.tags.items()]


def settings_lines(before: VersionContent, after: VersionContent) -> list[str]:
    """Return the changed fields other than file and environment; a command is not shown, it may hold secrets."""
    lines: list[str] = []
    for name in {**before.settings, **after.settings}:
        old, new = before.settings.get(name), after.settings.get(name)
        if old != new:
            lines += [f"{name}: changed"] if name == "command" else [f"- {name}: {old}", f"+ {name}: {new}"]
    return lines
