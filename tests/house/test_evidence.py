"""Every fact that a card may show has a name in both languages, and so has every word that it can be."""

from __future__ import annotations

from agent.incident.evidence.known_evidence import KNOWN_VALUES, known_evidence
from core.incidents.evidence import WORD_FAMILIES, name_key, word_key
from knowledge.config.text_files import load_texts


def test_every_fact_has_a_name_in_both_languages() -> None:
    keys = load_texts().keys("en") & load_texts().keys("es")
    unnamed = [name for name in known_evidence() if name_key(name) not in keys]
    assert not unnamed


def test_no_fact_name_is_unused() -> None:
    named = {key.removeprefix("evidence.name.") for key in load_texts().keys("en") if key.startswith("evidence.name.")}
    assert named == set(known_evidence())


def test_every_word_of_a_fixed_list_is_worded_in_both_languages() -> None:
    keys = load_texts().keys("en") & load_texts().keys("es")
    wordless = [
        f"{path}: {word}"
        for path, words in KNOWN_VALUES.items()
        if path.startswith("evidence.")
        for word in words
        if word_key(path.removeprefix("evidence."), word) not in keys
    ]
    assert not wordless


def test_only_known_facts_have_words() -> None:
    assert set(WORD_FAMILIES) <= set(known_evidence())
