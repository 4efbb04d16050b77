"""Dokploy's notifications, as a real one sent them: what each says, and what of it is never kept."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from core.deployments.platform import ManagedKind
from integrations.dokploy.webhook import DokployNotice, DokployWebhook, NoticeKind, parse_notice
from tests.integrations.dokploy.replay import FOLDER

BODIES: dict[str, dict[str, Any]] = {
    file.stem: json.loads(file.read_text(encoding="utf-8"))["received"]["body"]
    for file in sorted(FOLDER.glob("webhook-[0-9]*.json"))
}
PROJECT = "wDKtDnojoRKSRsGRrUpaO"


def _notice(name: str) -> DokployNotice:
    found = parse_notice(BODIES[name])
    assert found is not None
    return found


def test_every_recorded_notification_is_understood() -> None:
    kinds = Counter(_notice(name).kind for name in BODIES)
    assert len(BODIES) == 34
    assert kinds == {
        NoticeKind.BUILD: 26,
        NoticeKind.DATABASE_BACKUP: 2,
        NoticeKind.VOLUME_BACKUP: 1,
        NoticeKind.OWN_BACKUP: 1,
        NoticeKind.RESTARTED: 1,
        NoticeKind.CLEANUP: 1,
        NoticeKind.SERVER_LOAD: 1,
        NoticeKind.TEST: 1,
    }


def test_a_build_names_its_compose_by_its_link() -> None:
    assert _notice("webhook-04-build-error") == DokployNotice(
        kind=NoticeKind.BUILD,
        is_failure=True,
        at=_notice("webhook-04-build-error").at,
        managed_id="3CwYjB6fsiwNDsecQATT2",
        managed_kind=ManagedKind.COMPOSE,
        project_id=PROJECT,
        project="lab-project",
        name="lab-stack",
    )
    assert not _notice("webhook-02-build-success").is_failure
    assert _notice("webhook-02-build-success").at == datetime(2026, 11, 20, 12, 26, 32, 582000, UTC)


def test_an_application_is_named_too() -> None:
    applications = [name for name in BODIES if BODIES[name].get("applicationType") == "application"]
    assert applications
    for name in applications:
        assert _notice(name).managed_kind is ManagedKind.APPLICATION


def test_every_build_has_an_id_and_every_failure_is_one() -> None:
    for name, body in BODIES.items():
        notice = _notice(name)
        assert (notice.managed_id is not None) == ("buildLink" in body)
        assert notice.is_failure == (body.get("status") == "error")


def test_nothing_of_the_error_is_kept() -> None:
    body = {**BODIES["webhook-04-build-error"], "errorMessage": "echo c2VjcmV0LW9mLXRoaXMtdGVzdA== | base64 -d"}
    kept = repr(parse_notice(body))
    assert "c2Vj" not in kept
    assert "base64" not in kept


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"title": "Something new"},
        {"title": 7},
        {"title": None, "status": "error"},
        {"title": ["Build Error"]},
        {"message": "Build Error"},
    ],
)
def test_an_unknown_notification_is_ignored(body: dict[str, object]) -> None:
    assert parse_notice(body) is None


@pytest.mark.parametrize(
    "link",
    [
        "",
        7,
        "javascript:alert(1)",
        "http://d/dashboard/project/../environment/x/services/compose/../../x",
        "http://d/services/postgres/abcdefghijkl",
        "http://d/services/compose/" + "a" * 5000,
        "/services/compose/a b c d e f g h",
    ],
)
def test_a_link_that_names_nothing_gives_no_id(link: object) -> None:
    notice = parse_notice({"title": "Build Error", "buildLink": link, "timestamp": "never"})
    assert notice is not None
    assert (notice.managed_id, notice.at) == (None, None)


def test_what_is_kept_is_bounded() -> None:
    notice = parse_notice({"title": "Build Error", "projectName": "x" * 100_000, "applicationName": "y\n" * 100_000})
    assert notice is not None
    assert len(repr(notice)) < 1000
    assert "\\n" not in repr(notice)


async def test_the_hook_announces_and_makes_the_watcher_look() -> None:
    done: list[object] = []

    async def announce(notice: DokployNotice) -> None:
        done.append(notice.kind)

    hook = DokployWebhook(SecretStr("word"), announce, lambda: done.append("look"))
    await hook.take(BODIES["webhook-04-build-error"])
    await hook.take({"title": "unheard of"})
    assert done == [NoticeKind.BUILD, "look"]
    assert hook.secret == "word"
    assert DokployWebhook(None, announce, lambda: None).secret is None


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "1e9", "", "2026-13-01"])
def test_an_impossible_time_is_ignored(moment: str) -> None:
    notice = parse_notice({"title": "Dokploy Backup Successful", "timestamp": moment})
    assert notice is not None
    assert notice.at is None
