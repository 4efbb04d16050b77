"""The shape of a memory curve before its end: a sudden peak, a steady ramp (a leak), or flat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

MemoryShape = Literal["peak", "ramp", "flat", "unknown"]

LEAST_POINTS = 5
RAMP_GROWTH = 0.15
"""A ramp grows by at least this share of the limit over the span …"""
RAMP_FIT = 0.85
"""… and a straight line explains at least this share of it."""
PEAK_JUMP = 0.2
"""A peak stands this share of the limit above the middle of what was before."""


def memory_trend(points: Sequence[tuple[float, float]], limit_bytes: float, *, ended_at_limit: bool) -> MemoryShape:
    """What `(seconds, bytes)` points, oldest first, look like; `ended_at_limit`: the kernel killed it after the last.

    A kill far above the last sample is a peak that no sample caught.
    """
    if len(points) < LEAST_POINTS or limit_bytes <= 0:
        return "unknown"
    growth, fit = _line(points)
    if growth >= RAMP_GROWTH * limit_bytes and fit >= RAMP_FIT:
        return "ramp"
    usual = sorted(value for _, value in points)[len(points) // 2]
    highest = limit_bytes if ended_at_limit else max(value for _, value in points)
    return "peak" if highest - usual >= PEAK_JUMP * limit_bytes else "flat"


def _line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Growth over the whole span by the best straight line, and how well the line explains the points (0–1)."""
    count = len(points)
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    spread_x = sum((x - mean_x) ** 2 for x, _ in points)
    spread_y = sum((y - mean_y) ** 2 for _, y in points)
    if not spread_x or not spread_y:
        return 0.0, 0.0
    joint = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return joint / spread_x * (points[-1][0] - points[0][0]), joint * joint / (spread_x * spread_y)
