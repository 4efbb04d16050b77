"""A source over a fleet, and looks at it while time is moved by hand."""

from __future__ import annotations

from collections.abc import Callable

from core.monitoring.snapshot import PlatformView
from integrations.dokploy.polling.platform_source import DokploySource
from tests.integrations.dokploy.fleet import FleetClock

MakeSource = Callable[..., DokploySource]


async def view_of(source: DokploySource) -> PlatformView:
    """What one look gives."""
    snapshot = await source.look()
    assert snapshot.platform is not None
    return snapshot.platform


async def view_after(source: DokploySource, hand: FleetClock, seconds: float) -> PlatformView:
    """The view after so many seconds of looks every eight."""
    view = await view_of(source)
    for _ in range(int(seconds / 8) + 1):
        hand.forward(8)
        view = await view_of(source)
    return view
