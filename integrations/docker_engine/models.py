"""Turns an engine's answers about containers into models."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from core.deployments.platform import StackNames
from core.monitoring.inventory import Container, ContainerState, Dependency, Health, HealthProbe
from integrations.docker_engine.client.json_fields import (
    JsonAnswer,
    json_int,
    json_list,
    json_object,
    json_string,
    json_time,
)

COMPOSE_LABEL = "com.docker.compose"
SWARM_STACK_LABEL = "com.docker.stack.namespace"
SWARM_SERVICE_LABEL = "com.docker.swarm.service.name"
SECOND_NS = 1_000_000_000
# What the engine takes where a health check leaves it out.
# https://docs.docker.com/reference/dockerfile/#healthcheck
HEALTH_INTERVAL_S = 30.0
HEALTH_RETRIES = 3
PROBE_OUTPUT_LIMIT = 1000
SECRET_LABEL_VALUE = "(hidden)"

_SECRET_KEY = re.compile(r"passw|secret|token|credential|auth|api[._-]?key|private|users|dsn", re.IGNORECASE)
_HOST_KEY = re.compile(r"(?:^|_)(?:HOSTS?|URLS?|URI|ADDR(?:ESS)?|SERVERS?|ENDPOINT|BROKERS?)$", re.IGNORECASE)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^\s\"'<>]+)")
_HOST = re.compile(r"(?=[^.]*[A-Za-z])[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|[A-Za-z]")
_PORT = re.compile(r"\d{1,5}")
_OURSELVES = frozenset({"localhost", "host", "true", "false", "none", "null", "yes", "no", "on", "off"})


def parse_container(host: str, raw: JsonAnswer, names: StackNames | None = None) -> Container:
    """Read an answer of `inspect`. Environment values and labels that look secret are left out.

    `names`: what people call a project or lone swarm service; without it they keep their own names.
    """
    config, host_config = json_object(raw.get("Config")), json_object(raw.get("HostConfig"))
    state, network = json_object(raw.get("State")), json_object(raw.get("NetworkSettings"))
    labels = {key: json_string(value) for key, value in json_object(config.get("Labels")).items()}
    health, check = json_object(state.get("Health")), json_object(config.get("Healthcheck"))
    has_check = bool(json_string(health.get("Status"))) and json_string(health.get("Status")) != "none"
    name = json_string(raw.get("Name")).removeprefix("/")
    now = parse_state(json_string(state.get("Status")))
    project, stack, service = _home(labels, name, names or StackNames())
    return Container(
        host=host,
        id=json_string(raw.get("Id")),
        name=name,
        stack=stack,
        service=service,
        project=project,
        image=json_string(config.get("Image")),
        image_id=json_string(raw.get("Image")),
        state=now,
        health=_health(json_string(health.get("Status"))),
        health_log=tuple(_probes(health)),
        health_interval_s=(json_int(check.get("Interval")) / SECOND_NS or HEALTH_INTERVAL_S) if has_check else 0.0,
        health_retries=(json_int(check.get("Retries")) or HEALTH_RETRIES) if has_check else 0,
        start_period_s=json_int(check.get("StartPeriod")) / SECOND_NS if has_check else 0.0,
        failing_streak=json_int(health.get("FailingStreak")),
        exit_code=_exit_code(now, state),
        oom_killed=state.get("OOMKilled") is True,
        error=json_string(state.get("Error")),
        restart_count=json_int(raw.get("RestartCount")),
        restart_policy=json_string(json_object(host_config.get("RestartPolicy")).get("Name")) or "no",
        created_at=json_time(raw.get("Created")),
        started_at=json_time(state.get("StartedAt")),
        finished_at=json_time(state.get("FinishedAt")),
        memory_limit_bytes=max(0, json_int(host_config.get("Memory"))),
        cpu_limit=_cpu_limit(host_config),
        networks=tuple(sorted(json_object(network.get("Networks")))),
        aliases=tuple(_aliases(network, json_string(raw.get("Id")))),
        depends_on=tuple(_dependencies(labels.get(f"{COMPOSE_LABEL}.depends_on", ""))),
        links=tuple(_links(host_config)),
        env_hosts=tuple(_env_hosts(json_list(config.get("Env")))),
        ports=tuple(_ports(network)),
        mounts=tuple(_mounts(raw)),
        labels={key: SECRET_LABEL_VALUE if _SECRET_KEY.search(key) else value for key, value in labels.items()},
    )


def parse_state(word: str) -> ContainerState:
    """Return the state of that name; DEAD for an unknown one."""
    try:
        return ContainerState(word)
    except ValueError:
        return ContainerState.DEAD


def _home(labels: Mapping[str, str], name: str, names: StackNames) -> tuple[str | None, str | None, str]:
    """Return project, stack and service: from Compose, else from a swarm service (named after its stack), else none."""
    project = labels.get(f"{COMPOSE_LABEL}.project")
    if project is not None:
        return project, names.of(project), labels.get(f"{COMPOSE_LABEL}.service") or name
    stack, service = labels.get(SWARM_STACK_LABEL) or None, labels.get(SWARM_SERVICE_LABEL)
    if stack is not None:
        return stack, names.of(stack), (service or name).removeprefix(f"{stack}_")
    return service, None, names.of(service) if service else name


def _health(word: str) -> Health:
    try:
        return Health(word or "none")
    except ValueError:
        return Health.NONE


def _probes(health: JsonAnswer) -> Iterator[HealthProbe]:
    for entry in json_list(health.get("Log")):
        probe = json_object(entry)
        at = json_time(probe.get("Start"))
        if at is not None:
            output = json_string(probe.get("Output")).strip()[-PROBE_OUTPUT_LIMIT:]
            yield HealthProbe(at=at, exit_code=json_int(probe.get("ExitCode")), output=output)


def _exit_code(now: ContainerState, state: JsonAnswer) -> int | None:
    code = json_int(state.get("ExitCode"))
    if now in (ContainerState.RUNNING, ContainerState.PAUSED):
        return None
    if now is ContainerState.CREATED and not code and not json_string(state.get("Error")):
        return None
    return code


def _cpu_limit(host_config: JsonAnswer) -> float:
    nano = json_int(host_config.get("NanoCpus"))
    if nano > 0:
        return nano / 1e9
    quota, period = json_int(host_config.get("CpuQuota")), json_int(host_config.get("CpuPeriod")) or 100_000
    return quota / period if quota > 0 else 0.0


def _aliases(network: JsonAnswer, container_id: str) -> Iterator[str]:
    """Yield the names by which others on its networks reach it, without its own id."""
    seen: set[str] = set()
    for one in json_object(network.get("Networks")).values():
        for alias in (*json_list(json_object(one).get("Aliases")), *json_list(json_object(one).get("DNSNames"))):
            text = json_string(alias)
            if text and text not in seen and not container_id.startswith(text):
                seen.add(text)
                yield text


def _dependencies(label: str) -> Iterator[Dependency]:
    """Read Compose v2's `db:service_healthy:true,cache:service_started:false`."""
    for part in label.split(","):
        service, _, rest = part.strip().partition(":")
        if service:
            yield Dependency(service=service, condition=rest.partition(":")[0] or "service_started")


def _links(host_config: JsonAnswer) -> Iterator[str]:
    """Yield the containers it links to: `/db:/web/database` is `db`."""
    for link in json_list(host_config.get("Links")):
        target = json_string(link).partition(":")[0].strip("/")
        if target:
            yield target


def _ports(network: JsonAnswer) -> Iterator[str]:
    for inside, bindings in sorted(json_object(network.get("Ports")).items()):
        published = [json_object(one) for one in json_list(bindings)]
        for one in published:
            yield f"{json_string(one.get('HostIp')) or '0.0.0.0'}:{json_string(one.get('HostPort'))}->{inside}"
        if not published:
            yield inside


def _mounts(raw: JsonAnswer) -> Iterator[str]:
    for one in map(json_object, json_list(raw.get("Mounts"))):
        yield f"{json_string(one.get('Name')) or json_string(one.get('Source'))}:{json_string(one.get('Destination'))}"


def _env_hosts(environment: Sequence[object]) -> Iterator[str]:
    """Yield the host names in variables. Doubtful ones are left out: they might be part of a secret."""
    seen: set[str] = set()
    for entry in environment:
        key, _, value = json_string(entry).partition("=")
        found = [host for match in _URL.findall(value) for host in _hosts_of_netloc(match)]
        if not found and "://" not in value and _HOST_KEY.search(key) and not _SECRET_KEY.search(key):
            found = [host for part in value.split(",") for host in _host_and_port(part.strip().partition("/")[0])]
        for host in found:
            if host not in seen:
                seen.add(host)
                yield host


def _hosts_of_netloc(after_scheme: str) -> list[str]:
    """Return the hosts: `user:password@a:1,b:2/path` → a, b; none if an @ after the first slash may end a password."""
    netloc, _, rest = after_scheme.replace("?", "/", 1).replace("#", "/", 1).partition("/")
    if "@" in rest:
        return []
    return [host for part in netloc.rpartition("@")[2].split(",") for host in _host_and_port(part)]


def _host_and_port(text: str) -> list[str]:
    host, colon, port = text.partition(":")
    if colon and not _PORT.fullmatch(port):
        return []
    if not _HOST.fullmatch(host) or host.lower() in _OURSELVES:
        return []
    return [host]
