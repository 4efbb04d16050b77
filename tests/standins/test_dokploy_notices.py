"""What the stand-in posts looks as what the real Dokploy posted."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.dokploy.replay import FOLDER
from tests.standins.dokploy import DokployStandin
from tests.standins.hookbox import Hookbox, hookbox
from tests.standins.lab import GIT, Lab
from tests.standins.recorded import unlike
from tests.standins.test_dokploy_sources import Repository
from tests.testbed.world import eventually

RECORDED: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))["received"] for path in FOLDER.glob("webhook-[0-9]*.json")
}


@pytest.fixture
def lab(dokploy: DokployStandin, testbed_image: str) -> Lab:
    """An empty laboratory."""
    return Lab(dokploy=dokploy, image=testbed_image)


def recorded(title: str) -> list[dict[str, Any]]:
    """The bodies with that title."""
    return [one["body"] for one in RECORDED.values() if one["body"]["title"] == title]


def looks_recorded(body: dict[str, Any]) -> None:
    """The same keys, the same types, the same fixed words."""
    (first, *_) = recorded(body["title"])
    assert list(unlike(first, body)) == []
    for word in ("status", "type", "message", "alertType", "backupType"):
        assert body.get(word) == first.get(word)
    for moment in ("timestamp", "date"):
        assert _figures(body.get(moment)) == _figures(first.get(moment))


def _figures(moment: str | None) -> str:
    return re.sub(r"AM|PM", "XM", re.sub(r"\d+", "0", moment or ""))


async def test_what_a_deploy_says(lab: Lab) -> None:
    async with hookbox() as box:
        lab.dokploy.add_notification(box.url, headers={"X-Lab": "1"})
        stack = lab.stack(compose_file=lab.sleeper())
        lab.dokploy.add_domain(stack, "web.lab.local", service_name="web")
        await lab.deployed(stack)
        success = await box.titled("Build Success")
        looks_recorded(success)
        assert success["domains"] == "web.lab.local"
        assert success["buildLink"].endswith(f"/services/compose/{stack.id}?tab=deployments")
        wanted = RECORDED["webhook-02-build-success"]["headers"]
        for header in ("Content-Type", "X-Lab", "accept", "user-agent"):
            assert box.headers[header.casefold()] == wanted[header]
        await lab.owner.post("compose.redeploy", composeId=stack.id)
        await lab.idle()
        assert len(box.received) == 1


def skeleton(message: str, lab: Lab) -> str:
    """A failing script without what differs from one run to the next."""
    for old, new in (*((new, old) for old, new in lab.names.known.items()), (str(lab.dokploy.home), "/etc/dokploy")):
        message = message.replace(old, new)
    message = re.sub(r"╔.*╝", "<box>", message, flags=re.DOTALL)
    message = re.sub(r'echo "[A-Za-z0-9+/=]{20,}"', 'echo "<base64>"', message)
    message = message.replace("http\\://127.0.0.1\\:18081", "<git>").replace("http://127.0.0.1:18081", "<git>")
    return re.sub(r"[\d-]{10}:[\d:]{8}\.log", "<moment>.log", message)


@pytest.mark.parametrize(
    ("name", "composed"),
    [
        ("webhook-04-build-error", "services:\n  web:\n    image: 127.0.0.1:9/nosuch:v9\n"),
        ("webhook-05-build-error", "services:\n  web:\n   image: [unclosed\n"),
    ],
)
async def test_an_error_carries_the_whole_script(lab: Lab, name: str, composed: str) -> None:
    async with hookbox() as box:
        lab.dokploy.add_notification(box.url)
        stack = lab.stack(compose_file=composed)
        await lab.deployed(stack)
        error = await box.titled("Build Error")
    looks_recorded(error)
    assert skeleton(error["errorMessage"], lab) == skeleton(RECORDED[name]["body"]["errorMessage"], lab)


async def test_a_failed_clone_carries_its_script(lab: Lab, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "stack.git")
    first = repository.commit(lab.sleeper("app"), "feat: first version")
    lab.names.add("938fe80259e65016f3677b04cd5a25c82f84c22b", first)
    stack = lab.simple(GIT, "lab-git", "", sourceType="git", customGitUrl=repository.url, customGitBranch=first)
    async with hookbox() as box:
        lab.dokploy.add_notification(box.url)
        await lab.deployed(stack)
        said = (await box.titled("Build Error"))["errorMessage"]
    for url in (repository.url.replace(":", "\\:"), repository.url):
        said = said.replace(url, "<git>/stack.git")
    wanted = skeleton(RECORDED["webhook-24-build-error"]["body"]["errorMessage"], lab)
    assert skeleton(said, lab) == wanted


async def test_what_backups_restarts_and_clean_ups_say(lab: Lab) -> None:
    async with hookbox() as box:
        lab.dokploy.add_notification(box.url)
        database = lab.database()
        backup = lab.dokploy.add_backup(database)
        lab.dokploy.run_backup(backup)
        looks_recorded(await box.titled("Database Backup Successful"))
        lab.dokploy.make_backups_fail(backup, "pg_dump: connection refused")
        answer = await lab.owner.post("backup.manualBackupPostgres", backupId=backup["backupId"])
        assert answer.status == 400
        failed = await box.titled("Database Backup Failed")
        looks_recorded(failed)
        assert failed["errorMessage"] == "pg_dump: connection refused"
        shown = (await lab.owner.get("deployment.allByType", id=backup["backupId"], type="backup")).body
        assert [row["status"] for row in shown] == ["error", "done"]
        assert "pg_dump: connection refused" in await lab.owner.log(shown[0]["deploymentId"])
        volume = lab.dokploy.add_volume_backup(lab.stack(), "labstack_data")
        lab.dokploy.run_backup(volume)
        looks_recorded(await box.titled("Volume Backup Successful"))
        lab.dokploy.restart()
        looks_recorded(await box.titled("Dokploy Server Restarted"))
        await announce(lab, box)


async def announce(lab: Lab, box: Hookbox) -> None:
    """Those that nothing in the stand-in causes."""
    lab.dokploy.announce(
        "dockerCleanup",
        "Docker Cleanup",
        message="Docker cleanup completed successfully",
        cleanupMessage="Docker cleanup for dokploy",
        status="success",
        type="docker-cleanup",
    )
    looks_recorded(await box.titled("Docker Cleanup"))
    lab.dokploy.announce(
        "dokployBackup",
        "Dokploy Backup Successful",
        message="Dokploy instance backup completed successfully",
        backupType="Complete Dokploy Instance",
        backupSize="34 MB",
        status="success",
        type="dokploy-backup",
    )
    looks_recorded(await box.titled("Dokploy Backup Successful"))


async def test_a_channel_gets_only_what_its_switches_say(lab: Lab) -> None:
    async with hookbox() as box:
        lab.dokploy.add_notification(box.url, only=("appBuildError",))
        stack = lab.stack(compose_file=lab.sleeper())
        await lab.deployed(stack)
        stack.row["composeFile"] = "services: [\n"
        await lab.deployed(stack)
        await eventually(lambda: box.received)
        assert [one["title"] for one in box.received] == ["Build Error"]
