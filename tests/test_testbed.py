"""The test-bed keeps its word: faults made on it look as they do on a real host."""

import json
import os
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import psycopg
import pytest
from docker.types import LogConfig

from tests.testbed.network_guard import NetworkClosed
from tests.testbed.stack import FILE_PROBE, HTTP_PROBE, Stack
from tests.testbed.world import wait_until


def ask(url: str, *, method: str = "GET") -> str:
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
        return str(answer.read().decode())


def is_listening(stack: Stack, name: str) -> bool:
    return b"listening" in stack.containers[name].logs()


@contextmanager
def events_of(client: docker.DockerClient, stack: Stack) -> Iterator[list[str]]:
    seen: list[str] = []
    stream = client.events(decode=True, filters={"label": f"com.docker.compose.project={stack.project}"})
    reader = threading.Thread(target=lambda: seen.extend(str(event["Action"]) for event in stream))
    reader.start()
    try:
        yield seen
    finally:
        stream.close()
        reader.join(10)


def test_a_killed_main_process_is_marked_as_out_of_memory(stack: Stack) -> None:
    stack.service("api", mem_limit="48m")
    wait_until(lambda: is_listening(stack, "api"))

    with pytest.raises(OSError, match=r"closed|reset|refused"):
        ask(stack.url("api", "/eat?mb=200"))

    state = wait_until(lambda: (now := stack.state("api"))["Status"] == "exited" and now)
    assert state and state["OOMKilled"] is True
    assert state["ExitCode"] == 137


def test_a_killed_child_shows_only_as_an_event(stack: Stack, docker_client: docker.DockerClient) -> None:
    stack.service("api", mem_limit="64m")
    wait_until(lambda: is_listening(stack, "api"))

    with events_of(docker_client, stack) as seen:
        answer = ask(stack.url("api", "/eat_child?mb=200"))
        wait_until(lambda: "oom" in seen, what="the oom event")

    assert "was sent SIGKILL! Perhaps out of memory?" in answer
    assert "die" not in seen
    state = stack.state("api")
    assert (state["Status"], state["OOMKilled"], stack.inspect("api")["RestartCount"]) == ("running", False, 0)


def test_health_follows_the_switch(stack: Stack) -> None:
    stack.service("api", healthcheck=HTTP_PROBE)
    wait_until(lambda: stack.state("api")["Health"]["Status"] == "healthy")
    ask(stack.url("api", "/sick"), method="POST")
    wait_until(lambda: stack.state("api")["Health"]["Status"] == "unhealthy")
    ask(stack.url("api", "/well"), method="POST")
    wait_until(lambda: stack.state("api")["Health"]["Status"] == "healthy")


def test_a_stopped_dependency_disappears_from_the_names(stack: Stack) -> None:
    stack.service("db")
    stack.service(
        "api", "client.py", depends_on=["db:service_healthy"], healthcheck=FILE_PROBE, env={"INTERVAL_S": "0.2"}
    )
    wait_until(lambda: stack.state("api")["Health"]["Status"] == "healthy")
    assert b"OK" in stack.containers["api"].logs()

    stack.containers["db"].stop(timeout=5)
    wait_until(lambda: b'could not translate host name "db"' in stack.containers["api"].logs())
    assert stack.state("db")["ExitCode"] == 0
    labels = stack.inspect("api")["Config"]["Labels"]
    assert labels["com.docker.compose.project"] == stack.project
    assert labels["com.docker.compose.depends_on"] == "db:service_healthy:false"


def test_a_crash_loop_counts_its_restarts(stack: Stack) -> None:
    stack.service("api", "crash.py", restart="always")
    wait_until(lambda: stack.inspect("api")["RestartCount"] >= 2)
    assert b"KeyError: 'DATABASE_URL'" in stack.containers["api"].logs()


def test_137_without_lack_of_memory(stack: Stack) -> None:
    stack.service("worker", "stubborn.py")
    wait_until(lambda: b"ready" in stack.containers["worker"].logs())
    stack.containers["worker"].stop(timeout=1)
    state = stack.state("worker")
    assert (state["ExitCode"], state["OOMKilled"]) == (137, False)


def test_the_chatty_service_says_everything(stack: Stack) -> None:
    # the driver json-file would put U+FFFD in the place of each byte that is no UTF-8
    stack.service("chat", "chatty.py", env={"LONG_LINE_BYTES": "200000"}, log_config=LogConfig(type="local"))
    # the engine copies the two streams apart from one another: the end of one says nothing about the other
    ends = (b"end of chat\n", b"plain line on stderr\n")
    both = wait_until(lambda: (log := stack.containers["chat"].logs()) and all(end in log for end in ends) and log)
    assert isinstance(both, bytes)
    assert b"caf\xe9" in both
    assert b"x" * 200_000 in both.replace(b"\n", b"")


def test_postgres_gives_a_database_of_its_own(postgres_plain_url: str, postgres_url: str) -> None:
    assert postgres_url.startswith("postgresql+psycopg://")
    with psycopg.connect(postgres_plain_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_chromium_prints_its_version(chromium_path: str) -> None:
    done = subprocess.run([chromium_path, "--version"], capture_output=True, text=True, timeout=30, check=True)
    assert "Chromium" in done.stdout


def test_compose_is_version_2(compose_config: str, docker_host: str) -> None:
    env = {**os.environ, "DOCKER_CONFIG": compose_config, "DOCKER_HOST": docker_host}
    command = ["docker", "compose", "version", "--format", "json"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=True)
    assert json.loads(done.stdout)["version"].lstrip("v").startswith("2.")


def test_the_outside_is_closed() -> None:
    with socket.socket() as outside, pytest.raises(NetworkClosed, match=r"198\.51\.100\.7"):
        outside.connect(("198.51.100.7", 80))
