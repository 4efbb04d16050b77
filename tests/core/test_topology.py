"""Who depends on whom, from every source, circles included."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.monitoring.inventory import Container, Dependency, Inventory
from core.monitoring.topology import EdgeKind, topology
from tests.core.scripted_watcher import container


def needs(name: str, *others: str) -> Container:
    return container(f"shop-{name}-1", depends_on=tuple(Dependency(service=other) for other in others))


def test_the_topology_names_roots_victims_and_start_order() -> None:
    graph = topology(
        Inventory(containers=(needs("web", "api"), needs("api", "db", "cache"), needs("db"), needs("cache"))), "local"
    )
    assert graph.roots("shop/web") == ("shop/api", "shop/db", "shop/cache")
    assert graph.victims("shop/db") == ("shop/api", "shop/web")
    assert graph.order() == ("shop/cache", "shop/db", "shop/api", "shop/web")
    assert graph.order(["shop/web", "shop/db"]) == ("shop/db", "shop/web")
    assert graph.roots("shop/unknown") == ()


def test_names_on_a_shared_network_count_and_others_do_not() -> None:
    graph = topology(
        Inventory(
            containers=(
                container(
                    "shop-api-1",
                    env_hosts=("database", "example.org", "hidden", "api"),
                    networks=("shop_default", "bridge"),
                ),
                container("shop-db-1", aliases=("database", "db")),
                container("shop-hidden-1", networks=("elsewhere",)),
                container("shop-plain-1", networks=("bridge",)),
            )
        ),
        "local",
    )  # fmt: skip
    assert graph.needs("shop/api") == ("shop/db",)
    assert graph.edges[0].kind is EdgeKind.ENVIRONMENT


def test_another_stack_and_a_link_are_found() -> None:
    db = container("core-db-1", stack="core", service="db", networks=("shared",), aliases=("db",))
    api = container("shop-api-1", env_hosts=("core-db-1",), networks=("shared", "shop_default"))
    old = container("legacy", stack=None, service="legacy", networks=("bridge",), links=("/core-db-1:db",))
    graph = topology(Inventory(containers=(db, api, old)), "local")
    assert graph.victims("core/db") == ("legacy", "shop/api")


def test_a_dependency_is_named_by_its_most_certain_source() -> None:
    api = container(
        "shop-api-1", depends_on=(Dependency(service="db", condition="service_healthy"),), env_hosts=("db",)
    )
    graph = topology(Inventory(containers=(api, container("shop-db-1"))), "local")
    assert [(edge.kind, edge.condition) for edge in graph.edges] == [(EdgeKind.DEPENDS_ON, "service_healthy")]


def test_a_service_that_is_gone_is_still_a_root() -> None:
    graph = topology(Inventory(containers=(needs("api", "db"),)), "local")
    assert graph.roots("shop/api") == ("shop/db",)


def test_other_hosts_are_left_out() -> None:
    far = container("shop-db-1", host="far", depends_on=(Dependency(service="api"),))
    assert topology(Inventory(containers=(needs("api", "db"), far)), "local").services == ("shop/api",)


names = st.sampled_from("abcdefgh")


@given(st.dictionaries(names, st.sets(names, max_size=4), max_size=8))
def test_order_and_reach_hold_for_any_graph(wanted: dict[str, set[str]]) -> None:
    graph = topology(
        Inventory(containers=tuple(needs(name, *sorted(others)) for name, others in wanted.items())), "local"
    )
    order = graph.order()
    assert sorted(order) == sorted(graph.services)
    for service in graph.services:
        assert service not in graph.roots(service)
        for root in graph.roots(service):
            assert service in graph.victims(root)
            is_circle = service in graph.roots(root)
            if not is_circle and root in order:
                assert order.index(root) < order.index(service)


def test_a_long_chain_has_no_depth_limit() -> None:
    chain = [needs(f"s{number}", f"s{number + 1}") for number in range(500)]
    graph = topology(Inventory(containers=tuple(chain)), "local")
    assert len(graph.order()) == 500
    assert len(graph.roots("shop/s0")) == 500
