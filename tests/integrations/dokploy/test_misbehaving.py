"""Wrong addresses, proxies, foreign answers, bodies too large: the cause and the next step, and no second order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from core.errors import ActionFailed, GuardianError, NotFound, SettingsError, SystemUnavailable
from core.settings import DokploySettings
from integrations.dokploy.client.dokploy_client import Dokploy
from integrations.dokploy.client.dokploy_errors import AnswerUnreadable, CallFailed, NotSent
from knowledge.config.settings_files import load_settings
from tests.integrations.dokploy.conftest import MakeDokploy
from tests.integrations.dokploy.replay import ReplayServer

PAGE = b"<!DOCTYPE html><html><body>Sign in</body></html>"


@pytest.mark.parametrize(
    ("status", "content", "content_type", "message"),
    [
        (200, PAGE, "text/html; charset=utf-8", "a web page, not Dokploy's API; set `dokploy.url`"),
        (404, PAGE, "text/html", r"what answers there \(404\) is not Dokploy's API"),
        (404, b"404 page not found", "text/plain", r"what answers there \(404\) is not Dokploy's API"),
        (401, b"401 Unauthorized", "text/plain", "something before Dokploy wants a login"),
        (403, PAGE, "text/html", "a firewall or access list"),
        (500, PAGE, "text/html", r"it broke \(500\); look at the log of Dokploy"),
        (504, PAGE, "text/html", "the proxy before Dokploy answers 504"),
        (530, b"", "text/plain", r"it broke \(530\)"),
        (204, b"", "text/plain", r"what answers there \(204\)"),
        (200, b"", "application/json", "in a form that is not known: nothing came"),
        (200, b"{not json", "application/json", "in a form that is not known: no JSON"),
        (200, b'{"projectId": 7}', "application/json", "in a form that is not known"),
        (200, b'[{"name": "x"}]', "application/json", "0.projectId in place of Project"),
    ],
)
async def test_an_answer_not_from_dokploy_is_recognised(
    status: int, content: bytes, content_type: str, message: str, server: ReplayServer, make_dokploy: MakeDokploy
) -> None:
    server.says(content, status=status, content_type=content_type)
    with pytest.raises(SystemUnavailable, match=message):
        await make_dokploy(retries=0).projects.all()


async def test_the_key_follows_no_redirect(server: ReplayServer, dokploy: Dokploy) -> None:
    async with ReplayServer() as elsewhere:
        elsewhere.says(b"[]")
        server.says(b"", status=307, Location=f"{elsewhere.url}/login?secret=hunter2")
        with pytest.raises(SystemUnavailable, match=f"it redirects to {elsewhere.url}; set `dokploy.url`") as caught:
            await dokploy.projects.all()
        assert "hunter2" not in str(caught.value)
        assert elsewhere.asked == []


@pytest.mark.parametrize(
    ("status", "content", "kind", "message"),
    [
        (413, b"Body exceeded 1mb limit", CallFailed, "Dokploy takes 1 MB"),
        (429, b"slow down", NotSent, "refuses more requests for 30 s; ask less often"),
        (200, PAGE, NotSent, "a web page"),
        (302, b"", NotSent, "it redirects elsewhere"),
        (
            409,
            b'{"message":"Port 5432 is taken","code":"CONFLICT","data":{"path":"p"}}',
            CallFailed,
            "Port 5432 is taken",
        ),
    ],
)
async def test_a_call_that_dokploy_refuses_is_explained(
    status: int, content: bytes, kind: type[ActionFailed], message: str, server: ReplayServer, dokploy: Dokploy
) -> None:
    content_type = "text/html" if content == PAGE else "application/json"
    server.says(content, status=status, content_type=content_type, Retry_After="30")
    with pytest.raises(kind, match=message):
        await dokploy.composes.stop("c1")
    assert len(server.asked) == 1


async def test_a_read_refused_for_load_says_how_long(server: ReplayServer, dokploy: Dokploy) -> None:
    server.says(b"slow down", status=429, Retry_After="30")
    with pytest.raises(SystemUnavailable, match="for 30 s"):
        await dokploy.projects.all()


async def test_a_login_before_dokploy_is_not_taken_for_a_bad_key(server: ReplayServer, dokploy: Dokploy) -> None:
    server.says(b"{}", status=401, WWW_Authenticate="Basic")
    with pytest.raises(SystemUnavailable, match="wants a login"):
        await dokploy.projects.all()


async def test_a_call_with_an_unreadable_answer_counts_as_done(server: ReplayServer, dokploy: Dokploy) -> None:
    server.says(b"")
    with pytest.raises(AnswerUnreadable, match="carried out all the same"):
        await dokploy.composes.deploy("c1")


async def test_two_megabytes_are_not_sent(server: ReplayServer, dokploy: Dokploy) -> None:
    server.says(b"{}")
    with pytest.raises(NotSent, match=r"compose.update of 'c1': 2048 kB are more than the 1024 kB"):
        await dokploy.composes.update("c1", compose_file="x" * 2 * 1024 * 1024)
    assert server.asked == []


async def test_a_body_just_below_the_limit_is_sent(server: ReplayServer, dokploy: Dokploy) -> None:
    server.says(b'{"composeId": "c1"}')
    await dokploy.composes.update("c1", compose_file="x" * (1024 * 1024 - 100))
    assert len(server.asked) == 1


async def test_a_search_that_fails_for_another_reason_is_no_empty_log(server: ReplayServer, dokploy: Dokploy) -> None:
    server.says(
        b'{"message":"Command failed: docker container logs --tail 20 abc 2>&1 | grep -iF \'x\'\\nCannot connect to '
        b'the Docker daemon","code":"INTERNAL_SERVER_ERROR","data":{"path":"compose.readLogs"}}',
        status=500,
    )
    with pytest.raises(CallFailed, match="Docker does not answer on that server"):
        await dokploy.composes.logs("c1", "abc", search="x")


@pytest.mark.parametrize("body", [b"{}", b'{"message": 5}', b"[]", b"null", b'{"message":"x","data":[],"issues":[3]}'])
@pytest.mark.parametrize("status", [400, 401, 404, 418, 500])
async def test_any_error_body_is_survived(status: int, body: bytes, server: ReplayServer, dokploy: Dokploy) -> None:
    server.says(body, status=status)
    with pytest.raises(GuardianError):
        await dokploy.composes.one("c1")


async def test_an_unknown_thing_names_what_was_asked(server: ReplayServer, dokploy: Dokploy) -> None:
    server.says(b'{"message":"Backup not found","code":"NOT_FOUND","data":{"path":"backup.one"}}', status=404)
    with pytest.raises(NotFound, match=r"backup.one of 's1': Backup not found"):
        await dokploy.backups.one("s1")


async def test_a_missing_authority_file_is_named(make_dokploy: MakeDokploy, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"`dokploy.tls_ca` .*nowhere.pem"):
        await make_dokploy(tls_ca=tmp_path / "nowhere.pem").projects.all()


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://dokploy.example.com", "https://dokploy.example.com"),
        ("https://dokploy.example.com/", "https://dokploy.example.com"),
        ("http://10.0.0.5:3000/api", "http://10.0.0.5:3000"),
        (" https://example.com/dokploy/api/ ", "https://example.com/dokploy"),
    ],
)
def test_an_address_is_kept_without_its_end(given: str, kept: str) -> None:
    assert DokploySettings.model_validate({"url": given, "api_key": "k"}).url == kept


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "dokploy.example.com"},
        {"url": "ftp://dokploy.example.com"},
        {"url": "https://"},
        {"url": "https://ada:hunter2@dokploy.example.com"},
        {"url": "https://dokploy.example.com?x=1"},
        {"api_key": ""},
        {"slow_timeout_s": 30},
        {"retries": 50},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DokploySettings.model_validate({"url": "https://dokploy.example.com", "api_key": "k", **wrong})


def test_the_section_is_read_from_the_file_and_hides_its_key(tmp_path: Path) -> None:
    file = tmp_path / "infraguardian.yml"
    file.write_text("dokploy: {url: 'https://dokploy.example.com/api', api_key: hunter2-hunter2}\n")
    settings = load_settings(file)
    assert settings.dokploy is not None
    assert settings.dokploy.url == "https://dokploy.example.com"
    assert settings.dokploy.api_key.get_secret_value() == "hunter2-hunter2"
    assert "hunter2" not in repr(settings) + settings.model_dump_json()


def test_a_wrong_section_names_the_setting_and_not_the_password(tmp_path: Path) -> None:
    file = tmp_path / "infraguardian.yml"
    file.write_text("dokploy: {url: 'https://ada:hunter2@dokploy.example.com', api_kee: x}\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    assert "dokploy.url: give only the address" in str(caught.value)
    assert "hunter2" not in str(caught.value)


async def test_a_deployment_that_does_not_fit_hides_no_other(server: ReplayServer, dokploy: Dokploy) -> None:
    rows = [
        {"deploymentId": "d1", "title": "half \ud83d a letter", "status": "done", "composeId": "c1"},
        {"title": "no id"},
        {"deploymentId": "d2", "status": "a word of tomorrow", "composeId": "c1", "createdAt": None, "title": None},
        {"deploymentId": "d3", "createdAt": "yesterday"},
        None,
        "a word",
        {"deploymentId": "d4", "status": ["done"], "compose": []},
    ]
    server.says(json.dumps(rows).encode())
    for found in (
        await dokploy.deployments.all(),
        await dokploy.deployments.of_compose("c1"),
        await dokploy.deployments.of_application("a1"),
    ):
        assert [(one.deployment_id, one.title) for one in found] == [("d1", "half ? a letter"), ("d2", "")]
        assert str(found[1].status) == "unknown"


@pytest.mark.parametrize("content", [b'[{"title": "no id"}]', b"{}", b"null", b"[", b'"word"', b"[" * 100_000])
async def test_deployments_that_cannot_be_read_at_all_are_said(
    content: bytes, server: ReplayServer, dokploy: Dokploy
) -> None:
    server.says(content)
    with pytest.raises(AnswerUnreadable):
        await dokploy.deployments.all()
