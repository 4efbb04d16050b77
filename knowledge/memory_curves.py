"""What a curve of memory looks like: one peak, a steady ramp, or flat."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Literal

Shape = Literal["peak", "ramp", "flat", "unknown"]
LEAST_SAMPLES = 5
RISE = 0.20
"""A curve whose end lies this share above its beginning may be a ramp."""
SUDDEN = 0.30
"""A highest value this share above the usual one is a peak."""
STEADY = 0.70
"""Share of the variation that a straight line explains in a ramp (R²)."""


def shape_of(seconds: Sequence[float], values: Sequence[float], highest: Sequence[float]) -> Shape:
    """The shape of a curve; `highest` is the highest value within each sample's span.

    A ramp rises steadily over the whole window, whatever its end. A peak stands clearly above the usual value, at the
    end of the window too (where the kernel ended it).
    """
    if len(values) < LEAST_SAMPLES:
        return "unknown"
    usual = median(values)
    if usual <= 0:
        return "flat"
    line = slope_per_hour(seconds, values) * (seconds[-1] - seconds[0]) / 3600.0
    body, body_seconds = list(values[:-1]), list(seconds[:-1])
    grows = _thirds_rise(body)
    if grows and line > RISE * max(min(values), 1e-9) and _explained(body_seconds, body) >= STEADY:
        return "ramp"
    if max(highest) > (1 + SUDDEN) * usual:
        return "peak"
    return "flat"


def slope_per_hour(seconds: Sequence[float], values: Sequence[float]) -> float:
    """The slope of the straight line through the samples, per hour; 0 where there is none."""
    slope, _ = _line(seconds, values)
    return slope * 3600.0


def _thirds_rise(values: Sequence[float]) -> bool:
    third = max(len(values) // 3, 1)
    parts = [values[:third], values[third : 2 * third] or values[:third], values[-third:]]
    first, middle, last = (sum(part) / len(part) for part in parts)
    return first < middle < last


def _explained(seconds: Sequence[float], values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    total = sum((value - mean) ** 2 for value in values)
    if total == 0:
        return 0.0
    slope, start = _line(seconds, values)
    left = sum((value - (start + slope * (at - seconds[0]))) ** 2 for at, value in zip(seconds, values, strict=True))
    return 1.0 - left / total


def _line(seconds: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    if len(values) < 2:
        return 0.0, values[0] if values else 0.0
    mean_at = sum(seconds) / len(seconds)
    mean = sum(values) / len(values)
    spread = sum((at - mean_at) ** 2 for at in seconds)
    if spread == 0:
        return 0.0, mean
    slope = sum((at - mean_at) * (value - mean) for at, value in zip(seconds, values, strict=True)) / spread
    return slope, mean - slope * (mean_at - seconds[0])
