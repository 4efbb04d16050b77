"""Domains asked through a real proxy: each trouble is told from the others."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.deployments.platform import (
    Deployment,
    DeployStatus,
    Domain,
    DomainState,
    ManagedKind,
    ManagedResource,
)
from core.settings import DokploySettings
from integrations.dokploy.polling.domain_probe import DomainProbe
from integrations.dokploy.polling.domain_watch import AT_ONCE, DomainWatch
from tests.core.scripted_watcher import WallClock
from tests.integrations.dokploy.fleet import T0, FleetClock
from tests.integrations.dokploy.proxy import Authority, Ports, Site, free_port, proxy
from tests.testbed.world import eventually


async def _here(host: str) -> list[str]:
    if host.endswith(".nowhere"):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return ["127.0.0.1"]


def _probe(ports: Ports, authority: Authority, **more: float) -> DomainProbe:
    return DomainProbe(
        clock=WallClock(),
        certificate_days=7,
        resolve=_here,
        http_port=ports.http,
        https_port=ports.https,
        trusted=authority.context(),
        **more,
    )


def _domain(host: str, *, https: bool = False, path: str = "/") -> Domain:
    return Domain(id=f"id-{host}", host=host, https=https, path=path, port=8000, service="web")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority that the probe trusts."""
    return Authority(tmp_path)


async def test_what_goes_wrong_behind_a_proxy_is_told_apart(tmp_path: Path, authority: Authority) -> None:
    backend, nobody = free_port(), free_port()
    sites = (
        Site(host="backend.test", does='return 200 "the shop";'),
        Site(host="right.test", does=f"proxy_pass http://127.0.0.1:{backend};"),
        Site(host="wrong-port.test", does=f"proxy_pass http://127.0.0.1:{nobody};"),
        Site(host="moved.test", does="return 301 https://elsewhere.example/;"),
        Site(host="login.test", does="return 401;"),
        Site(host="own-404.test", does='return 404 "404: no such page";'),
        Site(host="broken.test", does='return 500 "oops";'),
        Site(host="cut.test", does="return 444;"),
    )
    server = await asyncio.start_server(_shop, "127.0.0.1", backend)
    async with server, proxy(tmp_path, *sites) as ports:
        probe = _probe(ports, authority)
        found = {site.host: await probe.ask(_domain(site.host)) for site in sites[1:]}
        unknown = await probe.ask(_domain("unknown.test", path="/shop"))
        nameless = await probe.ask(_domain("shop.nowhere"))
    said = {host: (state.problem, state.http_status) for host, state in found.items()}
    assert said == {
        "right.test": ("", 200),
        "wrong-port.test": ("bad_gateway", 502),
        "moved.test": ("", 301),
        "login.test": ("", 401),
        "own-404.test": ("", 404),
        "broken.test": ("http_error", 500),
        "cut.test": ("unreachable", None),
    }
    assert (unknown.problem, unknown.http_status) == ("router", 404)
    assert (nameless.problem, nameless.detail) == ("dns", "Name or service not known")
    asked = (tmp_path / "access.log").read_text()
    assert "GET /shop HTTP/1.1" in asked
    assert "elsewhere" not in asked


async def _shop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    request = await reader.readuntil(b"\r\n\r\n")
    assert b"x-api-key" not in request.lower()
    assert b"cookie" not in request.lower()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nthe shop")
    await writer.drain()
    writer.close()


async def test_certificates_are_judged_as_a_browser_does(tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other")
    stranger.sign("strange.test", ends_in=timedelta(days=60))
    stranger.sign("none.test", ends_in=timedelta(days=360), common_name="TRAEFIK DEFAULT CERT")
    authority.sign("good.test", ends_in=timedelta(days=60))
    authority.sign("soon.test", ends_in=timedelta(days=5))
    authority.sign("expired.test", ends_in=timedelta(days=-3))
    authority.sign("somebody-else.test", ends_in=timedelta(days=60), name="mismatch.test")
    hosts = ("good.test", "soon.test", "expired.test", "mismatch.test", "other/strange.test", "other/none.test")
    sites = [Site(host=Path(host).name, does='return 200 "the shop";', certificate=host) for host in hosts]
    async with proxy(tmp_path, *sites) as ports:
        probe = _probe(ports, authority)
        found = {site.host: await probe.ask(_domain(site.host, https=True)) for site in sites}
        plain = await _probe(Ports(http=ports.http, https=ports.http), authority).ask(_domain("x.test", https=True))
    assert {host: (state.problem, state.http_status) for host, state in found.items()} == {
        "good.test": ("", 200),
        "soon.test": ("certificate", 200),
        "expired.test": ("certificate", None),
        "mismatch.test": ("certificate", None),
        "strange.test": ("certificate", None),
        "none.test": ("certificate", None),
    }
    assert found["expired.test"].detail == "certificate has expired"
    assert "mismatch" in found["mismatch.test"].detail
    assert found["none.test"].detail == "Traefik has none for it and shows its own"
    assert _days(found["good.test"]) == pytest.approx(60, abs=0.1)
    assert _days(found["soon.test"]) == pytest.approx(5, abs=0.1)
    assert _days(found["expired.test"]) == pytest.approx(-3, abs=0.1)
    assert (plain.problem, plain.detail.partition(":")[0]) == ("certificate", "no secure connection")


def _days(state: DomainState) -> float:
    assert state.certificate_ends is not None
    return (state.certificate_ends - datetime.now(UTC)).total_seconds() / 86400


async def test_a_refused_and_a_hanging_connection_are_unreachable(authority: Authority) -> None:
    probe = _probe(Ports(http=free_port(), https=free_port()), authority)
    refused = await probe.ask(_domain("shop.test"))
    assert (refused.problem, "refused" in refused.detail.lower()) == ("unreachable", True)

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        is_left.set()

    is_left = asyncio.Event()
    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    hanging = await _probe(Ports(http=port, https=port), authority, time_limit_s=0.3).ask(_domain("shop.test"))
    await asyncio.wait_for(is_left.wait(), 5)
    server.close()
    assert (hanging.problem, hanging.detail) == ("unreachable", "no answer within 0.3 s")


# -- when each is asked ------------------------------------------------------------------------------------------------


class Asked:
    """Answers for domains as it is told, and counts."""

    def __init__(self, clock: FleetClock) -> None:
        self.clock = clock
        self.problems: dict[str, str] = {}
        self.count: Counter[str] = Counter()
        self.under_way = 0
        self.most = 0

    async def __call__(self, domain: Domain) -> DomainState:
        self.count[domain.host] += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        return DomainState(domain_id=domain.id, at=self.clock.now(), problem=self.problems.get(domain.host, ""))


def _managed(*domains: Domain, status: str = "done", running: bool = False) -> ManagedResource:
    deployments = (Deployment(id="d1", status=DeployStatus.RUNNING),) if running else ()
    return ManagedResource(
        id="id-web",
        kind=ManagedKind.COMPOSE,
        name="web",
        app_name="web-x7f3k2",
        status=status,
        domains=domains,
        deployments=deployments,
    )


def _watch(asked: Asked, managed: list[ManagedResource], **settings: object) -> DomainWatch:
    given = DokploySettings.model_validate({"url": "http://d", "api_key": "k", **settings})
    return DomainWatch(given, lambda: managed, clock=asked.clock, ask=asked)


async def test_a_failing_domain_is_checked_sooner() -> None:
    asked = Asked(FleetClock())
    watch = _watch(asked, [_managed(_domain("good.test"), _domain("bad.test"))])
    asked.problems = {"bad.test": "bad_gateway"}
    for _ in range(61):
        await watch.ask_due()
        asked.clock.forward(5)
    assert asked.count == {"good.test": 2, "bad.test": 11}
    state = watch.states()["id-bad.test"]
    assert (state.failures, state.since) == (11, T0)
    asked.problems = {}
    asked.clock.forward(30)
    await watch.ask_due()
    assert watch.states()["id-bad.test"].failures == 0


async def test_only_domains_that_should_work_are_checked() -> None:
    asked = Asked(FleetClock())
    off = Domain(id="off", host="off.test", is_enabled=False)
    managed = [
        _managed(_domain("idle.test"), status="idle"),
        _managed(_domain("deploying.test"), running=True),
        _managed(_domain("web.test"), _domain("*.web.test"), off),
    ]
    watch = _watch(asked, managed)
    await watch.ask_due()
    assert set(asked.count) == {"web.test"}
    managed.clear()
    await watch.ask_due()
    assert not watch.states()


async def test_few_domains_are_checked_at_once() -> None:
    asked = Asked(FleetClock())
    watch = _watch(asked, [_managed(*(_domain(f"s{number}.test") for number in range(40)))])
    await watch.ask_due()
    assert asked.count.total() == 40
    assert asked.most == AT_ONCE


async def test_when_nothing_at_all_can_be_reached_it_is_our_own_network() -> None:
    asked = Asked(FleetClock())
    hosts = [f"s{number}.test" for number in range(4)]
    watch = _watch(asked, [_managed(*map(_domain, hosts))])
    asked.problems = dict.fromkeys(hosts, "unreachable") | {"s3.test": "dns"}
    await watch.ask_due()
    assert not watch.states()
    asked.problems["s0.test"] = ""
    asked.clock.forward(30)
    await watch.ask_due()
    assert {key: one.problem for key, one in watch.states().items()} == {
        "id-s0.test": "",
        "id-s1.test": "unreachable",
        "id-s2.test": "unreachable",
        "id-s3.test": "dns",
    }


async def test_domains_are_checked_unless_switched_off() -> None:
    asked = Asked(FleetClock())
    async with _watch(asked, [_managed(_domain("web.test"))], domains_s=0.05) as watch:
        await eventually(lambda: watch.states())
    off = _watch(asked, [_managed(_domain("other.test"))], ask_domains=False)
    async with off:
        await off.ask_due()
    assert set(asked.count) == {"web.test"}
