"""/deploy, /rollback, /tag, /update: change the running version, submitted to the gateway with a diff."""

from __future__ import annotations

import re

from bot.arguments.platform_stack import not_managed, split_target, which_managed, with_words
from bot.arguments.target_choice import ReplyOption, choices, which_target
from bot.command_context import CommandContext, CommandReply, Later
from bot.commands.command_table import command
from bot.commands.containers import submit_calls
from core.actions.calls import Call
from core.actions.catalog import JsonObject, Role
from core.deployments.deploys import StackVersion, VersionVerdict
from core.deployments.platform import ManagedKind, ManagedResource
from core.deployments.versions import short_image
from core.monitoring.inventory import Service, Stack, Target
from core.text import Text, text
from core.views.cards import Card, Tone, refusal, said
from core.views.deploy_card import CANCEL
from core.views.platform_lines import age, managed_of

WHY_LIMIT = 300
TAGS_OFFERED = 6
VERSIONS_OFFERED = 6
VERSION_LABEL_LIMIT = 28
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")  # OCI distribution specification, "Pulling manifests"
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}")


@command("deploy", family="act", role=Role.OPERATOR, changes=True)
async def deploy(ask: CommandContext) -> CommandReply:
    """Deploy a stack, or take its waiting deploy out of Dokploy's queue."""
    is_cancel = ask.words.endswith(CANCEL)
    names, why = split_target(ask, ask.words.removesuffix(CANCEL))
    found = which_managed(ask, names)
    if isinstance(found, Card):
        return with_words(found, f"{why} {CANCEL}".strip() if is_cancel else why)
    if is_cancel:
        return _ordered(ask, found, "dokploy.compose.cancel_waiting", {}, text("order.cancel", stack=found.name))
    return _ordered(ask, found, _named(found, "deploy"), _because(ask, why), text("order.deploy", stack=found.name))


@command("rollback", family="act", role=Role.OPERATOR, changes=True)
async def rollback(ask: CommandContext) -> CommandReply:
    """Roll back to the last good version, or to one named by number, tag or branch."""
    names, rest = split_target(ask, ask.words)
    found = which_managed(ask, names)
    if isinstance(found, Card):
        return with_words(found, rest)
    which, _, why = rest.partition(" ") if found.kind is ManagedKind.COMPOSE else ("", "", rest)
    params: JsonObject = _because(ask, why)
    message = text("order.rollback", stack=found.name)
    if which in ("?", "list"):
        return await _versions(ask, found)
    if which:
        number = which.lstrip("#v")
        if number.isascii() and number.isdigit() and len(number) < 10 and not which.count("."):
            version = await ask.face.versions.get(int(number))
            if version is None or version.managed_id != found.id:
                return await _versions(ask, found, text("order.no_version", stack=found.name, number=number))
            params["version"] = version.id
            message = text("order.rollback_version", stack=found.name, number=version.id, age=age(ask.view, version.at))
        elif _REF.fullmatch(which):
            params["ref"] = which
            message = text("order.rollback_ref", stack=found.name, ref=which)
        else:
            return said(text("order.no_ref", words=which[:60]), Tone.UNKNOWN)
    return _ordered(ask, found, _named(found, "rollback"), params, message)


@command("tag", family="act", role=Role.OPERATOR, changes=True)
async def tag(ask: CommandContext) -> CommandReply:
    """Change a service's image tag in its Compose file and deploy it."""
    names, wanted = _target_and_tag(ask)
    found = which_target(ask, names, services_only=True)
    if isinstance(found, Card):
        return with_words(found, wanted)
    assert isinstance(found, Service)
    managed = managed_of(ask.view, found)
    if managed is None or managed.kind is not ManagedKind.COMPOSE:
        return _no_compose(ask, found, managed)
    if not wanted:
        return await _which_tag(ask, found, managed)
    if not _TAG.fullmatch(wanted):
        return said(text("order.bad_tag", tag=wanted[:60]), Tone.BAD)
    message = text("order.tag", service=found.title, tag=wanted)
    params: JsonObject = {"service": found.name, "tag": wanted}
    return _ordered(ask, managed, "dokploy.compose.change_image_tag", params, message)


@command("update", family="act", role=Role.OPERATOR, changes=True)
async def update(ask: CommandContext) -> CommandReply:
    """Pull newer images of the same tags and deploy them."""
    found = which_target(ask, ask.words)
    if isinstance(found, Card):
        return found
    managed = managed_of(ask.view, found)
    if managed is None or managed.kind is not ManagedKind.COMPOSE:
        return _no_compose(ask, found, managed)
    params: JsonObject = {"service": found.name} if isinstance(found, Service) else {}
    message = text("order.update", target=_title(found))
    return _ordered(ask, managed, "dokploy.compose.update_images", params, message)


def _no_compose(ask: CommandContext, found: Target, managed: ManagedResource | None) -> Card:
    """Explain why image tags cannot be changed here."""
    if managed is None:
        return not_managed(ask, found)
    message = text(f"order.no_compose.{managed.kind}", name=managed.name)
    options = [ReplyOption(label=text("managed.button.deploy"), words=managed.name)]
    return choices(ask, message, options if managed.kind is ManagedKind.APPLICATION else [], command="deploy")


def _ordered(
    ask: CommandContext, managed: ManagedResource, action: str, params: JsonObject, message: Text
) -> CommandReply:
    """Submit a call to the gateway; slow, because its preview is looked up first."""
    if not ask.may(Role.OPERATOR, managed.name):
        return refusal(Role.OPERATOR)
    name = "name" if managed.kind is ManagedKind.APPLICATION else "stack"
    call = Call(
        key=ask.key,
        action=action,
        params={name: managed.name, **params},
        actor=ask.person.actor(managed.name),
        message=message,
        origin=ask.origin(),
    )
    return Later(work=lambda: submit_calls(ask, [call]))


def _named(managed: ManagedResource, what: str) -> str:
    family = "application" if managed.kind is ManagedKind.APPLICATION else "compose"
    return f"dokploy.{family}.{what}"


def _because(ask: CommandContext, why: str) -> JsonObject:
    said_why = ask.face.redact(" ".join(why.split())[:WHY_LIMIT])
    return {"why": said_why} if said_why else {}


def _target_and_tag(ask: CommandContext) -> tuple[str, str]:
    """`granada api 1.4` → the service and the tag; without a tag the second is empty."""
    parts = ask.words.split()
    whole = which_target(ask, ask.words, services_only=True) if parts else None
    if len(parts) < 2 or (isinstance(whole, Service) and parts[-1].casefold() in whole.title.casefold()):
        return ask.words, ""
    return " ".join(parts[:-1]), parts[-1]


async def _which_tag(ask: CommandContext, service: Service, managed: ManagedResource) -> Card:
    """Ask for the tag: shows the running one, and earlier ones as buttons."""
    now = short_image(service.containers[0].image)
    running = now.partition(":")[2] or "latest"
    history = [one.images.get(service.name, "") for one in await ask.face.versions.of(managed.id)]
    tags = dict.fromkeys(one.rpartition(":")[2] for one in history if ":" in one.rpartition("/")[2] and "@" not in one)
    earlier = [one for one in tags if one != running and _TAG.fullmatch(one)][:TAGS_OFFERED]
    message = text("order.which_tag", service=service.title, image=now)
    return choices(ask, message, [ReplyOption(label=one, words=f"{service.title} {one}") for one in earlier])


async def _versions(ask: CommandContext, managed: ManagedResource, problem: Text | None = None) -> Card:
    """Ask for the version: the kept ones as buttons that roll back to them."""
    kept = await ask.face.versions.of(managed.id, VERSIONS_OFFERED)
    if not kept:
        return said(text("order.no_versions", stack=managed.name), Tone.UNKNOWN)
    options = [ReplyOption(label=_label(ask, one), words=f"{managed.name} {one.id}") for one in kept]
    return choices(ask, problem or text("order.which_version", stack=managed.name), options, per_row=1)


def _label(ask: CommandContext, version: StackVersion) -> Text:
    sign = {VersionVerdict.GOOD: "✅", VersionVerdict.BAD: "❌"}.get(version.verdict, "❔")
    images = dict.fromkeys(short_image(one) for one in version.images.values())
    what = version.commit[:7] if version.commit else ", ".join(images)
    what = f"{what[:VERSION_LABEL_LIMIT]}…" if len(what) > VERSION_LABEL_LIMIT else what
    return text("order.version", sign=sign, number=version.id, age=age(ask.view, version.at), what=what or "–")


def _title(target: Target) -> str:
    return target.name if isinstance(target, Stack) else target.title
