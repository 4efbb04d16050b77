"""Who deployed what, and what changed: by our own records, else by what Dokploy keeps, else honestly unknown."""

from dataclasses import replace
from datetime import timedelta

import pytest

from agent.chat.conversation import ProposeCommand, RunCommand
from core.actions.calls import Call
from core.actions.policy import Actor, ActorKind
from core.deployments.deploys import Deploy, DeployKind, DeployPhase, StackVersion, VersionContent
from core.deployments.platform import Deployment, DeployStatus, ManagedKind, ManagedResource
from core.text import Language, text
from tests.agent.dialogue.test_rules import answer, said
from tests.agent.dialogue.world import ADA, GRACE, World


@pytest.fixture
def managed(world: World) -> World:
    """granada is managed from git, rag from a file in Dokploy, n8n not at all, nerja was never deployed."""
    now = world.clock.now()
    commit = Deployment(
        id="d1",
        title="Fix the memory of the api\n\nand more",
        commit="5f3c2d1aa0bb",
        status=DeployStatus.DONE,
        finished_at=now - timedelta(hours=2),
    )
    manual = Deployment(
        id="d2", title="Manual deployment", status=DeployStatus.ERROR, finished_at=now - timedelta(hours=3)
    )
    rows = (("granada", "c1", (commit,)), ("rag", "c2", (manual,)), ("nerja", "c3", ()))
    found = [
        ManagedResource(
            id=number, kind=ManagedKind.COMPOSE, name=name, app_name=name, host="local", deployments=deployments
        )
        for name, number, deployments in rows
    ]
    world.inventory = replace(world.inventory, managed=tuple(found))
    return world


async def _deploy(world: World, phase: DeployPhase = DeployPhase.GOOD, **changes: object) -> Deploy:
    deploy = Deploy(
        key="tg:7:1",
        managed_id="c1",
        stack="granada",
        app_name="granada",
        title="Ada: more memory · ig-1a2b3c4d",
        requested_by="tg:1",
        requested_name="Ada",
        ordered_at=world.clock.now() - timedelta(minutes=30),
        deployment_id="d3",
        phase=phase,
    )
    deploy = replace(deploy, **changes)  # type: ignore[arg-type]
    await world.knowledge.deploys.put(deploy)
    return deploy


WHO: list[tuple[Language, str, str]] = [
    ("en", "who deployed granada?", "granada: deployed by Ada at"),
    ("es", "¿quién desplegó Granada?", "granada: despliegue de Ada, "),
]


@pytest.mark.parametrize(("language", "words", "told"), WHO)
async def test_a_deploy_through_the_bot_names_who_requested_it(
    managed: World, language: Language, words: str, told: str
) -> None:
    await _deploy(managed)
    assert told in await said(managed, words, language)


async def test_a_git_deployment_shows_its_commit_but_nobody(managed: World) -> None:
    told = await said(managed, "who deployed granada?")
    assert "commit 5f3c2d1 “Fix the memory of the api”" in told
    assert "Dokploy doesn't say" in told
    assert "and more" not in told


async def test_an_unknown_requester_is_not_made_up(managed: World) -> None:
    told = await said(managed, "¿quién desplegó rag?", "es")
    assert told.startswith("rag: despliegue fallido, ")
    assert "Dokploy no dice quién" in told


async def test_never_deployed_and_not_managed(managed: World) -> None:
    assert await said(managed, "is nerja deployed?") == "nerja hasn't been deployed yet."
    assert "n8n isn't managed by Dokploy" in await said(managed, "who deployed n8n?")


async def test_a_deploy_under_way_is_said(managed: World) -> None:
    await _deploy(managed, DeployPhase.RUNNING)
    assert "is being deployed right now, requested by Ada" in await said(managed, "last deploy of granada")


async def test_what_changed_tells_deployments_versions_and_edits(managed: World) -> None:
    kept = []
    for tag in ("1", "2"):
        version = StackVersion(
            managed_id="c1",
            stack="granada",
            app_name="granada",
            source="git",
            at=managed.clock.now(),
            by="tg:1",
            digest=tag,
            images={"api": f"granada/api:{tag}"},
        )
        kept.append(await managed.knowledge.versions.add(version, VersionContent(compose_file=tag)))
    await _deploy(managed, DeployPhase.CRASHED, version_before=kept[0].id, version_id=kept[1].id)
    told = await said(managed, "what changed since yesterday?")
    assert "0 incidents, 3 deployments" in told
    assert "granada: deployed by Ada" in told and "it crashed afterwards. Changes: api: 1 → 2." in told
    assert "commit 5f3c2d1" in told and "rag: deployment failed" in told
    only = await said(managed, "¿qué ha cambiado desde ayer en rag?", "es")
    assert "1 despliegue" in only and "granada" not in only


async def test_what_was_done_through_us_is_told_with_who(managed: World) -> None:
    await managed.knowledge.runs.start()
    actor = Actor(kind=ActorKind.PERSON, id="tg:1", name="Ada", role=ADA.role)
    params = {"container": "local/rag-weaviate-1"}
    await managed.gateway.submit(Call(key="w1", action="docker.restart", params={**params}, actor=actor))
    told = ""
    while "rag/weaviate: a restart by Ada" not in told:
        told = await said(managed, "what changed since yesterday?")


async def test_nobody_hears_of_a_stack_that_is_not_theirs(managed: World) -> None:
    managed.sees = lambda actor, stack: actor.id != GRACE.id or stack == "rag"
    await _deploy(managed)
    told = await said(managed, "what changed since yesterday?", actor=GRACE)
    assert "rag: deployment failed" in told and "granada" not in told
    assert "granada" not in await said(managed, "show the last deployments", actor=GRACE)


PROPOSED = [
    ("despliega granada", "deploy", "granada"),
    ("deploy the api of granada", "deploy", "granada"),
    ("vuelve a la versión anterior de granada", "rollback", "granada"),
    ("actualiza el weaviate", "update", "rag/weaviate"),
    ("deploy nerja", "deploy", "nerja"),
]


@pytest.mark.parametrize(("words", "name", "arguments"), PROPOSED)
async def test_a_deploy_request_becomes_a_button_and_nothing_else(
    managed: World, words: str, name: str, arguments: str
) -> None:
    [part] = await answer(managed, words)
    assert isinstance(part, ProposeCommand)
    assert (part.name, part.arguments) == (name, arguments)
    for language in ("en", "es"):
        assert arguments in managed.texts.render(part.message, language)
    assert await managed.knowledge.deploys.recent() == []


LOOKED = [
    ("¿qué hay desactualizado?", "updates", ""),
    ("el log del último despliegue de granada", "deploylog", "granada"),
    ("who uses port 8080?", "ports", "8080"),
    ("¿qué llena el disco?", "disk", ""),
    ("muéstrame el compose de granada", "compose", "granada"),
    ("details of the api of rag", "info", "rag/api"),
]


@pytest.mark.parametrize(("words", "name", "arguments"), LOOKED)
async def test_a_question_becomes_a_command(managed: World, words: str, name: str, arguments: str) -> None:
    assert await answer(managed, words) == [RunCommand(name=name, arguments=arguments)]


async def test_a_rollback_is_reported_as_a_rollback(managed: World) -> None:
    await _deploy(managed, what=DeployKind.ROLLBACK, message=text("deploys.begins", stack="granada"))
    assert "granada: rolled back by Ada" in await said(managed, "who deployed granada?")
