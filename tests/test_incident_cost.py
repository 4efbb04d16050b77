"""What one incident costs the database and the chat, by counts."""

from __future__ import annotations

from bench.bench_incident_cost import READ_LIMIT, RENDER_LIMIT, WRITE_LIMIT, measure_cost


async def test_an_incident_costs_few_reads_writes_and_renders() -> None:
    cost = await measure_cost(poll_s=2.0)
    assert cost.renders <= RENDER_LIMIT
    assert cost.reads <= READ_LIMIT
    assert cost.writes <= WRITE_LIMIT
    assert 4 <= cost.calls <= 12
