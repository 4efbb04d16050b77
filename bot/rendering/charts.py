"""Draws one chart of a container's resources: JSON on standard input, a PNG on standard output.

Runs as a program of its own (`python -m bot.rendering.charts`), so that the drawing library's memory is given back.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MIB = 1024.0 * 1024.0
PAPER, INK, FAINT, GRID = "#f7f8fa", "#22272e", "#68707c", "#dfe3e8"
BLUE, GREEN, ORANGE, VIOLET, RED = "#2f6fde", "#1f9d68", "#d9822b", "#8256d0", "#d23b3b"
SIZE_INCHES, DOTS_PER_INCH = (8.4, 8.6), 110
"""924 × 946 dots: sharp on a phone, within the 10 MB and the ratio of sendPhoto."""
GAP_FACTOR = 3.0
"""A gap longer than this many usual steps is left open instead of being bridged by a line."""


@dataclass(frozen=True, kw_only=True)
class ChartMark:
    """An event, drawn as a vertical line."""

    at_s: float
    label: str
    is_incident: bool = True


@dataclass(frozen=True, kw_only=True)
class ChartData:
    """One chart: equally long lists of points, oldest first, in Unix seconds, percent and bytes."""

    title: str
    subtitle: str
    zone: str
    labels: dict[str, str]
    """Words in the reader's language: cpu, memory, limit, network, in, out, disk, read, write, per_second."""
    at_s: list[float]
    cpu_pct: list[float]
    memory_bytes: list[float]
    memory_limit_bytes: list[float]
    network_rx_bytes: list[float]
    """Counters since the container started, as are the three below."""
    network_tx_bytes: list[float]
    disk_read_bytes: list[float]
    disk_write_bytes: list[float]
    marks: list[ChartMark] = field(default_factory=list)

    def to_json(self) -> str:
        """Encode for the drawing program's standard input."""
        return json.dumps(asdict(self))


def growth_per_second(at_s: Sequence[float], counters: Sequence[float]) -> list[float]:
    """Growth per second at each point; a counter that fell was reset, its interval counts as no growth."""
    found = [0.0] if at_s else []
    for place in range(1, len(at_s)):
        span = at_s[place] - at_s[place - 1]
        found.append(max(0.0, counters[place] - counters[place - 1]) / span if span > 0 else 0.0)
    if len(found) > 1:
        found[0] = found[1]
    return found


def draw_chart(data: ChartData) -> bytes:
    """Draw the chart as a PNG."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    words = data.labels
    zone = ZoneInfo(data.zone)
    times = [datetime.fromtimestamp(at, zone) for at in data.at_s]
    with mpl.rc_context({"font.size": 10, "text.color": INK, "timezone": data.zone}):
        figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, facecolor=PAPER)
        FigureCanvasAgg(figure)
        axes: Any = figure.subplots(4, 1, sharex=True, gridspec_kw={"height_ratios": [1.25, 1.25, 0.9, 0.9]})
        _area(axes[0], data, times, data.cpu_pct, BLUE)
        _describe(axes[0], words["cpu"], "%", data.cpu_pct)
        _memory(axes[1], data, times)
        _pair(axes[2], data, times, (data.network_rx_bytes, data.network_tx_bytes), (words["in"], words["out"]))
        _describe(axes[2], words["network"], words["per_second"])
        _pair(axes[3], data, times, (data.disk_read_bytes, data.disk_write_bytes), (words["read"], words["write"]))
        _describe(axes[3], words["disk"], words["per_second"])
        for place, axis in enumerate(axes):
            _marks(axis, data, zone, with_labels=place == 0)
        _time_axis(axes[3], times, zone)
        figure.text(0.07, 0.972, data.title, fontsize=15, fontweight="bold", color=INK, va="center")
        figure.text(0.07, 0.943, data.subtitle, fontsize=10, color=FAINT, va="center")
        figure.subplots_adjust(left=0.07, right=0.965, top=0.885, bottom=0.05, hspace=0.42)
        image = BytesIO()
        figure.savefig(image, format="png", facecolor=PAPER)
    return image.getvalue()


def _broken(data: ChartData, values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Points with a gap where nothing was measured."""
    steps = sorted(later - earlier for earlier, later in zip(data.at_s, data.at_s[1:], strict=False))
    usual = steps[len(steps) // 2] if steps else 0.0
    at: list[float] = []
    kept: list[float] = []
    for place, (when, value) in enumerate(zip(data.at_s, values, strict=True)):
        if place and usual and when - data.at_s[place - 1] > GAP_FACTOR * usual:
            at.append((when + data.at_s[place - 1]) / 2)
            kept.append(float("nan"))
        at.append(when)
        kept.append(value)
    return at, kept


def _area(axis: Axes, data: ChartData, times: list[datetime], values: Sequence[float], color: str) -> None:
    at, kept = _broken(data, values)
    zone = times[0].tzinfo
    moments: Any = [datetime.fromtimestamp(one, zone) for one in at]
    axis.fill_between(moments, kept, color=color, alpha=0.14, linewidth=0)
    axis.plot(moments, kept, color=color, linewidth=1.7, solid_capstyle="round")
    axis.set_ylim(0, max([*values, 1.0]) * 1.18)


def _memory(axis: Axes, data: ChartData, times: list[datetime]) -> None:
    used = [value / MIB for value in data.memory_bytes]
    _area(axis, data, times, used, GREEN)
    limit = data.memory_limit_bytes[-1] / MIB if data.memory_limit_bytes else 0.0
    note = ""
    if limit > 0:
        moments: Any = times
        axis.plot(moments, [value / MIB for value in data.memory_limit_bytes], color=RED, linewidth=1.2, linestyle="--")
        note = f"{data.labels['limit']} {_amount(limit)} MB"
        top = max([*used, 1.0])
        axis.set_ylim(0, max(limit, top) * 1.12 if limit < 20 * top else top * 1.2)
    _describe(axis, data.labels["memory"], "MB", used, note)


def _pair(
    axis: Axes,
    data: ChartData,
    times: list[datetime],
    counters: tuple[Sequence[float], Sequence[float]],
    names: tuple[str, str],
) -> None:
    both = [[value / 1024.0 for value in growth_per_second(data.at_s, one)] for one in counters]
    for values, color, name in zip(both, (VIOLET, ORANGE), names, strict=True):
        at, kept = _broken(data, values)
        moments: Any = [datetime.fromtimestamp(one, times[0].tzinfo) for one in at]
        axis.plot(moments, kept, color=color, linewidth=1.4, label=f"{name} {_amount(values[-1])}")
    axis.set_ylim(0, max([*both[0], *both[1], 1.0]) * 1.25)
    axis.legend(loc="lower right", bbox_to_anchor=(1.005, 0.96), ncols=2, frameon=False, fontsize=9, labelcolor=FAINT)


def _describe(axis: Axes, name: str, unit: str, values: Sequence[float] = (), note: str = "") -> None:
    axis.set_facecolor("white")
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(GRID)
    axis.grid(axis="y", color=GRID, linewidth=0.8)
    axis.tick_params(colors=FAINT, length=0, labelsize=9)
    axis.set_axisbelow(True)
    axis.locator_params(axis="y", nbins=4)
    axis.set_title(f"{name}, {unit}", loc="left", fontsize=10.5, fontweight="bold", color=INK, pad=5)
    if values:
        shown = f"{_amount(values[-1])}   ↑ {_amount(max(values))}"
        axis.set_title(f"{shown}   {note}".rstrip(), loc="right", fontsize=9.5, color=FAINT, pad=5)


def _marks(axis: Axes, data: ChartData, zone: ZoneInfo, *, with_labels: bool) -> None:
    for mark in data.marks:
        if not data.at_s or not data.at_s[0] <= mark.at_s <= data.at_s[-1] + 60:
            continue
        moment: Any = datetime.fromtimestamp(mark.at_s, zone)
        color = RED if mark.is_incident else FAINT
        axis.axvline(moment, color=color, linewidth=1.1, linestyle=(0, (2, 2)), alpha=0.85)
        if with_labels:
            axis.text(
                moment, 1.0, mark.label, transform=axis.get_xaxis_transform(), color=color, fontsize=8.5,
                ha="center", va="top", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.8},
            )  # fmt: skip


def _time_axis(axis: Axes, times: list[datetime], zone: ZoneInfo) -> None:
    from matplotlib import dates

    untyped: Any = dates
    span_h = (times[-1] - times[0]).total_seconds() / 3600
    axis.xaxis.set_major_locator(untyped.AutoDateLocator(tz=zone, minticks=4, maxticks=8))
    axis.xaxis.set_major_formatter(untyped.DateFormatter("%d.%m. %H:%M" if span_h > 30 else "%H:%M", tz=zone))
    axis.margins(x=0.01)


def _amount(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if value >= 100 else f"{value:.1f}".removesuffix(".0")


def main() -> None:
    """Read the data, draw the chart, write the PNG."""
    raw = json.load(sys.stdin)
    marks = [ChartMark(**mark) for mark in raw.pop("marks")]
    sys.stdout.buffer.write(draw_chart(ChartData(**raw, marks=marks)))


if __name__ == "__main__":
    main()
