"""Deploys and versions as records, on both kinds of database."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from core.deployments.deploys import (
    Deploy,
    DeployKind,
    DeployPhase,
    Deploys,
    StackVersion,
    VersionContent,
    Versions,
    VersionVerdict,
)
from core.errors import SettingsError
from core.settings import DokploySettings, Settings
from core.text import text
from knowledge.database import Database
from knowledge.records.deploy_records import DeployRecords
from knowledge.records.version_records import VersionRecords
from knowledge.stores import Knowledge
from knowledge.vault import Vault, load_key
from tests.knowledge.tools import NOON, SetClock, cleaned

CONTENT = VersionContent(
    compose_file="services: {}  # año", env="DB_PASSWORD=hunter2hunter2\n", settings={"branch": "v1"}
)


def a_deploy(key: str = "tg:1", **more: object) -> Deploy:
    values: dict[str, object] = {"managed_id": "c1", "stack": "granada", "app_name": "granada-x7", "ordered_at": NOON}
    return Deploy(key=key, title=f"deploy {key}", requested_by="tg:1", requested_name="Ada", **{**values, **more})  # type: ignore[arg-type]


def a_version(digest: str = "d1", **more: object) -> StackVersion:
    values: dict[str, object] = {"managed_id": "c1", "stack": "granada", "app_name": "granada-x7", "source": "raw"}
    return StackVersion(at=NOON, by="tg:1", digest=digest, **{**values, **more})  # type: ignore[arg-type]


@pytest.fixture
def deploys(database: Database) -> DeployRecords:
    return DeployRecords(database)


@pytest.fixture
def make_versions(database: Database, tmp_path: Path, clock: SetClock) -> Callable[[int], VersionRecords]:
    return lambda kept: VersionRecords(database, lambda: Vault(load_key(None, tmp_path)), clock, kept=kept)


@pytest.fixture
def versions(make_versions: Callable[[int], VersionRecords]) -> VersionRecords:
    return make_versions(20)


async def test_a_deploy_reads_back_whole(deploys: DeployRecords) -> None:
    kept: Deploys = deploys
    written = a_deploy(
        what=DeployKind.ROLLBACK,
        phase=DeployPhase.SETTLING,
        known_ids=("a", "b"),
        restarts={"0123456789ab": 2},
        log_tail=("línea", "❌"),
        message=text("deploys.good", stack=text("x", n=1), seconds=1.5),
        good_since=NOON,
        incident_id=7,
    )
    await kept.put(written)
    assert await kept.get("tg:1") == written
    changed = replace(written, phase=DeployPhase.GOOD, over_at=NOON)
    await kept.put(changed)
    assert await kept.get("tg:1") == changed
    assert await kept.get("tg:2") is None


async def test_deploys_without_a_verdict_and_the_newest_are_found(
    database: Database, deploys: DeployRecords, clock: SetClock
) -> None:
    for n in range(5):
        at = NOON + timedelta(minutes=n)
        phase = DeployPhase.GOOD if n % 2 else DeployPhase.RUNNING
        await deploys.put(a_deploy(f"k{n}", ordered_at=at, phase=phase, managed_id="c2" if n == 4 else "c1"))
    assert [one.key for one in await deploys.unfinished()] == ["k0", "k2", "k4"]
    assert [one.key for one in await deploys.recent(2)] == ["k4", "k3"]
    assert [one.key for one in await deploys.recent(9, managed_id="c1")] == ["k3", "k2", "k1", "k0"]
    assert [one.key for one in await deploys.recent(9, since=NOON + timedelta(minutes=3))] == ["k4", "k3"]
    clock.advance(days=400, minutes=4)
    assert await cleaned(database, clock, "deploys") == 2
    assert [one.key for one in await deploys.recent()] == ["k4", "k2", "k0"]


async def test_a_version_reads_back_with_its_secret_part(versions: VersionRecords) -> None:
    kept: Versions = versions
    added = await kept.add(a_version(env_keys=("DB_PASSWORD",), images={"api": "api:1"}), CONTENT)
    assert added.id > 0
    assert await kept.get(added.id) == added
    assert await kept.content(added.id) == CONTENT
    assert await kept.get(99) is None
    assert await kept.content(99) is None
    await kept.judge(99, VersionVerdict.GOOD)


async def test_the_same_version_is_kept_once_and_another_stack_has_its_own(versions: VersionRecords) -> None:
    first = await versions.add(a_version("d1"), CONTENT)
    assert await versions.add(a_version("d1", deploy_key="later"), CONTENT) == first
    second = await versions.add(a_version("d2"), CONTENT)
    back = await versions.add(a_version("d1"), CONTENT)
    other = await versions.add(a_version("d1", managed_id="c2"), CONTENT)
    assert len({first.id, second.id, back.id, other.id}) == 4
    assert await versions.of("c1") == [back, second, first]
    assert await versions.of("c1", 1) == [back]


async def test_of_ten_that_add_the_same_version_one_is_kept(versions: VersionRecords) -> None:
    added = await asyncio.gather(*(versions.add(a_version("d1"), CONTENT) for _ in range(10)))
    assert len({one.id for one in added}) == 1


async def test_the_last_good_version_is_the_newest_with_a_good_verdict(versions: VersionRecords) -> None:
    assert await versions.last_good("c1") is None
    ids = [(await versions.add(a_version(f"d{n}"), CONTENT)).id for n in range(4)]
    for version_id, verdict in zip(ids, ("good", "good", "bad", "unknown"), strict=True):
        await versions.judge(version_id, VersionVerdict(verdict), image_ids={"api": f"sha256:{version_id}"})
    found = await versions.last_good("c1")
    assert found is not None
    assert (found.id, found.image_ids) == (ids[1], {"api": f"sha256:{ids[1]}"})
    older = await versions.last_good("c1", before=ids[1])
    assert older is not None
    assert older.id == ids[0]
    assert await versions.last_good("c1", before=ids[0]) is None


async def test_a_version_that_was_good_once_stays_good(versions: VersionRecords) -> None:
    first = await versions.add(a_version("d1", source="git"), CONTENT)
    await versions.judge(
        first.id, VersionVerdict.GOOD, commit="aaa", commit_message="one", image_ids={"api": "sha256:1"}
    )
    again = await versions.add(a_version("d1", source="git"), CONTENT)
    assert again.id == first.id
    await versions.judge(first.id, VersionVerdict.BAD)
    await versions.judge(first.id, VersionVerdict.BAD, commit="bbb", image_ids={"api": "sha256:2"})
    newest, good = await versions.of("c1")
    assert (newest.verdict, newest.commit, newest.image_ids) == (VersionVerdict.BAD, "bbb", {"api": "sha256:2"})
    assert (good.verdict, good.commit, good.image_ids) == (VersionVerdict.GOOD, "aaa", {"api": "sha256:1"})
    assert await versions.content(newest.id) == CONTENT
    assert await versions.last_good("c1") == good


async def test_old_versions_are_forgotten_but_never_the_last_good_one(
    make_versions: Callable[[int], VersionRecords],
) -> None:
    versions = make_versions(3)
    ids = [(await versions.add(a_version("d0"), CONTENT)).id]
    await versions.judge(ids[0], VersionVerdict.GOOD)
    await versions.add(a_version("d0", managed_id="c2"), CONTENT)
    for n in range(1, 8):
        ids.append((await versions.add(a_version(f"d{n}"), CONTENT)).id)
        await versions.judge(ids[-1], VersionVerdict.BAD)
    assert [one.id for one in await versions.of("c1")] == [ids[7], ids[6], ids[5], ids[0]]
    await versions.judge(ids[7], VersionVerdict.GOOD)
    await versions.add(a_version("d9"), CONTENT)
    assert [one.id for one in await versions.of("c1")][1:] == [ids[7], ids[6]]
    assert len(await versions.of("c2")) == 1


async def test_the_secret_part_cannot_be_read_in_the_file_nor_with_another_key(tmp_path: Path, clock: SetClock) -> None:
    dokploy = DokploySettings(url="http://127.0.0.1:3000", api_key="k-e-y-k-e-y", versions_kept=2)
    settings = Settings(data_dir=tmp_path / "data", dokploy=dokploy)
    async with Knowledge(settings, clock) as knowledge:
        for n in range(3):
            added = await knowledge.versions.add(a_version(f"d{n}"), CONTENT)
        await knowledge.deploys.put(a_deploy())
        assert len(await knowledge.versions.of("c1")) == 2
        assert await knowledge.versions.content(added.id) == CONTENT
        vault = Vault(load_key("another passphrase", tmp_path))
        stranger = VersionRecords(knowledge.database, lambda: vault, clock, kept=2)
        with pytest.raises(SettingsError, match=f"version {added.id}"):
            await stranger.content(added.id)
    written = b"".join(file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file())
    assert b"granada-x7" in written
    for secret in (b"hunter2", b"services: {}"):
        assert secret not in written
