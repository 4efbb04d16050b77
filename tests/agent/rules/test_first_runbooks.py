"""Each shipped runbook over recorded evidence: what it recognises, what it must not take for it, and what it does."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import JsonValue

from agent.runbooks.loader import Runbooks, load_runbooks
from core.actions.catalog import Catalog
from core.incidents.alert_kinds import AlertKind
from core.monitoring.inventory import ContainerState, Health
from tests.agent.rules.fakes import incident, small_catalog
from tests.agent.rules.scenes import Judged, api, container, db, judge, unhealthy

OWN = "${incident.container}"
OTHER = "${evidence.dependency_container}"
UNRESOLVED = 'could not translate host name "db" to address: Temporary failure in name resolution'
REFUSED = 'connection to server at "db" (172.18.0.2), port 5432 failed: Connection refused'
HOURS = timedelta(hours=5)
MINUTES = timedelta(minutes=10)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return small_catalog()


@pytest.fixture(scope="module")
def books(catalog: Catalog) -> Runbooks:
    return load_runbooks(Path("runbooks"), None, catalog)


def said(judged: Judged, language: str = "en") -> str:
    assert judged.verdict.diagnosis is not None
    return str(judged.verdict.diagnosis.message.values[language])


def named(judged: Judged) -> tuple[str | None, str | None]:
    """Runbook and cause; the rules must be sure."""
    assert judged.verdict.why_ask is None
    assert judged.verdict.diagnosis is not None
    return judged.verdict.diagnosis.runbook, judged.verdict.diagnosis.cause


OOM = {"oom_killed": True, "exit_code": 137, "memory_limit_mb": 512, "memory_peak_mb": 512, "stopped_by_person": False}


async def test_memory_kill_with_a_peak_raises_the_limit(books: Runbooks, catalog: Catalog) -> None:
    trouble = incident(memory_shape="peak", came_back=False, **OOM)  # type: ignore[arg-type]
    judged = await judge(books, catalog, trouble, api(), logs={"api": ["loading cache"]})
    assert named(judged) == ("container_oom", "memory_limit")
    assert judged.actions == (("docker.update_memory", OWN), ("docker.restart", OWN))
    assert "512 MB of its 512 MB limit" in said(judged)
    assert "not to a leak" in said(judged)
    assert "no a una fuga" in said(judged, "es")
    assert judged.verdict.diagnosis is not None
    assert {"oom_killed", "memory_peak_mb", "memory_limit_mb", "memory_shape"} <= set(judged.verdict.diagnosis.evidence)


@pytest.mark.parametrize(
    ("shape", "came_back", "free_mb", "actions"),
    [
        ("ramp", False, 8000, (("docker.restart", OWN),)),
        ("peak", False, 700, (("docker.restart", OWN),)),
        ("peak", False, None, (("docker.restart", OWN),)),
        ("unknown", False, 8000, (("docker.restart", OWN),)),
        ("peak", True, 8000, (("docker.update_memory", OWN),)),
        ("ramp", True, 8000, ()),
    ],
)
async def test_a_memory_kill_is_handled_by_its_memory_trend(
    books: Runbooks,
    catalog: Catalog,
    shape: str,
    came_back: bool,
    free_mb: int | None,
    actions: tuple[tuple[str, str], ...],
) -> None:
    trouble = incident(memory_shape=shape, came_back=came_back, **OOM)  # type: ignore[arg-type]
    judged = await judge(books, catalog, trouble, api(), memory_free_mb=free_mb)
    assert named(judged)[0] == "container_oom"
    assert judged.actions == actions


async def test_137_by_docker_stop_is_not_memory(books: Runbooks, catalog: Catalog) -> None:
    trouble = incident(oom_killed=False, exit_code=137, stopped_by_person=True, stopped_by="stop")
    judged = await judge(books, catalog, trouble, api())
    assert judged.verdict.diagnosis is None
    assert judged.actions == ()


async def test_137_from_outside_is_not_memory_of_the_container(books: Runbooks, catalog: Catalog) -> None:
    trouble = incident(oom_killed=False, exit_code=137, stopped_by_person=False, stopped_by="outside", came_back=False)
    judged = await judge(books, catalog, trouble, api())
    assert named(judged)[0] == "exited_unexpectedly"
    assert "signal from outside" in said(judged)


async def test_a_killed_child_is_no_reason_to_restart(books: Runbooks, catalog: Catalog) -> None:
    trouble = incident(
        AlertKind.CHILD_OOM, child_oom_kills=2, oom_killed=False, memory_limit_mb=256, memory_shape="flat"
    )
    line = "[CRITICAL] Worker (pid:9) was sent SIGKILL! Perhaps out of memory?"
    judged = await judge(books, catalog, trouble, api(ContainerState.RUNNING), logs={"api": [line]})
    assert named(judged) == ("child_oom", "child_memory_limit")
    assert judged.actions == (("docker.update_memory", OWN),)
    assert "Worker (pid:9)" in said(judged)


LOOP = {"exit_code": 1, "oom_killed": False, "restarts_in_window": 4, "stopped_by_person": False}


async def test_a_crash_loop_names_its_error_and_is_not_restarted(books: Runbooks, catalog: Catalog) -> None:
    trouble = incident(AlertKind.CRASH_LOOP, **LOOP)  # type: ignore[arg-type]
    lines = ["Traceback (most recent call last):", '  File "/srv/a.py", line 1, in <module>', "ValueError: bad port"]
    judged = await judge(books, catalog, trouble, api(ContainerState.RESTARTING), logs={"api": lines})
    assert named(judged) == ("crash_loop", "crash_loop")
    assert "ValueError: bad port" in said(judged)
    assert judged.actions == ()


async def test_a_missing_variable_is_named(books: Runbooks, catalog: Catalog) -> None:
    trouble = incident(AlertKind.CRASH_LOOP, **LOOP)  # type: ignore[arg-type]
    judged = await judge(
        books, catalog, trouble, api(ContainerState.RESTARTING), logs={"api": ["KeyError: 'DATABASE_URL'"]}
    )
    assert named(judged) == ("missing_variable", "missing_env")
    assert "DATABASE_URL" in said(judged)
    assert judged.actions == ()


async def test_a_job_that_ends_well_is_no_crash(books: Runbooks, catalog: Catalog) -> None:
    trouble = incident(AlertKind.CRASH_LOOP, exit_code=0, oom_killed=False, restart_policy="always")
    judged = await judge(books, catalog, trouble, api(ContainerState.RESTARTING), logs={"api": ["migrations done"]})
    assert named(judged) == ("finished_job_loop", "one_shot_restarts")
    assert judged.actions == ()


@pytest.mark.parametrize(
    ("exit_code", "output", "streak", "ran", "more", "words"),
    [
        (7, "curl: (7) Failed to connect to 127.0.0.1 port 9999: Connection refused", 20, MINUTES, {}, "port 9999"),
        (
            7,
            "curl: (7) Failed to connect to 127.0.0.1 port 9999: Connection refused",
            3,
            HOURS,
            {"ports": ("8080/tcp",)},
            "port 9999",
        ),
        (127, "/bin/sh: 1: wget: not found", 3, HOURS, {}, "calls wget"),
        (-1, "Health check exceeded timeout (1s)", 20, MINUTES, {}, "never succeeded in time"),
    ],
)
async def test_a_broken_health_check_never_restarts_the_service(
    books: Runbooks,
    catalog: Catalog,
    exit_code: int,
    output: str,
    streak: int,
    ran: timedelta,
    more: dict[str, object],
    words: str,
) -> None:
    trouble = incident(AlertKind.UNHEALTHY, failing_streak=streak, health_exit_code=exit_code, health_output=output)
    sick = unhealthy(exit_code, output, streak=streak, ran=ran, **more)
    judged = await judge(books, catalog, trouble, sick, db())
    assert named(judged) == ("healthcheck_broken", "broken_healthcheck")
    assert words in said(judged)
    assert judged.actions == ()


@pytest.mark.parametrize(
    ("exit_code", "output"),
    [
        (1, "unhealthy"),
        (22, "curl: (22) The requested URL returned error: 500"),
        (-1, "Health check exceeded timeout (5s)"),
        (7, "curl: (7) Failed to connect to 127.0.0.1 port 8080: Connection refused"),
    ],
)
async def test_a_service_that_was_well_and_is_no_longer_is_restarted(
    books: Runbooks, catalog: Catalog, exit_code: int, output: str
) -> None:
    trouble = incident(AlertKind.UNHEALTHY, failing_streak=3, health_exit_code=exit_code, health_output=output)
    judged = await judge(books, catalog, trouble, unhealthy(exit_code, output, streak=3, ran=HOURS), db())
    assert named(judged) == ("service_unhealthy", "unhealthy")
    assert judged.actions == (("docker.restart", OWN),)


async def test_a_stopped_dependency_that_lost_its_name_is_the_root(books: Runbooks, catalog: Catalog) -> None:
    trouble = incident(AlertKind.CRASH_LOOP, **LOOP)  # type: ignore[arg-type]
    stopped = db(ContainerState.EXITED, exit_code=0)
    judged = await judge(
        books, catalog, trouble, api(ContainerState.RESTARTING), stopped, logs={"api": [UNRESOLVED], "db": ["bye"]}
    )
    assert named(judged) == ("dependency_stopped_dns", "dependency_stopped")
    assert judged.verdict.diagnosis is not None
    assert judged.verdict.diagnosis.culprit == "granada/db"
    assert judged.verdict.diagnosis.affected == ("granada/api",)
    assert judged.actions == (("docker.start", OTHER),)
    assert judged.context.fact("dependency_container") == "local/granada-db-1"


async def test_a_name_that_nobody_has_is_no_stopped_dependency(books: Runbooks, catalog: Catalog) -> None:
    trouble = incident(AlertKind.CRASH_LOOP, **LOOP)  # type: ignore[arg-type]
    judged = await judge(
        books,
        catalog,
        trouble,
        api(ContainerState.RESTARTING),
        db(),
        logs={"api": ["Error: getaddrinfo EAI_AGAIN rediss"]},
    )
    assert named(judged) == ("name_not_found", "name_not_found")
    assert "'rediss'" in said(judged)
    assert judged.actions == ()


@pytest.mark.parametrize(
    ("state", "health", "action"),
    [
        (ContainerState.EXITED, Health.NONE, "docker.start"),
        (ContainerState.PAUSED, Health.NONE, "docker.unpause"),
        (ContainerState.RUNNING, Health.UNHEALTHY, "docker.restart"),
    ],
)
async def test_the_dependency_is_repaired_and_not_its_victim(
    books: Runbooks, catalog: Catalog, state: ContainerState, health: Health, action: str
) -> None:
    trouble = incident(exit_code=1, oom_killed=False, stopped_by_person=False, stopped_by="itself", came_back=False)
    judged = await judge(books, catalog, trouble, api(), db(state, health=health), logs={"api": [REFUSED]})
    assert named(judged) == ("dependency_down", "dependency_down")
    assert judged.verdict.diagnosis is not None
    assert judged.verdict.diagnosis.culprit == "granada/db"
    assert judged.actions == ((action, OTHER),)


async def test_a_dependency_that_is_well_is_not_accused(books: Runbooks, catalog: Catalog) -> None:
    trouble = incident(exit_code=1, oom_killed=False, stopped_by_person=False, stopped_by="itself", came_back=False)
    judged = await judge(books, catalog, trouble, api(), db(), logs={"api": [REFUSED]})
    assert named(judged)[0] == "exited_unexpectedly"
    assert judged.actions == (("docker.restart", OWN),)


async def test_a_stopped_neighbour_that_it_does_not_need_is_not_accused(books: Runbooks, catalog: Catalog) -> None:
    trouble = incident(exit_code=1, oom_killed=False, stopped_by_person=False, came_back=False)
    neighbour = container("mailer", ContainerState.EXITED, exit_code=1)
    judged = await judge(books, catalog, trouble, api(), db(), neighbour, logs={"api": ["Connection refused"]})
    assert named(judged)[0] == "exited_unexpectedly"


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        (128, "driver failed: failed to bind host port for 0.0.0.0:80: address already in use", "Port 80"),
        (126, 'exec: "/app/run.sh": permission denied: unknown', "isn't executable"),
        (127, 'exec: "npm": executable file not found in $PATH', "not in the image"),
        (127, "error mounting: not a directory: Are you trying to mount a directory onto a file", "mounted file"),
        (128, "unable to find user app: no matching entries in passwd file", "does not exist in the image"),
        (1, "exec /run.sh: exec format error", "another type of processor"),
    ],
)
async def test_what_cannot_start_is_explained_and_left_alone(
    books: Runbooks, catalog: Catalog, code: int, error: str, words: str
) -> None:
    trouble = incident(AlertKind.CANNOT_START, exit_code=code, state_error=error)
    judged = await judge(books, catalog, trouble, api(ContainerState.CREATED, error=error, exit_code=code))
    assert named(judged) == ("cannot_start", "cannot_start")
    assert words in said(judged)
    assert judged.actions == ()


async def test_what_was_killed_through_the_api_is_started_again(books: Runbooks, catalog: Catalog) -> None:
    facts = {"exit_code": 137, "oom_killed": False, "stopped_by": "kill", "stopped_by_person": False}
    judged = await judge(books, catalog, incident(AlertKind.KILLED_BY_API, came_back=False, **facts), api())  # type: ignore[arg-type]
    assert named(judged) == ("killed_by_api", "killed_by_api")
    assert judged.actions == (("docker.start", OWN),)
    back = await judge(books, catalog, incident(AlertKind.KILLED_BY_API, came_back=True, **facts), api())  # type: ignore[arg-type]
    assert back.actions == ()


async def test_a_paused_service_is_resumed(books: Runbooks, catalog: Catalog) -> None:
    judged = await judge(books, catalog, incident(AlertKind.PAUSED, restart_count=0), api(ContainerState.PAUSED))
    assert named(judged) == ("paused", "paused")
    assert judged.actions == (("docker.unpause", OWN),)


async def test_memory_near_its_limit_gets_room_unless_it_leaks(books: Runbooks, catalog: Catalog) -> None:
    facts = {"memory_pct": 94.0, "memory_limit_mb": 512, "sustained_s": 120.0}
    steady = incident(AlertKind.MEMORY_NEAR_LIMIT, memory_shape="flat", **facts)  # type: ignore[arg-type]
    leaking = incident(AlertKind.MEMORY_NEAR_LIMIT, memory_shape="ramp", **facts)  # type: ignore[arg-type]
    judged = await judge(books, catalog, steady, api())
    assert named(judged) == ("memory_near_limit", "memory_pressure")
    assert judged.actions == (("docker.update_memory", OWN),)
    assert "94 % of its 512 MB" in said(judged)
    leak = await judge(books, catalog, leaking, api())
    assert leak.actions == ()
    assert "fuga" in said(leak, "es")


@pytest.mark.parametrize(
    ("kind", "facts", "expected", "words"),
    [
        (AlertKind.CPU_PEGGED, {"cpu_pct": 99.5, "sustained_s": 120.0}, ("cpu_pegged", "cpu_saturated"), "99.5 %"),
        (AlertKind.CPU_THROTTLED, {"throttled_pct": 80.0}, ("cpu_throttled", "cpu_limit"), "80 %"),
        (
            AlertKind.ENGINE_UNREACHABLE,
            {"host_problem": "connection refused"},
            ("engine_unreachable", "engine_unreachable"),
            "connection refused",
        ),
        (AlertKind.DETECTOR_FAILED, {"broken_detectors": ["paused"]}, ("detector_failed", "detector_failed"), "local"),
    ],
)
async def test_trouble_only_people_can_judge_is_explained(
    books: Runbooks,
    catalog: Catalog,
    kind: AlertKind,
    facts: dict[str, JsonValue],
    expected: tuple[str, str],
    words: str,
) -> None:
    judged = await judge(books, catalog, incident(kind, **facts), api())  # type: ignore[arg-type]
    assert named(judged) == expected
    assert judged.actions == ()
    assert words in said(judged)
    assert words in said(judged, "es")


async def test_a_full_disk_and_a_refused_password_are_not_restarted(books: Runbooks, catalog: Catalog) -> None:
    trouble = incident(AlertKind.CRASH_LOOP, **LOOP)  # type: ignore[arg-type]
    full = await judge(books, catalog, trouble, api(), logs={"api": ["OSError: [Errno 28] No space left on device"]})
    refused = await judge(
        books, catalog, trouble, api(), logs={"api": ['FATAL: password authentication failed for user "app"']}
    )
    assert named(full) == ("disk_full", "disk_full")
    assert named(refused) == ("auth_failed", "auth_failed")
    assert full.actions == refused.actions == ()


async def test_nothing_is_said_that_was_not_measured(books: Runbooks, catalog: Catalog) -> None:
    judged = await judge(books, catalog, incident(oom_killed=True, exit_code=137), api())
    assert said(judged) == "api ran out of memory."
    assert "–" not in said(judged, "es")


async def test_one_missing_fact_costs_one_sentence_only(books: Runbooks, catalog: Catalog) -> None:
    output = "curl: (22) The requested URL returned error: 500"
    trouble = incident(AlertKind.UNHEALTHY, failing_streak=2, health_output=output)
    judged = await judge(books, catalog, trouble, unhealthy(22, output, streak=2, ran=HOURS), db())
    assert said(judged).endswith(f"Its last output: “{output}”.")
    assert said(judged, "es").endswith(f"Su última salida: «{output}».")


async def test_an_alert_no_rule_explains_goes_to_the_model(books: Runbooks, catalog: Catalog) -> None:
    without = Runbooks({name: book for name, book in books.by_id.items() if name != "cpu_pegged"})
    judged = await judge(without, catalog, incident(AlertKind.CPU_PEGGED, cpu_pct=99.0), api(ContainerState.RUNNING))
    assert judged.verdict.why_ask == "none_fits"


async def test_the_root_of_a_joined_incident_is_diagnosed_and_not_its_victim(books: Runbooks, catalog: Catalog) -> None:
    victim = incident(AlertKind.CRASH_LOOP, **LOOP)  # type: ignore[arg-type]
    root = incident(service="db", came_back=False, memory_shape="ramp", **OOM)  # type: ignore[arg-type]
    both = replace(victim, alerts=(*victim.alerts, *root.alerts, *victim.alerts)).with_culprit("granada/db")
    judged = await judge(books, catalog, both, api(ContainerState.RESTARTING), db(ContainerState.EXITED))
    assert named(judged) == ("container_oom", "memory_limit")
    assert judged.context.incident["container"] == "local/granada-db-1"
    assert judged.verdict.diagnosis is not None
    assert judged.verdict.diagnosis.culprit == "granada/db"
    assert judged.verdict.diagnosis.affected == ("granada/api",)


async def test_a_victims_alert_does_not_blur_its_root(books: Runbooks, catalog: Catalog) -> None:
    root = incident(service="db", came_back=False, memory_shape="ramp", **OOM)  # type: ignore[arg-type]
    victim = incident(AlertKind.CRASH_LOOP, **LOOP)  # type: ignore[arg-type]
    both = replace(root, alerts=(*root.alerts, *victim.alerts))
    judged = await judge(books, catalog, both, api(ContainerState.RESTARTING), db(ContainerState.EXITED))
    assert named(judged) == ("container_oom", "memory_limit")


async def test_what_fits_forbids_its_actions_to_the_model_too(books: Runbooks, catalog: Catalog) -> None:
    judged = await judge(books, catalog, incident(AlertKind.CHILD_OOM, child_oom_kills=1), api(ContainerState.RUNNING))
    assert {"docker.restart", "docker.kill"} <= judged.verdict.forbidden
