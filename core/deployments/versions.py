"""Compares two versions of a stack in a few words, without showing any values."""

from __future__ import annotations

from collections.abc import Iterator

from core.deployments.deploys import StackVersion
from core.text import Text, text

NAMES_SHOWN = 4


def version_changes(before: StackVersion, after: StackVersion) -> tuple[Text, ...]:
    """Return changed images, source and names of variables, else that only the file or a value differs, or nothing."""
    if before.digest == after.digest and before.commit == after.commit and before.branch == after.branch:
        return tuple(_images(before, after))
    found = [*_source(before, after), *_images(before, after), *_names(before, after)]
    return tuple(found) or (text("deploy_card.changed.file"),)


def _source(before: StackVersion, after: StackVersion) -> Iterator[Text]:
    if before.branch != after.branch and after.branch:
        yield text("deploy_card.changed.branch", old=before.branch or "–", new=after.branch)
    if before.commit and after.commit and before.commit != after.commit:
        yield text("deploy_card.changed.commit", old=before.commit[:7], new=after.commit[:7])


def _images(before: StackVersion, after: StackVersion) -> Iterator[Text]:
    for service in sorted({*before.images, *after.images}):
        old, new = before.images.get(service), after.images.get(service)
        if old is None and new is not None:
            yield text("deploy_card.changed.service_added", service=service, image=short_image(new))
        elif new is None:
            yield text("deploy_card.changed.service_gone", service=service)
        elif old is not None and old != new:
            yield text("deploy_card.changed.image", service=service, old=_tag(old, new), new=_tag(new, old))
        elif _is_rebuilt(before.image_ids.get(service), after.image_ids.get(service)):
            yield text("deploy_card.changed.newer_image", service=service)


def _is_rebuilt(old: str | None, new: str | None) -> bool:
    return old is not None and new is not None and old != new


def _names(before: StackVersion, after: StackVersion) -> Iterator[Text]:
    added = [one for one in after.env_keys if one not in before.env_keys]
    gone = [one for one in before.env_keys if one not in after.env_keys]
    if added:
        yield text("deploy_card.changed.env_added", names=_listed(added))
    if gone:
        yield text("deploy_card.changed.env_gone", names=_listed(gone))


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:NAMES_SHOWN])
    return f"{shown} +{len(names) - NAMES_SHOWN}" if len(names) > NAMES_SHOWN else shown


def short_image(image: str) -> str:
    """Return the image's name as people recognise it on a phone: without registry and digest."""
    return image.split("@", 1)[0].rsplit("/", 1)[-1][:40]


def _tag(image: str, other: str) -> str:
    """Return the tag alone if the two differ in nothing else."""
    name, _, tag = short_image(image).partition(":")
    same = name == short_image(other).partition(":")[0]
    return tag if same and tag else short_image(image)
