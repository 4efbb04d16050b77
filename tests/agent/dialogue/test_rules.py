"""Answers without a model: commands, proposals and sentences of what is known."""

from datetime import timedelta

import pytest

from agent.chat.conversation import AnswerMessage, AnswerPart, ProposeCommand, RunCommand
from core.actions.policy import Actor
from core.incidents.incident import IncidentState
from core.monitoring.inventory import ContainerState, Health, HealthProbe
from core.text import Language
from tests.agent.dialogue.world import ADA, GRACE, World, an_alert, inventory, parts_of, question

COMMANDS = [
    ("status", "status", ""),
    ("¿cómo está granada?", "status", "granada"),
    ("Muéstrame los logs del API de RAG", "logs", "rag/api 50"),
    ("show me the last 20 lines of the celery logs", "logs", "granada/celery 20"),
    ("errores en los logs de celery en las últimas 2 horas", "logs", "granada/celery 50 2h grep error"),
    ("logs de la api", "logs", "api 50"),
    ("muéstrame los logs", "logs", ""),
    ("métricas de postgres de la última semana", "metrics", "granada/postgres 7d"),
    ("is the frontend up?", "health", "granada/frontend"),
    ("services of rag", "services", "rag"),
    ("show me incident 12", "incident", "12"),
    ("incidentes", "incidents", ""),
    ("has celery crashed like this before, has this happened?", "memory", "granada/celery"),
    ("help", "help", ""),
    ("how much cpu does granada use?", "services", "granada"),
    ("cuánta memoria usa la api", "metrics", "api"),
]


async def answer(
    world: World, words: str, language: Language = "en", *, actor: Actor = ADA, incident_id: int | None = None
) -> list[AnswerPart]:
    asked = question(words, language=language, actor=actor, incident_id=incident_id)
    return await parts_of(world.dialogue(), asked)


async def said(
    world: World, words: str, language: Language = "en", *, actor: Actor = ADA, incident_id: int | None = None
) -> str:
    parts = await answer(world, words, language, actor=actor, incident_id=incident_id)
    assert all(isinstance(one, AnswerMessage) for one in parts), parts
    return "\n".join(world.texts.render(one.message, language) for one in parts if isinstance(one, AnswerMessage))


@pytest.mark.parametrize(("words", "name", "arguments"), COMMANDS, ids=[one[0] for one in COMMANDS])
async def test_a_question_becomes_a_command_that_looks(world: World, words: str, name: str, arguments: str) -> None:
    assert await answer(world, words) == [RunCommand(name=name, arguments=arguments)]


# -- wishes ----------------------------------------------------------------------------------------------------------


async def test_a_request_becomes_a_proposal_with_its_exact_target(world: World) -> None:
    [part] = await answer(world, "Reinicia el Weaviate", "es")
    assert isinstance(part, ProposeCommand)
    assert (part.name, part.arguments) == ("restart", "rag/weaviate")
    assert world.texts.render(part.message, "es") == "reiniciar rag/weaviate"
    assert world.docker.asked == []


async def test_a_request_for_a_whole_stack_says_how_many_services(world: World) -> None:
    [part] = await answer(world, "stop granada")
    assert isinstance(part, ProposeCommand)
    assert world.texts.render(part.message, "en") == "stop the whole stack granada (4 services)"


async def test_an_ambiguous_request_keeps_the_persons_words(world: World) -> None:
    [part] = await answer(world, "restart the api")
    assert isinstance(part, ProposeCommand)
    assert part.arguments == "api"
    assert "granada/api, rag/api" in world.texts.render(part.message, "en")


async def test_restart_it_means_the_service_mentioned_last(world: World) -> None:
    dialogue = world.dialogue()
    await parts_of(dialogue, question("logs of celery"))
    [part] = await parts_of(dialogue, question("restart it please"))
    assert isinstance(part, ProposeCommand)
    assert part.arguments == "granada/celery"
    [elsewhere] = await parts_of(dialogue, question("restart it please", chat="11:0"))
    assert isinstance(elsewhere, AnswerMessage)
    world.clock.advance(minutes=31)
    [later] = await parts_of(dialogue, question("restart it please"))
    assert isinstance(later, AnswerMessage)


async def test_a_request_not_to_act_is_respected(world: World) -> None:
    assert await said(world, "no reinicies nada", "es") == "De acuerdo. No cambio nada si no pulsas un botón."


async def test_an_unknown_name_gets_the_nearest_one(world: World) -> None:
    assert "“weavy”. Did you mean weaviate?" in await said(world, "restart weavy")
    assert "«qdrant»" in await said(world, "¿por qué está caído qdrant?", "es")


# -- what is used ----------------------------------------------------------------------------------------------------


async def test_cpu_is_measured_through_the_door(world: World) -> None:
    assert await said(world, "¿Cuánto CPU usa el frontend?", "es") == (
        "granada/frontend: CPU 12.5 % (100 = un núcleo), memoria 300 MB, sin límite propio."
    )
    assert world.docker.asked == ["stats local/granada-frontend-1"]


async def test_memory_is_told_against_the_limit(world: World) -> None:
    assert "300 of 1024 MB (29 %)" in await said(world, "how much memory does rag api use?")


async def test_an_unreachable_engine_is_not_reported_as_zero_usage(world: World) -> None:
    world.docker.is_away = True
    assert await said(world, "cpu of the frontend") == "No measurements of granada/frontend yet."


async def test_usage_of_a_stopped_service_says_it_is_not_running(world: World) -> None:
    world.becomes("local/granada-frontend-1", state=ContainerState.PAUSED)
    assert "it is paused" in await said(world, "cpu of the frontend")
    assert world.docker.asked == []


# -- why -------------------------------------------------------------------------------------------------------------


async def test_why_leads_to_the_open_incident(world: World) -> None:
    incident = await world.opens("granada/api")
    shown = [RunCommand(name="incident", arguments=str(incident.id))]
    assert await answer(world, "¿Por qué está caído Granada?", "es") == shown
    assert await answer(world, "why is granada api down?") == shown
    assert await answer(world, "what's wrong?") == shown


async def test_why_of_a_well_service_with_a_fresh_incident_leads_to_it(world: World) -> None:
    incident = await world.opens("granada/celery", ago_s=600, state=IncidentState.RESOLVED)
    assert await answer(world, "what happened to celery?") == [RunCommand(name="incident", arguments=str(incident.id))]
    world.clock.advance(hours=3)
    assert "is running (no health check)" in await said(world, "what happened to celery?")


async def test_why_of_a_running_service_says_it_is_running(world: World) -> None:
    assert await said(world, "why is rag api down?") == (
        "rag/api is running and healthy, up since 2026-02-26 13:00 (3 d). No open incident."
    )
    assert "all services are running (4)" in await said(world, "why is granada down?")
    world.becomes("local/granada-celery-1", state=ContainerState.EXITED, exit_code=0, restart_policy="no")
    assert "3 services are running, 1 job has finished" in await said(world, "why is granada down?")
    assert "1 tarea terminada" in await said(world, "¿por qué está caído granada?", "es")
    world.becomes("local/granada-celery-1", state=ContainerState.EXITED, exit_code=0, restart_policy="always")
    assert "granada/celery has been down" in await said(world, "why is granada down?")
    world.becomes("local/granada-celery-1", state=ContainerState.RUNNING, health=Health.STARTING)
    assert "it hasn't passed its health check yet" in await said(world, "why is granada down?")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"exit_code": 1}, "it exited on its own (code 1)"),
        ({"exit_code": 0}, "I can't tell whether it finished or was stopped."),
        ({"exit_code": 143}, "stopped by a signal (exit code 143), I don't know from whom"),
        ({"exit_code": 137, "oom_killed": True}, "killed by the kernel (out of memory)"),
        ({"exit_code": 127, "error": "exec: no such file"}, "couldn't start: exec: no such file"),
        ({"state": ContainerState.RESTARTING, "exit_code": 3, "restart_count": 9}, "9 times so far, last exit code 3"),
        ({"state": ContainerState.CREATED, "error": "port is taken"}, "couldn't start: port is taken"),
        ({"state": ContainerState.RUNNING, "health": Health.STARTING}, "hasn't passed its health check yet"),
        ({"state": ContainerState.DEAD}, "it is dead"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_why_explains_each_container_state(world: World, changes: dict[str, object], sentence: str) -> None:
    ended = world.clock.now() - timedelta(minutes=5)
    changed = {"state": ContainerState.EXITED, "finished_at": ended, "health": Health.NONE, **changes}
    world.becomes("local/rag-api-1", **changed)
    assert sentence in await said(world, "why is rag api down?")


async def test_who_stopped_it_is_said_where_an_alert_tells(world: World) -> None:
    ended = world.clock.now() - timedelta(minutes=5)
    world.becomes("local/rag-api-1", state=ContainerState.EXITED, exit_code=137, finished_at=ended)
    world.alerts = [an_alert("rag", "api", ended, stopped_by="kill")]
    assert "killed through the Docker API" in await said(world, "who stopped rag api?")
    world.alerts = [an_alert("rag", "api", ended - timedelta(hours=1), stopped_by="kill")]
    assert "I don't know from whom" in await said(world, "who stopped rag api?")


async def test_a_failing_health_check_is_quoted_without_its_secrets(world: World) -> None:
    probe = HealthProbe(at=world.clock.now(), exit_code=1, output="cannot log in: password=hunter2hunter2 <b>")
    world.becomes("local/rag-api-1", health=Health.UNHEALTHY, health_log=(probe,))
    told = await said(world, "¿por qué falla la api de rag?", "es")
    assert "su health check falla: cannot log in" in told
    assert "hunter2" not in told


# -- changes ---------------------------------------------------------------------------------------------------------


async def test_what_changed_lists_incidents_and_containers(world: World) -> None:
    await world.opens("granada/api", ago_s=3600)
    now = world.clock.now()
    world.becomes("local/rag-weaviate-1", created_at=now - timedelta(hours=2), started_at=now - timedelta(hours=2))
    world.becomes("local/n8n-worker-1", started_at=now - timedelta(hours=3))
    told = await said(world, "what changed since yesterday?")
    assert told.startswith("Since 2026-02-28 00:00: 1 incident, 0 deployments, 1 container created, 1 started again.")
    assert "rag-weaviate-1 created at 11:00 from example/weaviate:1" in told
    assert "n8n-worker-1 started at 10:00" in told
    assert "I can't see" in told
    assert "weaviate" not in await said(world, "what changed in n8n since yesterday?")


async def test_nothing_changed(world: World) -> None:
    assert "ningún incidente" in await said(world, "¿qué cambió en la última hora?", "es")


# -- a reply to a card -----------------------------------------------------------------------------------------------


async def test_a_reply_is_about_its_incident(world: World) -> None:
    incident = await world.opens("granada/celery")
    assert await answer(world, "¿por qué?", "es", incident_id=incident.id) == [
        RunCommand(name="why", arguments=str(incident.id))
    ]
    assert await answer(world, "logs", incident_id=incident.id) == [
        RunCommand(name="logs", arguments="granada/celery 50")
    ]
    assert await answer(world, "métricas", incident_id=incident.id) == [
        RunCommand(name="metrics", arguments="granada/celery")
    ]
    assert await answer(world, "logs of postgres", incident_id=incident.id) == [
        RunCommand(name="logs", arguments="granada/postgres 50")
    ]
    [wish] = await answer(world, "reinícialo", "es", incident_id=incident.id)
    assert isinstance(wish, ProposeCommand)
    assert wish.arguments == "granada/celery"
    [before] = await answer(world, "has this happened before?", incident_id=incident.id)
    assert isinstance(before, RunCommand)
    assert (before.name, before.arguments[:14]) == ("memory", "granada/celery")


async def test_a_yes_in_chat_approves_nothing(world: World) -> None:
    incident = await world.opens("granada/celery")
    assert "/approve" in await said(world, "sí, hazlo", "es", incident_id=incident.id)
    assert "/approve" in await said(world, "approve", incident_id=incident.id)


# -- what a person may see -------------------------------------------------------------------------------------------


async def test_nobody_hears_of_a_stack_that_is_not_theirs(world: World) -> None:
    await world.opens("granada/api")
    world.sees = lambda actor, stack: stack == "rag"
    assert "There is no stack" in await said(world, "why is postgres down?", actor=GRACE)
    assert await answer(world, "what's wrong?", actor=GRACE) == [RunCommand(name="status")]
    assert "granada" not in await said(world, "what changed since yesterday?", actor=GRACE)
    assert await answer(world, "logs of the api", actor=GRACE) == [RunCommand(name="logs", arguments="rag/api 50")]


async def test_without_a_model_the_rest_gets_an_honest_word(world: World) -> None:
    assert "no hay ninguno configurado" in await said(world, "cuéntame un chiste", "es")
    assert "none is configured" in await said(world, "x" * 5000)


async def test_an_empty_inventory_gets_an_answer_without_an_error(world: World) -> None:
    world.inventory = type(inventory(world.clock))()
    assert "There is no stack" in await said(world, "why is api down?")
