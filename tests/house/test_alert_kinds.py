"""Every kind of alert has its row, its detector, and its words in both languages."""

from __future__ import annotations

import pytest

from core.incidents.alert_kinds import ALERT_KINDS, AlertKind, AlertScope
from core.text import Language
from integrations.docker_engine.detectors import DETECTORS as ENGINE_DETECTORS
from integrations.dokploy.detectors import DOKPLOY_DETECTORS as PLATFORM_DETECTORS
from knowledge.config.text_files import load_texts

ENGINE_SCOPES = {AlertScope.CONTAINER, AlertScope.HOST}


def test_every_kind_has_a_row() -> None:
    assert set(ALERT_KINDS) == set(AlertKind)


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("kind", AlertKind)
def test_every_kind_has_its_words(kind: AlertKind, language: Language) -> None:
    keys = load_texts().keys(language)
    assert f"runbooks.event.{kind}" in keys
    assert any(key == f"alert.{kind}" or key.startswith(f"alert.{kind}.") for key in keys)


def test_every_kind_is_raised_by_one_detector_of_its_side() -> None:
    engine = [detector.raises for detector in ENGINE_DETECTORS]
    platform = [detector.raises for detector in PLATFORM_DETECTORS]
    by_the_watch_itself = AlertKind.DETECTOR_FAILED
    assert sorted([*engine, *platform, by_the_watch_itself]) == sorted(AlertKind)
    of_engines = {kind for kind in AlertKind if kind.traits.scope in ENGINE_SCOPES}
    assert of_engines - {by_the_watch_itself} == set(engine)


def test_the_rows_do_not_contradict_themselves() -> None:
    for kind, traits in ALERT_KINDS.items():
        assert not (traits.stands_apart and (traits.can_cause or traits.can_be_caused)), kind
        assert not (traits.is_unreachable and not traits.stands_apart), kind
        assert not (traits.is_bad_deploy and not traits.is_about_deploys), kind
        assert traits.detector == "state" or not traits.repeats, kind
