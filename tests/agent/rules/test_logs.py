"""What log lines are known to mean, on lines of real programs and on hostile ones."""

import time

import pytest

from agent.incident.evidence.log_evidence import log_facts
from agent.logs.error_classes import find_log_classes
from agent.logs.line_templates import count_templates, line_template
from agent.logs.stack_traces import last_stack_trace

UPSTREAM = (
    "2026/11/20 [error] 7#7: connect() failed (111: Connection refused) while connecting to upstream, "
    'client: 172.18.0.1, server: , request: "GET / HTTP/1.1", upstream: "http://api:8080/", host: "x"'
)
MAX_RETRIES = (
    "requests.exceptions.ConnectionError: HTTPConnectionPool(host='api', port=8000): Max retries exceeded "
    "(Caused by NameResolutionError(\"<x>: Failed to resolve 'api' ([Errno -3] Temporary failure in name \"))"
)
LINES: list[tuple[str, str, dict[str, str]]] = [
    # line, most telling class, what is read out
    (
        'psycopg2.OperationalError: could not translate host name "db" to address: No such host',
        "name_resolution",
        {"unresolved_host": "db"},
    ),
    ("Error: getaddrinfo EAI_AGAIN rediss", "name_resolution", {"unresolved_host": "rediss"}),
    ("Error: getaddrinfo ENOTFOUND dokploy-postgres", "name_resolution", {"unresolved_host": "dokploy-postgres"}),
    (MAX_RETRIES, "name_resolution", {"unresolved_host": "api"}),
    ("dial tcp: lookup db on 127.0.0.11:53: no such host", "name_resolution", {"unresolved_host": "db"}),
    (
        "Error -2 connecting to rediss:6379. Name or service not known.",
        "name_resolution",
        {"unresolved_host": "rediss"},
    ),
    ('[emerg] host not found in upstream "api:8000" in /etc/nginx/x', "name_resolution", {"unresolved_host": "api"}),
    ("java.net.UnknownHostException: broker", "name_resolution", {"unresolved_host": "broker"}),
    (
        'connection to server at "db" (172.18.0.2), port 5432 failed: Connection refused',
        "connection_refused",
        {"refused_host": "db", "refused_port": "5432"},
    ),
    (
        "Error: connect ECONNREFUSED 172.18.0.5:5432",
        "connection_refused",
        {"refused_host": "172.18.0.5", "refused_port": "5432"},
    ),
    (UPSTREAM, "connection_refused", {"refused_host": "api", "refused_port": "8080"}),
    (
        "Cannot connect to redis://broker:6379/0: Error 111 connecting to broker:6379. Connection refused..",
        "connection_refused",
        {"refused_host": "broker", "refused_port": "6379"},
    ),
    ("KeyError: 'DATABASE_URL'", "missing_variable", {"missing_variable": "DATABASE_URL"}),
    ("Error: Missing required env API_KEY", "missing_variable", {"missing_variable": "API_KEY"}),
    ('The "DB_HOST" variable is not set. Defaulting to a blank', "missing_variable", {"missing_variable": "DB_HOST"}),
    ("environment variable SECRET_KEY is required", "missing_variable", {"missing_variable": "SECRET_KEY"}),
    ('FATAL: password authentication failed for user "app"', "auth_failed", {"auth_user": "app"}),
    ("ERROR 1045 (28000): Access denied for user 'app'@'172.18.0.5'", "auth_failed", {"auth_user": "app"}),
    ("Worker (pid:9) was sent SIGKILL! Perhaps out of memory?", "child_killed", {}),
    ("billiard.exceptions.WorkerLostError: Worker exited prematurely: signal 9 (SIGKILL)", "child_killed", {}),
    ("server process (PID 22) was terminated by signal 9: Killed", "child_killed", {}),
    ("worker exited with -9", "child_killed", {}),
    ("FATAL ERROR: Reached heap limit - JavaScript heap out of memory", "heap_out_of_memory", {}),
    ("Error: listen EADDRINUSE: address already in use :::3000", "port_taken", {"port_taken": "3000"}),
    ("OSError: [Errno 98] Address already in use", "port_taken", {}),
    ("OSError: [Errno 28] No space left on device", "disk_full", {}),
    ("could not resize shared memory segment: No space left on device", "shared_memory", {}),
    ("PermissionError: [Errno 13] Permission denied: '/data/x'", "permission_denied", {"denied_path": "/data/x"}),
    ("sh: /data/file: Permission denied", "permission_denied", {"denied_path": "/data/file"}),
    ("touch: /x: Read-only file system", "read_only", {}),
    ("exec /app/run.sh: exec format error", "exec_format", {}),
    ("[CRITICAL] WORKER TIMEOUT (pid:12)", "worker_timeout", {}),
    ("FATAL:  sorry, too many clients already", "too_many_connections", {}),
    ("FATAL:  the database system is starting up", "database_starting", {}),
    ("OSError: [Errno 24] Too many open files", "too_many_files", {}),
    ('ERROR:  column "x" does not exist', "schema_mismatch", {}),
    ("FATAL: database files are incompatible with server", "data_version", {}),
    ("ssl.SSLCertVerificationError: certificate has expired", "certificate", {}),
]
PYTHON = """\
INFO start
Traceback (most recent call last):
  File "/srv/old.py", line 1, in <module>
ValueError: an older one
INFO again
Traceback (most recent call last):
  File "/srv/app.py", line {line}, in <module>
    os.environ["DATABASE_URL"]
  File "<frozen os>", line 3, in __getitem__
KeyError: 'DATABASE_URL'
"""
NODE = """\
node:internal/modules/cjs/loader:1143
Error: Missing required env API_KEY
    at Object.<anonymous> (/app/index.js:3:9)
    at Module._compile (node:internal/modules/cjs/loader:1256:14)
"""
JAVA = """\
Exception in thread "main" java.lang.IllegalStateException: boom
\tat com.x.Main.main(Main.java:5)
Caused by: java.net.UnknownHostException: db
\tat com.x.Net.open(Net.java:7)
\t... 3 more
"""
GO = """\
panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.main()
\t/app/main.go:8 +0x1d
"""


@pytest.mark.parametrize(("line", "name", "fields"), LINES)
def test_a_line_is_known(line: str, name: str, fields: dict[str, str]) -> None:
    found = find_log_classes(["GET / 200", line, "GET / 200"])
    assert found[0].name == name
    assert dict(found[0].fields) == fields
    assert found[0].line == line


@pytest.mark.parametrize(
    "line",
    ["GET /keyerror 200", "KeyError: 'user'", "user logged out", "connected to db:5432", "listening on :3000", ""],
)
def test_a_harmless_line_is_not(line: str) -> None:
    assert find_log_classes([line]) == []


@pytest.mark.parametrize(
    ("text", "language", "exception", "line"),
    [
        (PYTHON.format(line=3), "python", "KeyError", "KeyError: 'DATABASE_URL'"),
        (NODE, "node", "Error", "Error: Missing required env API_KEY"),
        (JAVA, "java", "UnknownHostException", "java.net.UnknownHostException: db"),
        (GO, "go", "panic", "panic: runtime error: index out of range [5] with length 3"),
    ],
)
def test_the_last_stack_trace_is_found(text: str, language: str, exception: str, line: str) -> None:
    trace = last_stack_trace(text.splitlines())
    assert trace is not None
    assert (trace.language, trace.exception, trace.line) == (language, exception, line)


def test_a_fingerprint_is_of_the_place_and_not_of_the_values() -> None:
    one = last_stack_trace(PYTHON.format(line=3).splitlines())
    same = last_stack_trace(PYTHON.format(line=99).replace("DATABASE_URL", "OTHER").splitlines())
    other = last_stack_trace(PYTHON.format(line=3).replace("app.py", "web.py").splitlines())
    assert one and same and other
    assert one.fingerprint == same.fingerprint != other.fingerprint


def test_changing_parts_are_left_out() -> None:
    line = "2026-11-20T02:15:00.123Z 172.18.0.5:5432 id=550e8400-e29b-41d4-a716-446655440000 took 12.5 ms 0xdeadbeef"
    assert line_template(line) == "<time> <ip> id=<uuid> took <n> ms <hex>"
    counted = count_templates([f"request {number} failed" for number in range(50)] + ["other"])
    assert counted[0] == ("request <n> failed", 50)


def test_the_facts_of_a_log() -> None:
    facts = log_facts([*["x"] * 100, *PYTHON.format(line=3).splitlines()])
    assert facts["missing_variable"] == "DATABASE_URL"
    assert facts["error_line"] == "KeyError: 'DATABASE_URL'"
    assert facts["exception"] == "KeyError"
    lines = facts["log_lines"]
    assert isinstance(lines, list)
    assert len(lines) == 20
    assert log_facts([]) == {}


def test_the_newest_error_is_the_one_that_counts() -> None:
    noise = 'FATAL: password authentication failed for user "admin"'
    full = "PANIC: could not write to file: No space left on device"
    assert log_facts([noise, noise, "ok", full])["error_line"] == full
    assert log_facts([full, "recovered", *["ok"] * 5, noise])["error_line"] == noise
    old_trace = PYTHON.format(line=3).splitlines()
    assert log_facts([*old_trace, *["ok"] * 9, full])["error_line"] == full
    assert log_facts([full, *old_trace, "exit 1"])["error_line"] == "KeyError: 'DATABASE_URL'"


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000,
        "1" * 1_000_000,
        "a-1_" * 250_000,
        "connection refused getaddrinfo timed out environment variable A_B sigkill worker\n" * 12_000,
        "Traceback (most recent call last):\n" * 28_000,
        ("    at " + "x" * 90 + "\n") * 10_000,
        (" " * 999 + "\n") * 1_000,
        "host='" * 160_000,
        ("_A" * 450 + " not set\n") * 1_000,
        ("port " * 200 + ": connection refused\n") * 1_000,
    ],
)
def test_a_hostile_megabyte_is_read_in_time(text: str) -> None:
    started = time.perf_counter()
    log_facts(text.splitlines())
    assert time.perf_counter() - started < 5
