"""What the log of a deployment says: of a real Dokploy's recorded ones, and of the phrases that tools print."""

import base64
import time

import pytest

from core.redaction import MASK, redact
from integrations.dokploy.deploys.deploy_log import LINE_LIMIT, error_class, error_line, last_lines, log_lines
from tests.integrations.dokploy.replay import recordings

SORRY = "Error occurred ❌, check the logs for details."


def recorded(name: str) -> list[str]:
    return log_lines(str(recordings()[name].answer), redact)


@pytest.mark.parametrize(
    ("name", "kind", "line"),
    [
        (
            "deployment.readLogs-error",
            "image_not_found",
            "manifest for 127.0.0.1:5000/nosuch:v9 not found: manifest unknown: manifest unknown",
        ),
        (
            "deployment.readLogs-bad-yaml",
            "bad_yaml",
            "Flow sequence in block collection must be sufficiently indented and end with a ] at line 4, column 1",
        ),
        (
            "deployment.readLogs-git-sha",
            "git_failed",
            "fatal: Remote branch 938fe80259e65016f3677b04cd5a25c82f84c22b not found in upstream origin",
        ),
    ],
)
def test_a_recorded_failure_is_named(name: str, kind: str, line: str) -> None:
    lines = recorded(name)
    assert (error_class(lines), error_line(lines)) == (kind, line)


@pytest.mark.parametrize("name", ["", "-isolated", "-stack", "-application"])
def test_a_recorded_success_names_no_error(name: str) -> None:
    lines = recorded(f"deployment.readLogs{name}")
    assert lines
    assert error_line(lines) == ""
    assert not any(sign in line for line in lines for sign in "╔║╚")


PHRASES = [
    (
        "image_not_found",
        "Error response from daemon: pull access denied for nosuchimage, repository does not exist or may require "
        "'docker login': denied: requested access to the resource is denied",
    ),
    (
        "image_not_found",
        "failed to solve: node:nope: failed to resolve source metadata for docker.io/library/node:nope: docker.io/lib"
        "rary/node:nope: not found",
    ),
    ("image_not_found", "no matching manifest for linux/arm64/v8 in the manifest list entries"),
    (
        "registry_login",
        'Error response from daemon: Head "https://ghcr.io/v2/acme/api/manifests/1": unauthorized: authentication requ'
        "ired",
    ),
    (
        "registry_login",
        "Error response from daemon: pull access denied for ghcr.io/acme/api, it does not exist",
    ),
    ("registry_login", "toomanyrequests: You have reached your pull rate limit."),
    ("registry_login", "Error response from daemon: denied: permission_denied: read_package"),
    ("bad_yaml", "yaml: line 7: mapping values are not allowed in this context"),
    ("bad_yaml", "validating /c/docker-compose.yml: services.web Additional property imagee is not allowed"),
    ("bad_yaml", 'service "web" depends on undefined service "db": invalid compose project'),
    ("bad_yaml", "open /etc/dokploy/compose/a/code/compose.yml: no such file or directory"),
    ("bad_yaml", "no such service: worker"),
    (
        "port_taken",
        "Error response from daemon: driver failed programming external connectivity on endpoint a-web-1: Bind for "
        "0.0.0.0:80 failed: port is already allocated",
    ),
    ("port_taken", "Error response from daemon: failed to bind host port for 0.0.0.0:80: address already in use"),
    ("build_failed", 'failed to solve: process "/bin/sh -c make" did not complete successfully: exit code: 1'),
    ("build_failed", 'unable to prepare context: path "/c/api" not found'),
    ("git_failed", "fatal: unable to access 'https://github.com/a/b/': Could not resolve host: github.com"),
    ("git_failed", "git@github.com: Permission denied (publickey)."),
    ("domain_service_missing", "❌ Has occurred an error: The service hello2 not found in the compose"),
    ("domain_service_missing", 'Error: ❌ Domain "a.example" is attached to service "php", which does not exist'),
    (
        "env_missing",
        "error while interpolating services.a.environment: required variable DB is missing a value: x",
    ),
    ("env_missing", "env file /etc/dokploy/compose/a/code/.env.prod not found: stat: no such file or directory"),
    ("mount", 'Error response from daemon: invalid mount config for type "bind": bind source path does not exist: /x'),
    ("mount", 'error mounting "/a": Are you trying to mount a directory onto a file (or vice-versa)?'),
    ("network", "network proxy declared as external, but could not be found"),
    ("network", "Error response from daemon: could not find an available, non-overlapping IPv4 address pool among the"),
    ("network", 'Error response from daemon: Get "https://r.example/v2/": dial tcp 10.0.0.9:443: connect: refused'),
    ("disk_full", "#9 12.31 tar: write error: No space left on device"),
    (
        "engine_down",
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
    ),
    ("unhealthy_dependency", "dependency failed to start: container shop-db-1 is unhealthy"),
    ("unhealthy_dependency", 'service "migrate" didn\'t complete successfully: exit 1'),
    ("other", "Error response from daemon: something that nobody has seen before"),
]


@pytest.mark.parametrize(("kind", "line"), PHRASES)
def test_what_docker_and_git_print_is_recognised(kind: str, line: str) -> None:
    told = ["Initializing deployment", " web Pulling", line, "Error: ❌ Docker command failed", SORRY]
    assert error_class(told) == kind
    assert error_line(told)
    assert error_line(told) in line


def test_an_unset_variable_is_the_cause_only_where_something_breaks_on_it() -> None:
    unset = 'time="2026-11-20T12:00:00Z" level=warning msg="The \\"TAG\\" variable is not set. Defaulting to a blank."'
    assert error_class([unset, "Error response from daemon: invalid reference format", SORRY]) == "env_missing"
    assert "TAG" in error_line([unset, "Error response from daemon: invalid reference format", SORRY])
    assert error_class(["Error response from daemon: invalid reference format", SORRY]) == "image_not_found"
    assert error_class([unset, "manifest for a:b not found: manifest unknown", SORRY]) == "image_not_found"
    assert error_line([unset, " Container a-web-1  Started", "Docker Compose Deployed: ✅"]) == ""


BUILD = """#8 [web 3/3] RUN npm run build
#8 0.310 npm notice address already in use: manifest unknown
#8 0.512 npm ERR! Missing script: "build"
#8 ERROR: process "/bin/sh -c npm run build" did not complete successfully: exit code: 1
------
 > [web 3/3] RUN npm run build:
0.310 npm notice address already in use: manifest unknown
0.512 npm ERR! Missing script: "build"
0.513 To see a list of scripts, run: npm run
------
Dockerfile:3
--------------------
   2 |     COPY . .
   3 | >>> RUN npm run build   # failed to solve
--------------------
failed to solve: process "/bin/sh -c npm run build" did not complete successfully: exit code: 1
Error: ❌ Docker command failed
"""


def test_a_failed_build_shows_what_its_step_complained_of() -> None:
    lines = log_lines(BUILD + SORRY, redact)
    assert error_class(lines) == "build_failed"
    assert error_line(lines) == 'npm ERR! Missing script: "build"'


def test_colours_progress_and_long_lines_are_taken_out() -> None:
    text = "\x1b[31mred\x1b[0m\r\n10%\r55%\r100% done\r\n" + "x " * 400
    lines = log_lines(text, redact)
    assert lines[:2] == ["red", "100% done"]
    assert len(lines[2]) == LINE_LIMIT
    assert last_lines([f"line {n}" for n in range(20)]) == tuple(f"line {n}" for n in range(12, 20))
    assert error_line([]) == ""
    assert error_class([]) == "other"


def test_no_secret_of_file_or_environment_stays() -> None:
    env = base64.b64encode(b"DB_PASSWORD=hunter2hunter2\nAPI=1\n" * 3).decode()
    short = base64.b64encode(b"PIN=12").decode()
    text = "\n".join(
        [
            f'echo "{env}" | base64 -d > /c/.env;',
            f'echo "{short}" | base64 -d > /c/.env',
            env,
            "DB_PASSWORD=hunter2hunter2",
            "-----BEGIN OPENSSH PRIVATE KEY-----",
            "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU",
            "-----END OPENSSH PRIVATE KEY-----",
            "Digest: sha256:284a1d94191f6ad522f06c960603061144ae1ac1c8e5c4138a180624fd797531",
        ]
    )
    shown = "\n".join(log_lines(text, redact))
    for secret in (env, env[:24], short, "hunter2", "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU"):
        assert secret not in shown
    assert MASK in shown
    assert "284a1d94191f6ad522f06c960603061144ae1ac1c8e5c4138a180624fd797531" in shown


@pytest.mark.parametrize("piece", ["A1b", "\x1b[", "domain a ", "echo A", "\r", "failed to resolve ", "#1 0.1 "])
def test_a_hostile_log_is_read_in_time(piece: str) -> None:
    text = piece * (400_000 // len(piece))
    begin = time.perf_counter()
    lines = log_lines(text, lambda said: said)
    error_class(lines)
    assert time.perf_counter() - begin < 2.0


def test_a_long_line_is_read_at_its_ends_and_hides_what_it_holds() -> None:
    secret = "\n".join(f"KEY_{n}=value{n}" for n in range(2000))
    env = base64.b64encode(secret.encode()).decode()
    text = f'begin\n{"x " * 600_000}\necho "{env}" | base64 -d > /c/.env;\nERROR: manifest unknown\u202e\x9b\x00'
    begin = time.perf_counter()
    lines = log_lines(text, redact)
    assert time.perf_counter() - begin < 0.5
    assert lines[-1] == "ERROR: manifest unknown"
    assert not any(env[at : at + 24] in line for line in lines for at in range(0, len(env), 24))


def test_of_a_long_log_the_end_is_read() -> None:
    text = "\n".join(f"line {n} " + "x" * 500 for n in range(40_000)) + "\nfatal: no such branch"
    begin = time.perf_counter()
    lines = log_lines(text, redact)
    assert (error_class(lines), error_line(lines)) == ("git_failed", "fatal: no such branch")
    assert time.perf_counter() - begin < 1.0
