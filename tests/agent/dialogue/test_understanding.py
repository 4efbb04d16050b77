"""What people write, and what it is taken for."""

import time
from dataclasses import replace

import pytest

from agent.chat.intents import CHANGE_INTENTS, Intent, asks_for_change, fold_text, interpret_question
from core.monitoring.inventory import title
from tests.agent.dialogue.world import inventory
from tests.knowledge.tools import SetClock

INVENTORY = inventory(SetClock())

UNDERSTOOD = [
    # the product's own examples
    ("¿Por qué está caído Granada?", Intent.WHY, ["granada"]),
    ("Muéstrame los logs del API de RAG", Intent.LOGS, ["rag/api"]),
    ("Reinicia el Weaviate", Intent.RESTART, ["rag/weaviate"]),
    ("¿Cuánto CPU usa el frontend?", Intent.CPU, ["granada/frontend"]),
    ("what changed since yesterday?", Intent.CHANGES, []),
    # status, health, services
    ("¿Cómo está todo?", Intent.STATUS, []),
    ("estado", Intent.STATUS, []),
    ("How are things?", Intent.STATUS, []),
    ("is everything ok?", Intent.STATUS, []),
    ("¿todo bien por ahí?", Intent.STATUS, []),
    ("status of granada please", Intent.STATUS, ["granada"]),
    ("¿cómo anda la api de granada?", Intent.STATUS, ["granada/api"]),
    ("is the weaviate up?", Intent.HEALTH, ["rag/weaviate"]),
    ("¿Está caído el frontend?", Intent.HEALTH, ["granada/frontend"]),
    ("¿funciona n8n?", Intent.HEALTH, ["n8n"]),
    ("how many times did celery restart?", Intent.HEALTH, ["granada/celery"]),
    ("qué servicios tiene granada", Intent.SERVICES, ["granada"]),
    ("list the containers of rag", Intent.SERVICES, ["rag"]),
    # who uses the most
    ("What is using the most memory?", Intent.MOST_MEMORY, []),
    ("¿Qué está usando más memoria?", Intent.MOST_MEMORY, []),
    ("¿quién consume más cpu en granada?", Intent.MOST_CPU, ["granada"]),
    ("top memory", Intent.MOST_MEMORY, []),
    # logs and metrics
    ("logs granada/api", Intent.LOGS, ["granada/api"]),
    ("show me the last 20 lines of the celery logs", Intent.LOGS, ["granada/celery"]),
    ("enséñame los registros de postgres", Intent.LOGS, ["granada/postgres"]),
    ("LOGS DEL FRONTEND POR FAVOR", Intent.LOGS, ["granada/frontend"]),
    ("dame los logs de weviate", Intent.LOGS, ["rag/weaviate"]),
    ("podrías mostrarme los logs del worker?", Intent.LOGS, ["n8n/worker"]),
    ("logs de la api", Intent.LOGS, ["granada/api", "rag/api"]),
    ("quiero ver las métricas de rag/api", Intent.METRICS, ["rag/api"]),
    ("a graph of postgres, last 24 hours", Intent.METRICS, ["granada/postgres"]),
    ("how much memory does celery use?", Intent.MEMORY_USE, ["granada/celery"]),
    ("¿cuánta RAM gasta el weaviate?", Intent.MEMORY_USE, ["rag/weaviate"]),
    # why
    ("why is granada api down?", Intent.WHY, ["granada/api"]),
    ("what's wrong with the worker?", Intent.WHY, ["n8n/worker"]),
    ("what happened to celery", Intent.WHY, ["granada/celery"]),
    ("¿Qué le pasa al frontend?", Intent.WHY, ["granada/frontend"]),
    ("xq se cayo el postgres", Intent.WHY, ["granada/postgres"]),
    ("porque esta caido el frontned", Intent.WHY, ["granada/frontend"]),
    ("¿por qué se reinició la api de granada?", Intent.WHY, ["granada/api"]),
    ("who restarted postgres?", Intent.WHY, ["granada/postgres"]),
    ("¿quién paró el worker?", Intent.WHY, ["n8n/worker"]),
    ("did you restart weaviate?", Intent.WHY, ["rag/weaviate"]),
    ("did you restart it?", Intent.WHY, []),
    ("¿Por qué?", Intent.WHY, []),
    ("la api de rag va lenta", Intent.WHY, ["rag/api"]),
    ("parece que celery falla", Intent.WHY, ["granada/celery"]),
    ("granada", Intent.STATUS, ["granada"]),
    # incidents and the past
    ("¿Qué está fallando?", Intent.INCIDENTS, []),
    ("what happened last night?", Intent.INCIDENTS, []),
    ("¿hay incidentes abiertos?", Intent.INCIDENTS, []),
    ("any alerts?", Intent.INCIDENTS, []),
    ("has this happened before?", Intent.BEFORE, []),
    ("¿Ha pasado esto antes con celery?", Intent.BEFORE, ["granada/celery"]),
    ("qué cambió en granada desde ayer", Intent.CHANGES, ["granada"]),
    ("¿qué ha cambiado hoy?", Intent.CHANGES, []),
    # deployments, versions, hosts
    ("who deployed granada?", Intent.DEPLOYED, ["granada"]),
    ("¿quién desplegó Granada?", Intent.DEPLOYED, ["granada"]),
    ("¿quién ha desplegado la api de rag?", Intent.DEPLOYED, ["rag/api"]),
    ("last deploy of granada", Intent.DEPLOYED, ["granada"]),
    ("¿cuándo fue el último despliegue de rag?", Intent.DEPLOYED, ["rag"]),
    ("¿está desplegado granada?", Intent.DEPLOYED, ["granada"]),
    ("is rag deployed?", Intent.DEPLOYED, ["rag"]),
    ("when was n8n deployed?", Intent.DEPLOYED, ["n8n"]),
    ("show me the deploy log of granada", Intent.DEPLOY_LOG, ["granada"]),
    ("el log del último despliegue de rag", Intent.DEPLOY_LOG, ["rag"]),
    ("¿qué ha cambiado desde ayer en granada?", Intent.CHANGES, ["granada"]),
    ("what changed in the last deploy of granada?", Intent.CHANGES, ["granada"]),
    ("¿por qué falló el despliegue de granada?", Intent.WHY, ["granada"]),
    ("¿qué hay desactualizado?", Intent.OUTDATED, []),
    ("what is outdated?", Intent.OUTDATED, []),
    ("¿hay actualizaciones para rag?", Intent.OUTDATED, ["rag"]),
    ("are there newer images for granada?", Intent.OUTDATED, ["granada"]),
    ("¿qué puertos usa la api de granada?", Intent.PORTS, ["granada/api"]),
    ("who uses port 8080?", Intent.PORTS, []),
    ("¿qué llena el disco?", Intent.DISK, []),
    ("what is filling up the disk?", Intent.DISK, []),
    ("libera espacio", Intent.DISK, []),
    ("muéstrame el compose de granada", Intent.COMPOSE_FILE, ["granada"]),
    ("show me the docker-compose file of rag", Intent.COMPOSE_FILE, ["rag"]),
    ("detalles de la api de rag", Intent.DETAILS, ["rag/api"]),
    ("despliega granada", Intent.DEPLOY, ["granada"]),
    ("por favor, despliega el stack rag", Intent.DEPLOY, ["rag"]),
    ("vuelve a desplegar granada", Intent.DEPLOY, ["granada"]),
    ("haz un deploy de rag", Intent.DEPLOY, ["rag"]),
    ("can you deploy granada?", Intent.DEPLOY, ["granada"]),
    ("redeploy n8n please", Intent.DEPLOY, ["n8n"]),
    ("vuelve a la versión anterior de granada", Intent.ROLLBACK, ["granada"]),
    ("haz rollback de rag", Intent.ROLLBACK, ["rag"]),
    ("quiero volver a la versión anterior de rag", Intent.ROLLBACK, ["rag"]),
    ("roll back granada", Intent.ROLLBACK, ["granada"]),
    ("roll granada back", Intent.ROLLBACK, ["granada"]),
    ("undo the last deploy of granada", Intent.ROLLBACK, ["granada"]),
    ("revierte granada", Intent.ROLLBACK, ["granada"]),
    ("actualiza el weaviate", Intent.UPDATE, ["rag/weaviate"]),
    ("actualiza el api", Intent.UPDATE, ["granada/api", "rag/api"]),
    ("update rag", Intent.UPDATE, ["rag"]),
    ("pull the latest image of celery", Intent.UPDATE, ["granada/celery"]),
    ("no despliegues nada", Intent.FORBIDS, []),
    ("don't deploy anything", Intent.FORBIDS, []),
    # small talk
    ("ayuda", Intent.HELP, []),
    ("what can you do?", Intent.HELP, []),
    ("¡Muchas gracias!", Intent.THANKS, []),
    ("hola", Intent.HELLO, []),
    # wishes
    ("restart granada api", Intent.RESTART, ["granada/api"]),
    ("please restart the weaviate", Intent.RESTART, ["rag/weaviate"]),
    ("can you restart rag/api?", Intent.RESTART, ["rag/api"]),
    ("could you please bounce celery", Intent.RESTART, ["granada/celery"]),
    ("I want you to restart n8n", Intent.RESTART, ["n8n"]),
    ("Reiniciá el worker, che", Intent.RESTART, ["n8n/worker"]),
    ("Por favor, reinicien el postgres", Intent.RESTART, ["granada/postgres"]),
    ("¿Podría usted reiniciar el frontend?", Intent.RESTART, ["granada/frontend"]),
    ("¿me reinicias el weaviate?", Intent.RESTART, ["rag/weaviate"]),
    ("reiniciame la api de rag porfa", Intent.RESTART, ["rag/api"]),
    ("quiero que reinicies celery", Intent.RESTART, ["granada/celery"]),
    ("dale un reinicio al worker", Intent.RESTART, ["n8n/worker"]),
    ("hazle un restart al frontend", Intent.RESTART, ["granada/frontend"]),
    ("la api de granada no responde, reiníciala", Intent.RESTART, ["granada/api"]),
    ("celery is stuck, please restart it", Intent.RESTART, ["granada/celery"]),
    ("reinicia la api", Intent.RESTART, ["granada/api", "rag/api"]),
    ("reinicia", Intent.RESTART, []),
    ("no reinicies la api de granada, reinicia el worker", Intent.RESTART, ["n8n/worker"]),
    ("stop the worker", Intent.STOP, ["n8n/worker"]),
    ("para el worker", Intent.STOP, ["n8n/worker"]),
    ("Detén el stack rag", Intent.STOP, ["rag"]),
    ("apague el weaviate por favor", Intent.STOP, ["rag/weaviate"]),
    ("shut celery down", Intent.STOP, ["granada/celery"]),
    ("start the worker", Intent.UP, ["n8n/worker"]),
    ("levanta granada", Intent.UP, ["granada"]),
    ("bring the weaviate back up", Intent.UP, ["rag/weaviate"]),
    ("arrancá el celery", Intent.UP, ["granada/celery"]),
    # prohibitions
    ("no reinicies nada", Intent.FORBIDS, []),
    ("don't restart anything", Intent.FORBIDS, []),
    ("please do not stop the api", Intent.FORBIDS, []),
    ("por favor no lo reinicies", Intent.FORBIDS, []),
]

NEVER_A_WISH = [
    "¿por qué se reinició la api?",
    "who restarted api?",
    "did you restart it?",
    "has reiniciado la api?",
    "reinicié la api y sigue igual",
    "restart count of celery",
    "how do I restart postgres?",
    "¿cómo reinicio el worker?",
    "should I restart the api?",
    "si la api se cae, reiníciala",
    "if celery dies, restart it",
    "restart the worker every night",
    "reinicia el worker mañana a las 3",
    "reinicia todo menos postgres",
    "stop restarting the api",
    "para qué sirve celery",
    "para el weaviate, muéstrame los logs",
    "start with the logs of celery",
    "don't restart",
    "never restart postgres",
    "reinicia nada",
    "reinicia celery y postgres",
    "the api restarted again",
    "restart everything",
    "arregla celery",
    "puedo reiniciar la api?",
    "does a restart of rag help?",
    "deploy log of granada",
    "the deploy of granada failed",
    "deploy granada failed",
    "who deployed granada?",
    "desplegué granada ayer",
    "actualicé la api",
    "update on granada?",
    "any updates?",
    "if it fails, roll back granada",
    "despliega granada mañana",
    "should I deploy granada?",
    "did you roll back rag?",
]

FOR_THE_MODEL = [
    "why does the api of granada need so much more heap since the refactoring",
    "compare the frontend with the weaviate over the weekend",
    "¿por qué el cielo es azul?",
    "tell me a joke",
    "what do the logs of celery say about the payment provider timeout?",
]


@pytest.mark.parametrize(("words", "intent", "targets"), UNDERSTOOD, ids=[one[0] for one in UNDERSTOOD])
def test_a_common_question_is_understood(words: str, intent: Intent, targets: list[str]) -> None:
    found = interpret_question(words, INVENTORY)
    assert found is not None
    assert (found.intent, [title(one) for one in found.targets]) == (intent, targets)
    assert found.is_sure


@pytest.mark.parametrize("words", NEVER_A_WISH)
def test_a_question_is_not_taken_for_a_request(words: str) -> None:
    found = interpret_question(words, INVENTORY)
    assert found is None or found.intent not in CHANGE_INTENTS


@pytest.mark.parametrize("words", FOR_THE_MODEL)
def test_a_question_beyond_the_rules_goes_to_the_model(words: str) -> None:
    found = interpret_question(words, INVENTORY)
    assert found is None or not found.is_sure


def test_a_name_that_is_not_there_is_kept_for_the_answer() -> None:
    found = interpret_question("why is qdrant down?", INVENTORY)
    assert found is not None
    assert (found.targets, found.named) == ((), "qdrant")


def test_a_service_named_like_a_command_is_found() -> None:
    own = replace(INVENTORY.containers[0], stack="obs", service="metrics", name="obs-metrics-1")
    found = interpret_question("status of metrics", replace(INVENTORY, containers=(*INVENTORY.containers, own)))
    assert found is not None
    assert (found.intent, [title(one) for one in found.targets]) == (Intent.STATUS, ["obs/metrics"])


def test_a_very_long_text_is_no_common_question() -> None:
    assert interpret_question("why is granada down? " * 240, INVENTORY) is None


@pytest.mark.parametrize("words", ["", "   ", "¿?", "🤷", "\u202e\u0000", "<b>&amp;</b>", "(" * 5000])
def test_odd_texts_do_not_break_understanding(words: str) -> None:
    interpret_question(words, INVENTORY)
    asks_for_change(words)


def test_case_and_accents_are_ignored() -> None:
    assert fold_text("  ¿Qué   PASÓ, con «granada/api»?  ") == "que paso con granada/api"


@pytest.mark.parametrize(
    "words", ["restart it", "despliega granada", "arregla la api", "please fix granada", "sí, hazlo", "levántalo todo"]
)
def test_a_request_for_change_is_noticed(words: str) -> None:
    assert asks_for_change(words)


@pytest.mark.parametrize("words", ["qué dicen los logs de celery", "don't restart it, just explain", "no toques nada"])
def test_a_text_without_a_request_changes_nothing(words: str) -> None:
    assert not asks_for_change(words)


def test_many_names_and_many_words_are_weighed_in_a_moment() -> None:
    copies = [
        replace(one, stack=f"{one.stack}{number}", name=f"{one.stack}{number}-{one.service}-1")
        for number in range(30)
        for one in INVENTORY.containers
    ]
    words = "why " + " ".join(f"zorp{number}x" for number in range(55))
    began = time.perf_counter()
    assert interpret_question(words, replace(INVENTORY, containers=tuple(copies))) is None
    assert time.perf_counter() - began < 1.0
