"""What engines and kernels say, read into this program's words: no engine needed."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.monitoring.inventory import ContainerState, Dependency, Health
from core.monitoring.snapshot import EventKind
from integrations.docker_engine.client import cgroups, disk_usage
from integrations.docker_engine.client.event_stream import JsonLineSplitter, parse_event
from integrations.docker_engine.client.json_fields import epoch_text, json_time
from integrations.docker_engine.client.log_reader import Demultiplexer, LogLineAssembler, clean_log_line
from integrations.docker_engine.client.stats_counters import CounterReading, parse_stats, sample_between
from integrations.docker_engine.models import parse_container

AT = datetime(2026, 1, 1, tzinfo=UTC)
MB = 1024 * 1024


def hosts_in(*environment: str) -> tuple[str, ...]:
    return parse_container("h", {"Name": "/x", "Config": {"Env": list(environment)}}).env_hosts


@pytest.mark.parametrize(
    ("variable", "hosts"),
    [
        ("DATABASE_URL=postgres://app:s3cret@db:5432/app", ("db",)),
        ("A=redis://:pw@cache:6379/0", ("cache",)),
        ("MONGO=mongodb://u:p@m1:27017,m2:27017/x?replicaSet=r", ("m1", "m2")),
        ("JDBC=jdbc:postgresql://pg.internal:5432/x", ("pg.internal",)),
        ("REDIS_HOST=redis", ("redis",)),
        ("ES_ADDR=search:9200", ("search",)),
        ("KAFKA_BROKERS=k1:9092,k2:9092", ("k1", "k2")),
        ("UPSTREAM_SERVER=web", ("web",)),
        ("BOTH=http://a/ http://b/", ("a", "b")),
        # nothing that may be a piece of a secret, no addresses, not ourselves
        ("PASSWORD=swordfish", ()),
        ("SECRET_URL=swordfish", ()),
        ("URL=postgres://secret/part@db/x", ()),
        ("URL=postgres://u:p@a/ss@db/x", ()),
        ("URL=http://user:pa:ss/word", ()),
        ("HOST=0.0.0.0", ()),
        ("DB_HOST=10.0.0.5", ()),
        ("API_URL=http://localhost:8080", ()),
        ("DB_HOST=", ()),
        ("NAME=just words", ()),
        ("no equals sign", ()),
    ],
)
def test_host_names_in_the_environment(variable: str, hosts: tuple[str, ...]) -> None:
    assert hosts_in(variable) == hosts


@given(st.text(alphabet="abc:/@%?#.123 ", max_size=20))
def test_a_password_is_never_taken_for_a_host(password: str) -> None:
    found = hosts_in(f"URL=postgres://user:SWORDFISH{password}SWORDFISH@db/app")
    assert not any("SWORDFISH" in host for host in found)


def test_a_container_of_a_swarm_service() -> None:
    labels = {"com.docker.stack.namespace": "shop", "com.docker.swarm.service.name": "shop_api"}
    found = parse_container("h", {"Name": "/shop_api.1.x", "Config": {"Labels": labels}})
    assert (found.stack, found.service) == ("shop", "api")


def test_dependencies_of_every_compose() -> None:
    label = {"com.docker.compose.depends_on": "db:service_healthy:true,cache:service_started:false,old"}
    found = parse_container("h", {"Name": "/x", "Config": {"Labels": label}})
    assert found.depends_on == (
        Dependency(service="db", condition="service_healthy"),
        Dependency(service="cache"),
        Dependency(service="old"),
    )


def test_states_links_ports_mounts_and_limits() -> None:
    found = parse_container(
        "h",
        {
            "Id": "c" * 64,
            "Name": "/x",
            "State": {"Status": "exited", "ExitCode": 137, "OOMKilled": True, "Error": "boom"},
            "HostConfig": {"Links": ["/db:/x/database"], "CpuQuota": 50_000, "RestartPolicy": {"Name": ""}},
            "NetworkSettings": {
                "Networks": {"n": {"Aliases": ["x", "c" * 12], "DNSNames": ["x", "y"]}},
                "Ports": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "90/udp": None},
            },
            "Mounts": [
                {"Name": "data", "Source": "/var/x", "Destination": "/data"},
                {"Source": "/a", "Destination": "/b"},
            ],
        },
    )
    assert (found.state, found.exit_code, found.oom_killed, found.error) == (ContainerState.EXITED, 137, True, "boom")
    assert (found.links, found.cpu_limit, found.restart_policy) == (("db",), 0.5, "no")
    assert (found.networks, found.aliases) == (("n",), ("x", "y"))
    assert found.ports == ("127.0.0.1:8080->80/tcp", "90/udp")
    assert found.mounts == ("data:/data", "/a:/b")
    assert (found.health, found.health_interval_s, found.memory_limit_bytes) == (Health.NONE, 0.0, 0)


FIELDS = st.sampled_from(["State", "Config", "HostConfig", "Name", "Id", "Health", "Log", "Env", "Labels", "Ports"])
LEAVES = st.none() | st.booleans() | st.integers() | st.text()


@given(st.recursive(LEAVES, lambda one: st.lists(one) | st.dictionaries(FIELDS, one)))
def test_any_engine_answer_is_read_without_a_crash(raw: object) -> None:
    if isinstance(raw, dict):
        parse_container("h", raw)
        parse_event(raw)
        parse_stats(raw, 1)
        disk_usage.parse_disk_usage(raw)


def test_times() -> None:
    assert json_time("2026-01-01T00:00:00.123456789Z") == AT + timedelta(microseconds=123456)
    assert json_time("2026-01-01T02:00:00+02:00") == AT
    assert json_time("0001-01-01T00:00:00Z") is None
    assert json_time("soon") is None
    assert epoch_text(AT + timedelta(microseconds=5)) == "1767225600.000005"


# -- events --------------------------------------------------------------------------------------------------------


def event(action: str, **attributes: str) -> dict[str, object]:
    at = 1767225600_123456789
    return {"Action": action, "Actor": {"ID": "c1", "Attributes": {"name": "api", **attributes}}, "timeNano": at}


def test_events_are_read() -> None:
    died = parse_event(event("die", exitCode="137"))
    assert died is not None
    assert (died.kind, died.exit_code, died.name, died.container_id) == (EventKind.DIE, 137, "api", "c1")
    assert died.at == AT + timedelta(microseconds=123456)
    for word in ("15", "SIGTERM", "TERM"):
        killed = parse_event(event("kill", signal=word))
        assert killed is not None
        assert killed.signal == 15
    sick = parse_event(event("health_status: unhealthy"))
    assert sick is not None
    assert (sick.kind, sick.health) == (EventKind.HEALTH, "unhealthy")
    assert parse_event(event("exec_create: curl")) is None
    assert parse_event(event("top")) is None


def test_objects_come_in_any_pieces() -> None:
    lines = JsonLineSplitter()
    whole = b'{"a": 1}\nnot json\n{"b": 2}\n{"c"'
    found = [one for byte in whole for one in lines.feed(bytes([byte]))]
    assert found == [{"a": 1}, {"b": 2}]
    assert list(lines.feed(b": 3}\n")) == [{"c": 3}]


# -- logs ----------------------------------------------------------------------------------------------------------


def frame(stream: int, text: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


def stamped(text: bytes, second: int = 0) -> bytes:
    return b"2026-01-01T00:00:%02d.000000000Z " % second + text


def read_all(raw: bytes, lines: LogLineAssembler, cuts: random.Random | None = None) -> None:
    demultiplexer = Demultiplexer()
    while raw:
        size = cuts.randint(1, 40) if cuts else len(raw)
        for stream, piece, begins in demultiplexer.feed(raw[:size]):
            lines.feed(stream, piece, begins_frame=begins)
        raw = raw[size:]


@given(st.randoms(use_true_random=False))
def test_frames_in_any_pieces(cuts: random.Random) -> None:
    raw = frame(1, stamped(b"one\n", 1)) + frame(2, stamped(b"two\n", 2)) + frame(1, stamped(b"\n", 3))
    # a long line comes as several messages, each with a time; the other stream may speak between
    raw += frame(1, stamped(b"long ", 4)) + frame(2, stamped(b"between\n", 5)) + frame(1, stamped(b"line\n", 4))
    raw += frame(1, stamped(b"no end", 6))
    lines = LogLineAssembler(tail=10, grep=None, max_line=100)
    read_all(raw, lines, cuts)
    found = [(line.stream, line.text) for line in lines.result()]
    assert found == [
        ("stdout", "one"),
        ("stderr", "two"),
        ("stdout", ""),
        ("stdout", "long line"),
        ("stderr", "between"),
        ("stdout", "no end"),
    ]


def test_log_text_that_looks_like_a_timestamp_is_kept() -> None:
    lines = LogLineAssembler(tail=10, grep=None, max_line=100)
    read_all(frame(1, b"no time here\n") + frame(1, b"word\n") + frame(1, b"x" * 60 + b"\n"), lines)
    assert [(line.at, line.text) for line in lines.result()] == [
        (None, "no time here"),
        (None, "word"),
        (None, "x" * 60),
    ]


def test_a_terminal_has_no_frames() -> None:
    lines = LogLineAssembler(tail=10, grep=None, max_line=100)
    raw = stamped(b"one\r\n", 1) + stamped(b"two\r\n", 2)
    for at in range(0, len(raw), 7):
        lines.feed("stdout", raw[at : at + 7], begins_frame=at == 0)
    assert [(line.at, line.text) for line in lines.result()] == [
        (AT + timedelta(seconds=1), "one"),
        (AT + timedelta(seconds=2), "two"),
    ]


def test_many_long_lines_stay_within_bounds() -> None:
    lines = LogLineAssembler(tail=2000, grep=None, max_line=4000)
    for number in range(3000):
        lines.feed("stdout", stamped(b"%d " % number + b"z" * 5000 + b"\n"), begins_frame=True)
    kept = lines.result()
    assert sum(len(line.text) for line in kept) <= 2_000_000
    assert kept[-1].text.startswith("2999 ")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\x1b[1;31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x07", "red link"),
        (b"10%\r50%\r100%", "100%"),
        (b"dos\r", "dos"),
        (b"bell\x07 null\x00 tab\t.", "bell null tab\t."),
        ("turn\u202etxt".encode(), "turntxt"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"cut \x1b[", "cut "),
    ],
)
def test_lines_are_cleaned(raw: bytes, text: str) -> None:
    assert clean_log_line(raw) == text


# -- resources -----------------------------------------------------------------------------------------------------


def reading(second: float, cpu_ms: int, **more: int) -> CounterReading:
    at = AT + timedelta(seconds=second)
    return CounterReading(at=at, cpu_ns=cpu_ms * 1_000_000, memory_bytes=10 * MB, limit_bytes=40 * MB, **more)


def test_shares_over_an_interval() -> None:
    before = reading(0, 1000, periods=100, throttled_periods=10)
    sample = sample_between(reading(10, 6000, periods=200, throttled_periods=60), before, AT)
    assert (sample.cpu_pct, sample.throttled_pct, sample.memory_pct) == (50.0, 50.0, 25.0)
    first = sample_between(reading(4, 1000), None, AT)
    assert (first.cpu_pct, first.throttled_pct) == (25.0, 0.0)
    assert sample_between(reading(4, 1000), None, None).cpu_pct == 0.0


def test_the_working_set_leaves_the_page_cache_out() -> None:
    for name in ("total_inactive_file", "inactive_file"):
        memory = {"usage": 30 * MB, "limit": 2**62, "stats": {name: 10 * MB}}
        found = parse_stats({"memory_stats": memory, "read": "2026-01-01T00:00:00Z"}, 100 * MB)
        assert found is not None
        assert (found.memory_bytes, found.limit_bytes) == (20 * MB, 100 * MB)
    assert parse_stats({"memory_stats": {}}, 1) is None


def test_cgroup_version_2(tmp_path: Path) -> None:
    """The files of version 2, laid out as the kernel does, below the path that this process really has."""
    unified = next(line for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
    home = tmp_path / unified.removeprefix("0::").lstrip("/")
    home.mkdir(parents=True, exist_ok=True)
    (tmp_path / "cgroup.controllers").write_text("cpu io memory pids\n")
    files = {
        "cpu.stat": "usage_usec 2500000\nuser_usec 1\nnr_periods 40\nnr_throttled 10\nthrottled_usec 5\n",
        "memory.current": f"{30 * MB}\n",
        "memory.max": f"{64 * MB}\n",
        "memory.stat": f"anon 1\nfile 2\ninactive_anon 3\ninactive_file {10 * MB}\n",
        "memory.events": "low 0\nhigh 0\nmax 7\noom 3\noom_kill 2\n",
        "io.stat": "8:0 rbytes=100 wbytes=200 rios=1\n259:0 rbytes=5 wbytes=6\n",
        "pids.current": "3\n",
    }
    for name, text in files.items():
        (home / name).write_text(text)
    # this process stands for the container's first one: every path holds the empty id
    found = cgroups.find_cgroup(tmp_path, os.getpid(), "", has_own_network=True)
    assert found is not None
    assert found.is_v2
    now = found.read(100 * MB)
    assert (now.cpu_ns, now.periods, now.throttled_periods) == (2_500_000_000, 40, 10)
    assert (now.memory_bytes, now.limit_bytes, now.pids) == (20 * MB, 64 * MB, 3)
    assert (now.disk_read_bytes, now.disk_write_bytes) == (105, 206)
    assert found.oom_kills() == 2
    (home / "memory.max").write_text("max\n")
    (home / "io.stat").unlink()
    assert found.read(100 * MB).limit_bytes == 100 * MB
    assert cgroups.find_cgroup(tmp_path, os.getpid(), "another-id", has_own_network=True) is None
    assert cgroups.find_cgroup(tmp_path / "none", os.getpid(), "", has_own_network=True) is None
