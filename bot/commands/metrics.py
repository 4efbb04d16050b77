"""/metrics: a chart of a service's CPU, memory, network and disk, its incidents marked."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from bot.arguments.target_choice import ReplyOption, choices, which_container
from bot.arguments.time_spans import take_time_span
from bot.command_context import CommandContext, CommandReply, Later
from bot.commands.command_table import command
from bot.rendering.charts import ChartData, ChartMark
from core.actions.catalog import Role
from core.durations import clock_time, duration
from core.errors import SystemUnavailable, TimeLimitExceeded
from core.monitoring.inventory import Container
from core.monitoring.usage_series import SeriesPoint
from core.text import text
from core.views.cards import Attachment, Card, Tone, line, refusal, said

DEFAULT_CHART_SPAN = timedelta(hours=1)
LONGEST_CHART_SPAN = timedelta(days=30)
LEAST_POINTS = 2
MOST_POINTS = 1500
DRAWING_LIMIT_S = 40.0
CHART_LABELS = ("cpu", "memory", "limit", "network", "disk", "in", "out", "read", "write", "per_second")
CHART_SPANS_OFFERED = ("1h", "6h", "1d", "7d")
PROJECT = Path(__file__).resolve().parents[2]
_drawing = asyncio.Semaphore(1)


@command("metrics", family="look", role=Role.VIEWER)
async def metrics(ask: CommandContext) -> CommandReply:
    """Show a chart of a service's resources."""
    span, names = take_time_span(ask.words.split())
    found = which_container(ask, " ".join(names))
    if isinstance(found, Card):
        return found
    if not ask.may(Role.VIEWER, found.stack):
        return refusal(Role.VIEWER)
    wanted = min(max(span or DEFAULT_CHART_SPAN, timedelta(minutes=5)), LONGEST_CHART_SPAN)
    return Later(work=lambda: _chart(ask, found, wanted), is_upload=True)


async def _chart(ask: CommandContext, container: Container, span: timedelta) -> CommandReply:
    points = await ask.face.series.read(container.ref, ask.now - span, ask.now)
    name = container.title
    if len(points) < LEAST_POINTS:
        return said(text("metrics.none", name=name), Tone.OFF)
    data = await _data(ask, container, name, _thinned(points))
    async with _drawing:
        picture = await draw_in_subprocess(data)
    last = points[-1]
    message = text(
        "metrics.caption",
        name=name,
        span=duration(span),
        cpu=round(last.cpu_pct, 1),
        memory=round(last.memory_bytes / 2**20),
        limit=round(last.memory_limit_bytes / 2**20),
    )
    options = [ReplyOption(label=one, words=f"{container.ref} {one}") for one in CHART_SPANS_OFFERED]
    chart = Attachment(name=f"{container.name}.png", content=picture, is_picture=True)
    return Card(blocks=(line(message),), buttons=choices(ask, "", options, per_row=4).buttons, attachment=chart)


async def _data(ask: CommandContext, container: Container, name: str, points: Sequence[SeriesPoint]) -> ChartData:
    since = points[0].at
    recent = await ask.face.incidents.recent(50, stack=container.stack, since=since)
    marks = [
        ChartMark(at_s=one.occurred_at.timestamp(), label=f"#{one.id}")
        for one in recent
        if one.service == container.service
    ]
    begin = clock_time(points[0].at, ask.now, ask.zone)
    end = clock_time(points[-1].at, ask.now, ask.zone)
    return ChartData(
        title=name,
        subtitle=f"{begin} – {end} · {container.host}",
        zone=str(ask.zone),
        labels={word: ask.face.texts.render(text(f"metrics.word.{word}"), ask.language) for word in CHART_LABELS},
        at_s=[one.at.timestamp() for one in points],
        cpu_pct=[one.cpu_pct for one in points],
        memory_bytes=[one.memory_bytes for one in points],
        memory_limit_bytes=[one.memory_limit_bytes for one in points],
        network_rx_bytes=[one.network_rx_bytes for one in points],
        network_tx_bytes=[one.network_tx_bytes for one in points],
        disk_read_bytes=[one.disk_read_bytes for one in points],
        disk_write_bytes=[one.disk_write_bytes for one in points],
        marks=marks,
    )


def _thinned(points: Sequence[SeriesPoint]) -> Sequence[SeriesPoint]:
    """Thin out to about `MOST_POINTS` points: more cannot be seen in the chart."""
    step = max(1, -(-len(points) // MOST_POINTS))
    return [*points[:-1:step], points[-1]]


async def draw_in_subprocess(data: ChartData) -> bytes:
    """Draw the chart in a process of its own; raises TimeLimitExceeded when it takes too long."""
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot.rendering.charts",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=PROJECT,
    )
    try:
        async with asyncio.timeout(DRAWING_LIMIT_S):
            picture, problem = await program.communicate(data.to_json().encode())
    except TimeoutError as error:
        message = text("metrics.too_slow", seconds=round(DRAWING_LIMIT_S))
        raise TimeLimitExceeded(
            "the chart drawing", f"it took longer than {DRAWING_LIMIT_S:.0f} s", message=message
        ) from error
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
    if program.returncode != 0:
        last = problem.decode("utf-8", "replace").strip().rsplit("\n", 1)[-1][:200]
        last = last or f"exit code {program.returncode}"
        raise SystemUnavailable("the chart drawing", last, message=text("metrics.not_drawn", problem=last))
    return picture
