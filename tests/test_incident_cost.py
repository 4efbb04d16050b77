"""What one incident costs the database and the chat, by counts."""

from __future__ import annotations

from bench.bench_incident_cost import READ_LIMIT, RENDER_LIMIT, WRITE_LIMIT, measure

WRITES_OF_LOOKS = 14
"""A look at the repair moves its run twice, as long as looks are not made inside the run."""


async def test_an_incident_costs_few_reads_writes_and_renders() -> None:
    """Few looks at the repair here: what a look costs is the benchmark's to show."""
    cost = await measure(poll_s=15.0)
    assert cost.renders <= RENDER_LIMIT
    assert cost.reads <= READ_LIMIT
    assert cost.writes <= WRITE_LIMIT + WRITES_OF_LOOKS
    assert 4 <= cost.calls <= 12
