"""What the chat tells of stacks that Dokploy manages, of those it does not, and of the hosts under them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.deployments.deploys import DeployPhase, VersionVerdict
from integrations.docker_engine.simulated.container_spec import ContainerSpec
from integrations.docker_engine.simulated.simulated_engine import SimulatedEngine
from integrations.docker_engine.simulated.simulated_images import SimulatedImageContents, demo_image_contents
from playground.chats.shown_chats import ShownMessage
from playground.server import BotApiServer
from tests.bot.recorded_dokploy import DokployWorld
from tests.bot.world import RECIPES, FaceWorld
from tests.testbed.world import eventually

PUBLISHED = (
    ContainerSpec(stack="granada", service="api", image="granada/api:1", memory_mb=512, ports={"8000/tcp": "8080"}),
    ContainerSpec(stack="granada", service="postgres", image="postgres:16", ports={"5432/tcp": "5432"}),
    ContainerSpec(stack="malaga", service="web", image="malaga/web:1", ports={"80/tcp": "8080"}),
)


@pytest.fixture
def idle_dokploy(server: BotApiServer, tmp_path: Path) -> DokployWorld:
    """Give a world with a Dokploy whose face is not started yet."""
    return DokployWorld(server=server, home=tmp_path / "data")


@pytest.fixture
async def dokploy(idle_dokploy: DokployWorld) -> AsyncIterator[DokployWorld]:
    """Give a world with a Dokploy."""
    async with idle_dokploy.running():
        yield idle_dokploy


async def _ask(world: FaceWorld, words: str, *parts: str) -> ShownMessage:
    before = world.ada.chat.last_id
    await world.ada.say(words)
    return await world.says(world.ada.chat, *parts, after=before)


# -- looking -----------------------------------------------------------------------------------------------------------


async def test_services_shows_what_dokploy_knows(dokploy: DokployWorld) -> None:
    card = await _ask(dokploy, "/services granada", "Dokploy · shop / production · git main")
    assert "✅ Deployed 2 h ago · 5f3c2d1 Fix the memory of the api" in card.text
    assert "🟢 granada.example.com → api:8000 · 200" in card.text
    assert "🔴 admin.example.com → web:9000 · 502, wrong port or nothing listening" in card.text
    assert "Databases: granada-db" in card.text
    assert card.labels == ["Deploy", "Deploy log", "File"]
    await _ask(dokploy, "/health granada", "502, wrong port")


async def test_a_stack_without_containers_is_listed(dokploy: DokployWorld) -> None:
    card = await _ask(dokploy, "/status", "nerja", "Not deployed yet")
    assert "granada  2/2" in card.text
    await _ask(dokploy, "/services nerja", "Dokploy · raw", "Not deployed yet")
    lead = await _ask(dokploy, "/restart nerja", "has no containers. Only a deploy creates them")
    assert lead.labels == ["Deploy"]
    await _ask(dokploy, "/logs nerja", "nerja has no containers")


async def test_a_running_deploy_is_marked(dokploy: DokployWorld) -> None:
    await dokploy.ada.say("/deploy granada")
    question = await dokploy.message(dokploy.ada.chat, lambda one: "✅ Approve" in one.labels)
    await (await dokploy.ada.tap(question, "Approve")).answer()
    await dokploy.goes(DeployPhase.RUNNING)
    await _ask(dokploy, "/status", "⏳ Deploying", "Ada")
    await _ask(dokploy, "/services granada", "⏳ Deploying")
    await dokploy.fails()
    await _ask(dokploy, "/services granada", "✅ Deployed 2 h ago")  # the one that Dokploy shows is another


async def test_a_dokploy_that_is_not_responding_is_reported(dokploy: DokployWorld) -> None:
    dokploy.problem = "dokploy is unavailable: connection refused"
    await dokploy.look()
    card = await _ask(dokploy, "/status", "Dokploy isn't responding", "connection refused")
    assert "granada  2/2" in card.text
    await _ask(dokploy, "/services granada", "Dokploy isn't responding")


async def test_the_compose_file_is_folded_and_long_ones_are_files(dokploy: DokployWorld) -> None:
    card = await _ask(dokploy, "/compose granada", "5 lines", "Secrets are masked", "image: granada/api:1")
    assert "<blockquote expandable>" in card.html
    await (await dokploy.ada.tap(card, "As file")).answer()
    file = await dokploy.message(dokploy.ada.chat, lambda one: one.document is not None)
    assert file.document is not None and b"granada/api:1" in file.document.content
    dokploy.file_times = 40
    await dokploy.ada.say("/compose granada")
    long = await dokploy.message(dokploy.ada.chat, lambda one: one.id > file.id and one.document is not None)
    assert long.document is not None and long.document.content.count(b"services:") == 40


async def test_info_of_a_service(dokploy: DokployWorld) -> None:
    card = await _ask(dokploy, "/info granada api", "Image: granada/api:1", "Memory limit: 512 MB")
    assert "Restart policy: unless-stopped" in card.text and "granada.example.com → api:8000" in card.text
    assert card.labels == ["Logs", "Metrics", "File"]


async def test_the_diff_of_a_kept_version(dokploy: DokployWorld) -> None:
    await _ask(dokploy, "/diff granada", "No version of granada is saved yet")
    first, _ = await dokploy.keep_versions()
    await dokploy.knowledge.versions.judge(first.id, VersionVerdict.GOOD)
    card = await _ask(dokploy, "/diff granada", "version 1 (2 d old) against now", "That version stayed healthy")
    assert '<pre><code class="language-diff">' in card.html and "@@" not in card.text
    assert "-   mem_limit: 2g" in card.text
    assert card.labels == ["Roll back to version 1", "❔ Version 2 · 1 d"]
    await _ask(dokploy, "/diff granada 7", "There is no saved version 7 of granada")


# -- ordering ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message", "action", "params"),
    [
        ("/deploy granada new prices", "Deploy granada", "deploy", {"stack": "granada", "why": "new prices"}),
        ("/deploy granada api", "Deploy granada", "deploy", {"stack": "granada", "why": ""}),
        ("/rollback granada", "to its last good version", "rollback", {"stack": "granada", "why": ""}),
        ("/rollback granada v2.1", "back to v2.1", "rollback", {"stack": "granada", "ref": "v2.1", "why": ""}),
        ("/tag granada api 1.4", "with tag 1.4", "change_image_tag", {"service": "api", "tag": "1.4"}),
        ("/update granada", "newer images of granada", "update_images", {"stack": "granada"}),
        ("/update granada api", "newer images of granada/api", "update_images", {"service": "api"}),
    ],
)
async def test_a_command_runs_after_its_approval(
    dokploy: DokployWorld, words: str, message: str, action: str, params: dict[str, object]
) -> None:
    question = await _ask(dokploy, words, message)
    assert '<pre><code class="language-diff">' in question.html  # what would be done
    await (await dokploy.ada.tap(question, "Approve")).answer()
    await dokploy.under_way()
    name, given = dokploy.paper.asked[-1]
    assert name == action
    assert {**given, **params} == given


async def test_commands_without_arguments_offer_choices(dokploy: DokployWorld) -> None:
    assert (await _ask(dokploy, "/deploy", "Which one?")).labels == ["granada", "nerja"]
    assert (await _ask(dokploy, "/rollback", "Which one?")).labels == ["granada", "nerja"]
    await dokploy.keep_versions()
    tags = await _ask(dokploy, "/tag granada api", "It is on api:1 now")
    assert tags.labels == ["2"]
    await (await dokploy.ada.tap(tags, "2")).answer()
    await dokploy.says(dokploy.ada.chat, "Run granada/api with tag 2")


async def test_versions_are_offered(dokploy: DokployWorld) -> None:
    await _ask(dokploy, "/rollback granada ?", "No version of granada is saved yet")
    await dokploy.keep_versions()
    offered = await _ask(dokploy, "/rollback granada 99", "There is no saved version 99 of granada")
    assert offered.labels[0].startswith("❔ 2 · 1 d old")
    await (await dokploy.ada.tap(offered, offered.labels[1])).answer()
    await dokploy.says(dokploy.ada.chat, "Roll granada back to version 1")


@pytest.mark.parametrize("words", ["/tag granada api no/slash", "/rollback granada ;rm"])
async def test_an_invalid_tag_is_refused_at_once(dokploy: DokployWorld, words: str) -> None:
    before = dokploy.ada.chat.last_id
    await dokploy.ada.say(words)
    answer = await dokploy.message(dokploy.ada.chat, lambda one: one.id > before and one.text.startswith(("❌", "❔")))
    assert answer.labels == [] and dokploy.paper.asked == []


@pytest.mark.parametrize("words", ["/deploy malaga", "/rollback malaga", "/tag malaga api 2", "/update malaga"])
async def test_a_stack_that_dokploy_does_not_manage_says_so(dokploy: DokployWorld, words: str) -> None:
    card = await _ask(dokploy, words, "malaga runs here, but Dokploy doesn't manage it")
    assert "cd /srv/malaga && docker compose pull && docker compose up -d" in card.text
    assert card.labels[0] == "Restart"


@pytest.mark.parametrize("words", ["/tag malaga api 2", "/update malaga"])
async def test_an_application_is_not_taken_for_a_compose_stack(idle_dokploy: DokployWorld, words: str) -> None:
    idle_dokploy.has_application = True
    async with idle_dokploy.running():
        card = await _ask(idle_dokploy, words, "malaga is an application in Dokploy")
        assert card.labels == ["Deploy"]
        assert (await _ask(idle_dokploy, "/deploy", "Which one?")).labels == ["granada", "malaga", "nerja"]


@pytest.mark.parametrize("words", ["/deploy granada", "/rollback granada", "/tag granada api 2", "/update granada"])
async def test_without_dokploy_a_deploy_says_so(world: FaceWorld, words: str) -> None:
    await _ask(world, words, "granada runs here, but without Dokploy")


async def test_a_mistyped_stack_gets_the_nearest(dokploy: DokployWorld) -> None:
    question = await _ask(dokploy, "/deploy granda", "Deploy granada")
    assert "✅ Approve" in question.labels
    await _ask(dokploy, "/deploy zzz", "There is no stack or service “zzz”")


# -- hosts -------------------------------------------------------------------------------------------------------------


async def test_ports_with_collisions_first(idle: FaceWorld) -> None:
    idle.engine = SimulatedEngine("local", PUBLISHED)
    async with idle.running() as world:
        card = await _ask(world, "/ports", "3 published ports")
        lines = card.text.splitlines()
        assert lines[1].startswith("🔴 8080/tcp is claimed twice: local/granada-api-1 · local/malaga-web-1")
        assert lines[2].startswith("🟠 PostgreSQL is open to every network on port 5432")
        assert "8080 → granada/api :8000" in card.text
        only = await _ask(world, "/ports postgres", "1 published port")
        assert "8080" not in only.text
        await _ask(world, "/ports 9999", "No published port matches")


async def test_disk_shows_what_can_be_freed_and_prune_frees_it(idle: FaceWorld) -> None:
    idle.engine = SimulatedEngine("local", RECIPES, stored=demo_image_contents())
    async with idle.running() as world:
        card = await _ask(world, "/disk", "local", "by Docker", "/prune could free up to")
        sizes = [line for line in card.text.splitlines() if line.endswith(("images", "cache", "containers"))]
        assert "build cache · unused 1.6 GB" in card.text and len(sizes) <= 5
        await (await world.ada.tap(card, "Free space")).answer()
        question = await world.says(world.ada.chat, "Free space on local", "Frees about")
        assert "docker builder prune" in question.text and "docker image rm" in question.text
        assert "volume" not in question.text
        await (await world.ada.tap(question, "Approve")).answer()
        again = await world.message(world.ada.chat, lambda one: any("2 of 2" in label for label in one.labels))
        await (await world.ada.tap(again, "2 of 2")).answer()
        await world.says(world.ada.chat, "Freed", "on local")
        await _ask(world, "/disk", "local")


async def test_only_admins_free_space(world: FaceWorld) -> None:
    before = world.olga.chat.last_id
    await world.olga.say("/prune")
    await world.says(world.olga.chat, "admin", after=before)


async def test_updates_lists_outdated_images_and_offers_the_update(idle_dokploy: DokployWorld) -> None:
    idle_dokploy.engine = SimulatedEngine(
        "local", RECIPES, stored=SimulatedImageContents(newer=frozenset({"granada/api:1"}))
    )
    async with idle_dokploy.running():
        card = await _ask(idle_dokploy, "/updates", "1 of 4 images outdated", "granada/api  api:1 · built 40 days")
        assert card.labels == ["Update granada"]
        await (await idle_dokploy.ada.tap(card, "Update granada")).answer()
        await idle_dokploy.says(idle_dokploy.ada.chat, "Pull newer images of granada")
        await _ask(idle_dokploy, "/updates granada postgres", "None outdated among 1 image")


async def test_every_order_speaks_spanish(dokploy: DokployWorld) -> None:
    await dokploy.ada.set_language("es")
    await _ask(dokploy, "/services granada", "Desplegado hace 2 h")
    await _ask(dokploy, "/deploy malaga", "Dokploy no lo gestiona")
    await _ask(dokploy, "/deploy granada", "Desplegar granada")
    await eventually(lambda: not dokploy.server.pending_update_count, what="quiet")
