"""Every sentence that detection says exists in both languages, with every gap filled."""

from __future__ import annotations

import pytest

from core.text import Language
from knowledge.config.text_files import load_texts
from tests.core.scripted_watcher import alerts, snapshot
from tests.core.test_detectors import ENDINGS


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("case", ENDINGS)
def test_an_alert_sentence_is_complete_in_both_languages(case: str, language: Language) -> None:
    ended, events, _, _ = ENDINGS[case]
    for alert in alerts(snapshot(12, [ended], events)):
        said = load_texts().render(alert.message, language)
        assert "–" not in said
        assert "{" not in said
        assert said.startswith("shop/api")
        assert said.endswith(".")
