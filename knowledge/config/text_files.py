"""Loads the texts that people read: `core/texts/<language>/*.yml`, nested mappings whose keys join with dots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import yaml

from core.errors import SettingsError
from core.text import LANGUAGES, Language, Texts

TEXTS_DIR = Path(__file__).resolve().parents[2] / "core" / "texts"


@cache
def load_texts() -> Texts:
    """Load all texts of all languages; raises SettingsError naming an unreadable file or a duplicate key."""
    return Texts({language: _language(language) for language in LANGUAGES})


def _language(language: Language) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted((TEXTS_DIR / language).glob("*.yml")):
        try:
            content = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        except (OSError, yaml.YAMLError) as error:
            raise SettingsError(f"the text file {path.name!r} ({language}) cannot be read: {error}") from error
        for key, sentence in _flat(content or {}, ""):
            if key in found:
                raise SettingsError(f"the key {key!r} appears twice ({language}, second time in {path.name!r})")
            found[key] = sentence
    return found


def _flat(node: Mapping[str, object], stem: str) -> Iterator[tuple[str, str]]:
    for name, value in node.items():
        key = f"{stem}.{name}" if stem else str(name)
        if isinstance(value, Mapping):
            yield from _flat(value, key)
        else:
            yield key, str(value).rstrip("\n")
