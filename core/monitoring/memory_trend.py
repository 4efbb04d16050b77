"""Classifies a memory curve as a sudden peak, a steady ramp (a leak) or flat; the only code that does.

Growth is measured as a share of the container's limit, because a runbook raises the limit for a peak and restarts for
a ramp. So 100 → 130 MB of 512 is flat, and a kill right after it is a peak that no sample caught; of 150 the same
curve is a ramp. A container without a limit is measured by its own highest value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

MemoryShape = Literal["peak", "ramp", "flat", "unknown"]
Point = tuple[float, float]
"""Seconds and bytes."""

LEAST_POINTS = 5
RAMP_GROWTH = 0.15
"""A ramp grows by at least this share over the span …"""
RAMP_FIT = 0.85
"""… and a straight line explains at least this share of it: a step, or a peak at the end, is no ramp."""
PEAK_JUMP = 0.2
"""A peak is this share above the median of the curve."""


def memory_shape(
    points: Sequence[Point], limit: float, *, highest: float | None = None, ended_at_limit: bool = False
) -> MemoryShape:
    """Judge points, oldest first, against a limit in the same unit (0: none).

    `highest`: the highest value between the points, if known. `ended_at_limit`: the kernel killed it after the last
    point, so that it reached its limit whatever was sampled.
    """
    if len(points) < LEAST_POINTS:
        return "unknown"
    values = sorted(value for _, value in points)
    top = max(values[-1], highest or 0.0)
    whole = limit or top
    if whole <= 0:
        return "flat"
    slope, fit = _line(points)
    if slope * (points[-1][0] - points[0][0]) >= RAMP_GROWTH * whole and fit >= RAMP_FIT:
        return "ramp"
    reached = max(top, limit) if ended_at_limit else top
    return "peak" if reached - values[len(values) // 2] >= PEAK_JUMP * whole else "flat"


def slope_per_hour(points: Sequence[Point]) -> float:
    """Return the slope of the best straight line, per hour; 0 if there is none."""
    return _line(points)[0] * 3600.0


def _line(points: Sequence[Point]) -> tuple[float, float]:
    """Return the slope of the best straight line, and the share of the variation that it explains (0–1)."""
    count = len(points)
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    spread_x = sum((x - mean_x) ** 2 for x, _ in points)
    spread_y = sum((y - mean_y) ** 2 for _, y in points)
    if not spread_x or not spread_y:
        return 0.0, 0.0
    joint = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return joint / spread_x, joint * joint / (spread_x * spread_y)
