"""Finding a service by what a person types."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.monitoring.inventory import Container, ContainerState, Inventory, find, join, names_of, title


def one(stack: str | None, service: str, host: str = "local") -> Container:
    name = f"{stack}-{service}-1" if stack else service
    return Container(
        host=host,
        id=f"{host}{name}".encode().hex(),
        name=name,
        stack=stack,
        service=service,
        image="x",
        state=ContainerState.RUNNING,
    )


GRANADA = [one("granada", name) for name in ("api", "celery", "frontend", "postgres", "redis", "weaviate")]
OTHERS = [one("automation", "n8n"), one("automation", "postgres"), one("shop", "api-gateway"), one(None, "traefik")]
EVERYTHING = Inventory(containers=(*GRANADA, *OTHERS))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("granada", ["granada"]),
        ("GRANADA", ["granada"]),
        ("granada api", ["granada/api"]),
        ("granada/api", ["granada/api"]),
        ("granada-api-1", ["granada/api"]),
        ("api granada", ["granada/api"]),
        ("el api de granada", ["granada/api"]),
        ("the api of granada", ["granada/api"]),
        ("the granada api service", ["granada/api"]),
        ("la api del stack granada", ["granada/api"]),
        ("weaviate", ["granada/weaviate"]),
        ("weviate", ["granada/weaviate"]),
        ("wéaviate", ["granada/weaviate"]),
        ("front", ["granada/frontend"]),
        ("api", ["granada/api"]),
        ("postgres", ["automation/postgres", "granada/postgres"]),
        ("postgres granada", ["granada/postgres"]),
        ("el postgres de automation", ["automation/postgres"]),
        ("traefik", ["traefik"]),
        ("traefic", ["traefik"]),
        ("gateway", ["shop/api-gateway"]),
        ("api gateway", ["shop/api-gateway"]),
        ("n8n", ["automation/n8n"]),
        ("stack granada", ["granada"]),
        ("zzz", []),
        ("", []),
        ("///", []),
        ("app", []),
        ("<b>api</b>", []),
        ("x" * 5000, []),
    ],
)
def test_a_typed_name_finds_its_stack_or_service(typed: str, meant: list[str]) -> None:
    assert sorted(title(found) for found in find(EVERYTHING, typed)) == meant


def test_a_service_is_found_within_its_stack() -> None:
    assert [title(found) for found in find(EVERYTHING, "postgres", within="granada")] == ["granada/postgres"]
    assert find(EVERYTHING, "n8n", within="granada") == ()


def test_the_same_name_on_two_hosts_is_for_the_person_to_choose() -> None:
    both = join([EVERYTHING, Inventory(containers=(one("granada", "api", "far"),))])
    assert {found.host for found in find(both, "granada api")} == {"local", "far"}


@pytest.mark.parametrize("typed", ["service", "servicio", "stack", "project"])
def test_a_service_may_be_called_like_a_filler_word(typed: str) -> None:
    odd = Inventory(containers=(one("shop", typed),))
    assert [title(found) for found in find(odd, typed)] == [f"shop/{typed}"]


@given(st.text(max_size=60))
def test_any_text_can_be_looked_up(typed: str) -> None:
    find(EVERYTHING, typed)


@given(st.sampled_from(names_of(EVERYTHING)))
def test_every_shown_name_is_found(shown: str) -> None:
    assert [title(found) for found in find(EVERYTHING, shown)] == [shown]


def test_containers_hosts_and_stacks_are_found_by_reference() -> None:
    api = GRANADA[0]
    assert EVERYTHING.container("local/granada-api-1") == api
    assert EVERYTHING.container(api.id[:12]) is not None
    assert EVERYTHING.container("far/granada-api-1") is None
    assert EVERYTHING.stack("granada") is not None
    assert EVERYTHING.stack("granada", host="far") is None
    assert EVERYTHING.service(None, "traefik") is not None
    assert [stack.name for stack in EVERYTHING.stacks()] == ["automation", "granada", "shop"]
