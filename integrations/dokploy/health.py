"""Checks of Dokploy: it answers, accepts the key, and grants the rights. One line each, with the next step."""

from __future__ import annotations

from collections.abc import AsyncIterator

from core.error_text import own_words
from core.errors import GuardianError, Refused
from core.integration import CheckLine
from core.settings import DokploySettings
from core.text import text
from integrations.dokploy.access_check import AccessCheck, check_access
from integrations.dokploy.client.dokploy_client import Dokploy


async def check(settings: DokploySettings) -> AsyncIterator[CheckLine]:
    """Check server and key, missing rights, the stacks it sees, and the announcements of deployments; never raises."""
    async with Dokploy(settings) as dokploy:
        try:
            greeting = await check_access(dokploy)
            projects = await dokploy.projects.all()
        except GuardianError as error:
            yield _down(settings, error)
            return
    yield _version(settings, greeting)
    composes = sum(len(part.compose) for project in projects for part in project.environments)
    seen = text("dokploy_check.sees", projects=len(projects), composes=composes)
    if projects:
        yield CheckLine(name=seen, ok=True)
    else:
        yield CheckLine(
            name=seen,
            ok=False,
            problem=text("dokploy_check.sees_nothing", role=greeting.role),
            next_step=text("dokploy_check.next.access"),
        )
    for line in missing_right_lines(greeting):
        yield line
    if settings.webhook_secret is None:
        yield CheckLine(name=text("dokploy_check.no_webhook", poll_s=round(settings.poll_s)), ok=True)
    else:
        yield CheckLine(name=text("dokploy_check.webhook"), ok=True)


def missing_right_lines(greeting: AccessCheck) -> list[CheckLine]:
    """Return one line for each right that the key lacks, with what is refused without it."""
    return [
        CheckLine(
            name=text("dokploy_check.right", right=right),
            ok=False,
            problem=text(f"dokploy_check.without.{right.replace(':', '_')}"),
            next_step=text("dokploy_check.next.right"),
        )
        for right in greeting.missing_rights
    ]


def _version(settings: DokploySettings, greeting: AccessCheck) -> CheckLine:
    name = text("dokploy_check.server", version=greeting.version, url=settings.url, role=greeting.role)
    if greeting.is_known_version:
        return CheckLine(name=name, ok=True)
    return CheckLine(
        name=name,
        ok=False,
        problem=text("dokploy_check.other_version"),
        next_step=text("dokploy_check.next.version"),
    )


def _down(settings: DokploySettings, error: GuardianError) -> CheckLine:
    return CheckLine(
        name=text("dokploy_check.down", url=settings.url),
        ok=False,
        problem=text("check.problem", problem=own_words(error)),
        next_step=text("dokploy_check.next.key" if isinstance(error, Refused) else "dokploy_check.next.url"),
    )
