"""Every table says how long its rows are kept; every number of it is a setting that something heeds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.settings import RetentionSettings
from knowledge.retention import RETENTION, Cutoffs
from knowledge.table_types import metadata

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_every_table_has_a_stated_retention() -> None:
    silent = sorted(set(metadata.tables) - set(RETENTION))
    assert not silent, "say in knowledge/retention.py how long their rows are kept"
    assert not sorted(set(RETENTION) - set(metadata.tables)), "there are no such tables"
    assert not [name for name, one in RETENTION.items() if len(one.why.split()) < 3]


def test_rows_that_are_never_cleaned_up_are_bounded_otherwise() -> None:
    bounds = ("kept:", "with their call", "forgotten where", "trimmed where", "as long as there are")
    unbounded = [name for name, one in RETENTION.items() if one.due is None and not any(b in one.why for b in bounds)]
    assert not unbounded


@pytest.mark.parametrize("setting", list(RetentionSettings.model_fields))
def test_each_number_of_days_decides_over_some_table(setting: str) -> None:
    short = Cutoffs.at(NOW, RetentionSettings.model_validate({setting: 200}))
    usual = Cutoffs.at(NOW, RetentionSettings())
    changed = [
        name
        for name, one in RETENTION.items()
        if one.due is not None and one.due(short).compile().params != one.due(usual).compile().params
    ]
    named = [name for name, one in RETENTION.items() if setting in one.why]
    assert set(named) & set(changed), f"nothing is kept by retention.{setting}"
    assert getattr(usual, setting.removesuffix("_days")) == NOW - timedelta(days=getattr(RetentionSettings(), setting))
