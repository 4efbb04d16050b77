"""Dokploy with 50 projects and 200 composes that answers in 150 ms: the first look, the look from memory, the polling.

The peer of the first look is the same questions one after another, in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from bench.common import Report, open_bed, spread
from bench.program import temporary_home
from core.deployments.platform import StackNames
from core.monitoring.inventory import Inventory, join
from core.redaction import redact
from core.settings import DokploySettings
from integrations.dokploy.client.dokploy_client import Dokploy
from integrations.dokploy.polling.platform_source import DokploySource
from integrations.dokploy.polling.project_tree import load_tree
from tests.standins.dokploy import DokployStandin

PROJECTS, COMPOSES = 50, 200
LATENCY_S = 0.15
COLD_LIMIT_S, WARM_LIMIT_S = 2.0, 0.05
AT_ONCE, ROUNDS = 8, 5
HOUR_S = 3600.0
PER_5_S = 5.0


class ManualClock:
    """A clock moved by hand: an hour of polling takes seconds."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)

    def now(self) -> datetime:
        """Return the time in UTC."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)


def main() -> int:
    """Measure; 1 when a limit is missed."""
    argparse.ArgumentParser(prog="python -m bench.bench_dokploy", description=__doc__).parse_args()
    report = Report("Dokploy: inventory and polling")
    with (
        open_bed() as (found, _),
        temporary_home() as place,
        DokployStandin(docker_host=found.docker_host, docker_config=found.compose_config, home=place) as dokploy,
    ):
        dokploy.fill(projects=PROJECTS, composes=COMPOSES // PROJECTS)
        asyncio.run(_measured(dokploy, report))
    return report.finish()


def _settings(dokploy: DokployStandin) -> DokploySettings:
    return DokploySettings(url=dokploy.url, api_key=SecretStr(dokploy.api_key))


async def _measured(dokploy: DokployStandin, report: Report) -> None:
    dokploy.set_latency(LATENCY_S)
    colds = [await _cold(dokploy) for _ in range(ROUNDS)]
    asked, at_once = len(dokploy.requests) // ROUNDS, dokploy.most_at_once
    report.add("the whole inventory, cold", statistics.median(colds), "s", limit=COLD_LIMIT_S, note=spread(colds))
    report.add("… requests", asked, "", limit=1 + PROJECTS)
    report.add("… at once", at_once, "", limit=AT_ONCE)
    one_by_one = (1 + PROJECTS) * LATENCY_S
    report.say(f"… one after another these questions wait {one_by_one:.1f} s: {one_by_one / colds[0]:.1f} × as long")
    dokploy.set_latency(0.0)
    await _steady(dokploy, report)


async def _cold(dokploy: DokployStandin) -> float:
    async with Dokploy(_settings(dokploy)) as client:
        began = time.perf_counter()
        tree = await load_tree(client)
        managed = tree.managed(StackNames())
        took = time.perf_counter() - began
    if len(managed) != COMPOSES:
        raise AssertionError(f"{len(managed)} of {COMPOSES} composes were found")
    return took


async def _steady(dokploy: DokployStandin, report: Report) -> None:
    clock, settings = ManualClock(), _settings(dokploy)
    async with Dokploy(settings) as client:
        source = DokploySource(client, settings, StackNames(), clock=clock, since=clock.now(), redact=redact)
        await source.look()
        warms = [_warm(source) for _ in range(20)]
        report.add("the whole inventory, warm", max(warms), "s", limit=WARM_LIMIT_S, note=spread(warms))
        dokploy.forget_requests()
        passed = 0.0
        busy = time.process_time()
        while passed < HOUR_S:
            clock.advance(settings.poll_s)
            passed += settings.poll_s
            await source.look()
        asked = len(dokploy.requests)
        report.add("steady polling, requests in 5 s", asked / HOUR_S * PER_5_S, "", limit=1.0, note=f"{asked} an hour")
        share = (time.process_time() - busy) / HOUR_S * 100
        report.add("… of one core, the stand-in's part included", share, "%")


def _warm(source: DokploySource) -> float:
    began = time.perf_counter()
    found = join([Inventory(managed=source.managed())])
    count = len(found.stacks())
    took = time.perf_counter() - began
    if count != COMPOSES:
        raise AssertionError(f"{count} of {COMPOSES} stacks")
    return took


if __name__ == "__main__":
    sys.exit(main())
