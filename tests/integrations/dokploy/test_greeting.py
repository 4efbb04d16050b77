"""The first look: version, organization, and rights that are missing."""

from __future__ import annotations

import pytest
from aiohttp import web

from core.errors import Refused
from integrations.dokploy.access_check import check_access
from integrations.dokploy.client.dokploy_client import Dokploy
from integrations.dokploy.client.dokploy_errors import KeyRejected
from tests.integrations.dokploy.conftest import MakeDokploy
from tests.integrations.dokploy.replay import ReplayServer, recordings

RECORDINGS = recordings()
ORGANIZATION = RECORDINGS["user.get"].answer["organizationId"]


def _speaks(server: ReplayServer, *names: str) -> None:
    by_path = {RECORDINGS[name].path: RECORDINGS[name] for name in names}

    async def answer(request: web.Request) -> web.StreamResponse:
        found = by_path[request.path]
        return web.Response(body=found.content, status=found.status, content_type="application/json")

    server.answer = answer


async def test_an_owner_lacks_nothing(server: ReplayServer, make_dokploy: MakeDokploy) -> None:
    _speaks(server, "settings.getDokployVersion", "user.get", "user.getPermissions")
    greeting = await check_access(make_dokploy(organization_id=ORGANIZATION))
    assert (greeting.version, greeting.role, greeting.organization_id) == ("v0.30.2", "owner", ORGANIZATION)
    assert greeting.is_known_version
    assert greeting.missing_rights == ()


async def test_a_member_is_told_what_is_missing(server: ReplayServer, dokploy: Dokploy) -> None:
    _speaks(server, "settings.getDokployVersion", "user.get", "memberwith-user.getPermissions")
    assert (await check_access(dokploy)).missing_rights == ("service:create",)


async def test_a_key_of_another_organization_is_refused(server: ReplayServer, make_dokploy: MakeDokploy) -> None:
    _speaks(server, "settings.getDokployVersion", "user.get", "user.getPermissions")
    with pytest.raises(Refused, match=r"not to 'elsewhere'; correct `dokploy\.organization_id`"):
        await check_access(make_dokploy(organization_id="elsewhere"))


async def test_a_key_that_is_not_taken_is_said_at_once(server: ReplayServer, dokploy: Dokploy) -> None:
    server.replay(RECORDINGS["error-401-bad-key"])
    with pytest.raises(KeyRejected):
        await check_access(dokploy)
