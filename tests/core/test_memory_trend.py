"""One judge says whether memory peaked, grows steadily, or is flat: detectors and records must not differ."""

from __future__ import annotations

import pytest

from core.monitoring.memory_trend import MemoryShape, memory_shape, slope_per_hour

GROWING = [100.0 + n for n in range(31)]
"""100 → 130."""


def curve(values: list[float]) -> list[tuple[float, float]]:
    return [(10.0 * n, value) for n, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "limit", "shape"),
    [
        (GROWING, 512, "flat"),
        (GROWING, 150, "ramp"),
        (GROWING, 0, "ramp"),
        ([100.0] * 20, 512, "flat"),
        ([100.0] * 20, 0, "flat"),
        ([0.0] * 20, 0, "flat"),
        ([100.0, 102, 99, 101, 100, 103, 98, 100, 101, 99], 0, "flat"),
        ([90.0, 91, 90, 91, 90, 90], 100, "flat"),
        ([20.0, 35, 50, 65, 80, 95], 100, "ramp"),
        ([100.0 + 10 * n for n in range(30)], 512, "ramp"),
        ([100.0 + 10 * n + (n % 3) * 5 for n in range(30)], 0, "ramp"),
        ([400.0 - 10 * n for n in range(30)], 512, "peak"),
        ([100.0] * 28 + [480, 500], 512, "peak"),
        ([100.0] * 10 + [500] + [100.0] * 10, 0, "peak"),
        ([100.0] * 10 + [150] + [100.0] * 10, 512, "flat"),
        ([100.0] * 10 + [300.0] * 10, 512, "flat"),
        ([100.0, 200, 300, 400], 512, "unknown"),
    ],
)
def test_shapes(values: list[float], limit: float, shape: MemoryShape) -> None:
    assert memory_shape(curve(values), limit) == shape


def test_a_kill_far_above_the_last_sample_is_a_peak() -> None:
    assert memory_shape(curve(GROWING), 512, ended_at_limit=True) == "peak"
    assert memory_shape(curve([40.0, 41, 40, 42, 41, 40]), 100, ended_at_limit=True) == "peak"
    assert memory_shape(curve([90.0, 91, 90, 91, 90, 90]), 100, ended_at_limit=True) == "flat"
    assert memory_shape(curve([20.0, 35, 50, 65, 80, 95]), 100, ended_at_limit=True) == "ramp"


def test_a_peak_between_two_samples_counts() -> None:
    assert memory_shape(curve([100.0] * 20), 512, highest=400) == "peak"


def test_the_slope_is_told_per_hour() -> None:
    assert slope_per_hour(curve(GROWING)) == pytest.approx(360.0)
    assert slope_per_hour(curve([7.0])) == 0.0
