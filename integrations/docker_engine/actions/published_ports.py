"""Published ports: their containers, collisions, and databases open to every network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from core.monitoring.inventory import Container
from integrations.docker_engine.client.json_fields import JsonAnswer, json_int, json_list, json_object, json_string
from integrations.docker_engine.image_store import PortBinding

ANY_ADDRESS = frozenset({"", "0.0.0.0", "::"})
# The ports that these programs listen on unless told otherwise.
DATABASES = {
    1433: "SQL Server",
    2379: "etcd",
    3306: "MySQL",
    5432: "PostgreSQL",
    5984: "CouchDB",
    6333: "Qdrant",
    6379: "Redis",
    7687: "Neo4j",
    8123: "ClickHouse",
    9042: "Cassandra",
    9200: "Elasticsearch",
    11211: "Memcached",
    27017: "MongoDB",
}


def port_bindings(container: Container, raw: JsonAnswer) -> Iterator[PortBinding]:
    """Yield the ports in an answer of `inspect`: those published now, else those it would publish at start."""
    published = {
        inside: [json_object(one) for one in json_list(found)]
        for inside, found in json_object(json_object(raw.get("NetworkSettings")).get("Ports")).items()
    }
    wished = json_object(json_object(raw.get("HostConfig")).get("PortBindings"))
    is_open = any(published.values())
    for inside, found in (published if is_open else wished).items():
        number, _, protocol = inside.partition("/")
        for one in map(json_object, json_list(found)):
            yield PortBinding(
                container=container.ref,
                stack=container.stack,
                service=container.service,
                image=container.image,
                state=container.state.value,
                address=json_string(one.get("HostIp")) or "0.0.0.0",
                port=json_int(one.get("HostPort")),
                inside=json_int(number),
                protocol=protocol or "tcp",
                is_open=is_open,
            )


def port_conflicts(bindings: Sequence[PortBinding]) -> list[tuple[PortBinding, PortBinding]]:
    """Return pairs of containers on one host that cannot both run: same port, overlapping addresses."""
    return [
        (one, other)
        for one, other in combinations(sorted(bindings, key=_order), 2)
        if one.port > 0
        and (one.port, one.protocol) == (other.port, other.protocol)
        and one.container != other.container
        and _host(one) == _host(other)
        and _overlap(one.address, other.address)
    ]


def exposed_databases(bindings: Sequence[PortBinding]) -> list[tuple[PortBinding, str]]:
    """Return databases that listen on every address of their host, each with the name of its program: a risk.

    Docker publishes past the machine's own firewall. https://docs.docker.com/engine/network/packet-filtering-firewalls/
    """
    return [
        (one, DATABASES[one.inside])
        for one in sorted(bindings, key=_order)
        if one.address in ANY_ADDRESS and one.inside in DATABASES
    ]


def _overlap(one: str, other: str) -> bool:
    if (":" in one) != (":" in other):
        return False
    return one == other or one in ANY_ADDRESS or other in ANY_ADDRESS


def _host(binding: PortBinding) -> str:
    return binding.container.partition("/")[0]


def _order(binding: PortBinding) -> tuple[str, int, str, str]:
    return _host(binding), binding.port, binding.protocol, binding.container
