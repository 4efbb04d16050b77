"""Every mistake that a runbook can have is named with its file, its line and what to write instead."""

import re
from pathlib import Path

import pytest

from agent.runbooks.loader import load_runbooks
from core.errors import RunbookError
from tests.agent.rules.fakes import small_catalog

GOOD = """\
name: {en: Killed for memory, es: Terminado por memoria}
trigger: {event: container_died, scope: docker_compose}
when:
  - evidence.oom_killed
  - any:
      - evidence.exit_code == 137
      - all: [evidence.signal == 9, not evidence.stopped_by_person]
cause: memory_limit
context_gathering:
  - {id: history, action: history.stats, params: {container: "${incident.container}", window: 2h}}
diagnosis:
  says: {en: "${incident.service} was killed.", es: "${incident.service} fue terminado."}
  llm_prompt: Peak or leak?
solutions:
  - name: {en: Raise the limit, es: Subir el límite}
    confidence_threshold: 0.8
    conditions: [evidence.memory_shape == 'peak', host.memory_free_mb > 2048, history.points > 3]
    actions:
      - {id: limit, action: docker.update_memory, params: {container: "${incident.container}", factor: 2}}
      - {id: restart, action: docker.restart, params: {container: "${incident.container}"}, needs: [limit],
         retry: 2, wait_s: 10}
    verify: {window_s: 60}
forbidden: [docker.kill]
escalation: {triggers: [all_solutions_failed, critical_service], confidence_below: 0.6}
"""

MISTAKES = [
    # what is written, what is put there instead, line, words of the complaint
    ("cause: memory_limit", "cuase: memory_limit", 8, "did you mean 'cause'"),
    ("cause: memory_limit", "cuase: memory_limit", 1, "lacks 'cause'"),
    ("cause: memory_limit", "cause: Memory Limit!", 8, "small letters"),
    ("cause: memory_limit", "cause: memory_limit\ncause: other", 9, "appears twice"),
    ("event: container_died", "event: container_dead", 2, "did you mean 'container_died'"),
    ("scope: docker_compose", "scope: compose", 2, "did you mean 'docker_compose'"),
    (", es: Terminado por memoria", "", 1, "lacks 'es'"),
    ("{en: Killed for memory, ", "{", 1, "lacks 'en'"),
    ("es: Subir el límite", 'es: ""', 15, "not empty"),
    ("evidence.oom_killed", "evidence.oom_kiled", 4, "did you mean 'evidence.oom_killed'"),
    ("evidence.exit_code == 137", "evidence.exit_code = 137", 6, "write '=='"),
    ("evidence.exit_code == 137", "evidnce.exit_code == 137", 6, "did you mean 'evidence'"),
    ("evidence.exit_code == 137", "history.points > 1", 6, "there is no 'history' here"),
    ("evidence.exit_code == 137", "open('/etc/passwd')", 6, "no function 'open'"),
    (
        "evidence.signal == 9",
        "evidence.stopped_by == 'kil'",
        7,
        "'evidence.stopped_by' is never 'kil'; did you mean 'kill'",
    ),
    ("evidence.exit_code == 137", "\"'disk_ful' in evidence.log_errors\"", 6, "did you mean 'disk_full'"),
    ("evidence.exit_code == 137", "incident.kind in ['paused', 'pausd']", 6, "is never 'pausd'"),
    ("evidence.signal == 9", "host.memory_fre_mb > 1", 7, "did you mean 'host.memory_free_mb'"),
    ("any:", "none:", 5, "no key 'none'"),
    ("action: history.stats", "action: history.stat", 10, "did you mean 'history.stats'"),
    ("action: history.stats", "action: docker.restart", 10, "gathering may only read"),
    ("window: 2h", "windw: 2h", 10, "did you mean 'window'"),
    ("id: history", "id: evidence", 10, "'evidence' is taken"),
    ("${incident.service} was", "${incident.servce} was", 12, "did you mean 'incident.service'"),
    ("${incident.service} was", "${incident service} was", 12, "isn't a name"),
    ("${incident.service} was", "${incident.service was", 12, "not closed"),
    ("${incident.service} was", "${histry.points} was", 12, "did you mean 'history'"),
    ("confidence_threshold: 0.8", "confidence_threshold: 80", 16, "from 0 to 1"),
    ("history.points > 3", "histori.points > 3", 17, "did you mean 'history'"),
    ("action: docker.update_memory", "action: docker.update_memmory", 19, "did you mean 'docker.update_memory'"),
    ("factor: 2", "factor: 100", 19, "less than or equal to 8"),
    ("factor: 2", "factr: 2", 19, "did you mean 'factor'"),
    (
        'restart, params: {container: "${incident.container}"}',
        "restart, params: {}",
        20,
        "lacks its parameter 'container'",
    ),
    ("needs: [limit]", "needs: [limt]", 20, "did you mean 'limit'"),
    ("factor: 2}}", "factor: 2}, needs: [restart]}", 19, "wait for each other"),
    ("retry: 2", "retry: 99", 21, "from 0 to 5"),
    ("retry: 2", "retries: 2", 21, "did you mean 'retry'"),
    ("{id: restart,", "{id: limit,", 20, "appears twice"),
    ("wait_s: 10", "wait_s: soon", 21, "must be a number"),
    ("window_s: 60", "window: 60", 22, "did you mean 'window_s'"),
    ("[docker.kill]", "[docker.restart]", 20, "is listed under 'forbidden'"),
    ("all_solutions_failed", "all_solution_failed", 24, "did you mean 'all_solutions_failed'"),
    ("solutions:", "solutions: [", 15, "this is not YAML"),
    ("forbidden: [docker.kill]", "forbidden: docker.kill", 23, "must be a list"),
    ("cause: memory_limit", "cause: &a memory_limit\nconfidence: *a", 9, "write the value out"),
]


def write(folder: Path, content: str, name: str = "container_oom.yml") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(content, encoding="utf-8")
    return folder


def complaints(folder: Path) -> list[str]:
    with pytest.raises(RunbookError) as caught:
        load_runbooks(folder, None, small_catalog())
    return str(caught.value).splitlines()[1:]


def test_a_good_runbook_is_read_whole(tmp_path: Path) -> None:
    runbook = load_runbooks(write(tmp_path / "runbooks", GOOD), None, small_catalog()).get("container_oom")
    assert runbook is not None
    assert runbook.name.es == "Terminado por memoria"
    assert [step.needs for step in runbook.solutions[0].steps] == [(), ("limit",)]
    assert runbook.solutions[0].steps[1].retries == 2
    assert runbook.solutions[0].verify.window_s == 60
    assert runbook.forbidden == {"docker.kill"}
    assert runbook.escalation.confidence_below == 0.6


@pytest.mark.parametrize(("right", "wrong", "line", "message"), MISTAKES)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, right: str, wrong: str, line: int, message: str) -> None:
    assert right in GOOD
    found = complaints(write(tmp_path / "runbooks", GOOD.replace(right, wrong)))
    place = f"runbooks/container_oom.yml:{line}: "
    assert any(one.strip().startswith(place) and message in one for one in found), "\n".join(found)


def test_all_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    folder = write(tmp_path / "runbooks", GOOD.replace("cause:", "cuase:").replace("factor: 2", "factr: 2"))
    write(folder, "name: [", "other.yml")
    write(folder, "", "empty.yml")
    found = "\n".join(complaints(folder))
    assert re.findall(r"runbooks/(\w+)\.yml", found) == ["container_oom"] * 3 + ["empty", "other"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("just words", "must be 'name: value' pairs"),
        ("- a\n- b\n", "must be 'name: value' pairs"),
        ("[" * 200 + "]" * 200, "nested too deeply"),
        ("a: " + "x" * 200_000, "longer than"),
        ("a: \x00", "not YAML"),
    ],
)
def test_a_file_that_is_no_runbook_is_named(tmp_path: Path, content: str, message: str) -> None:
    assert message in "\n".join(complaints(write(tmp_path / "runbooks", content)))


def test_an_own_file_replaces_the_shipped_one_of_the_same_name(tmp_path: Path) -> None:
    shipped = write(tmp_path / "runbooks", GOOD)
    write(shipped, GOOD, "other.yml")
    own = write(tmp_path / "mine", GOOD.replace("cause: memory_limit", "cause: leak"))
    loaded = load_runbooks(shipped, own, small_catalog())
    assert loaded.names() == ["container_oom", "other"]
    found = loaded.get("container_oom")
    assert found is not None
    assert (found.cause, found.path) == ("leak", "mine/container_oom.yml")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunbookError, match="does not exist; create it"):
        load_runbooks(tmp_path / "nowhere", None, small_catalog())


def test_two_files_of_one_name_with_different_extensions_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "runbooks", GOOD)
    write(folder, GOOD, "container_oom.yaml")
    assert "one id, two files" in "\n".join(complaints(folder))
