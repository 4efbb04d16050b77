"""Text for people, as keys with values; rendered in a language only when it is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue

Language = Literal["en", "es"]
LANGUAGES: tuple[Language, ...] = ("en", "es")

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Text:
    """A sentence of the catalogue `core/texts/<language>/*.yml` with the values that fill it.

    A value may be a Text itself; it is rendered in the same language.
    """

    key: str
    values: Mapping[str, Value | Text] = field(default_factory=dict)

    def to_json(self) -> dict[str, JsonValue]:
        """Return plain JSON, read back by `from_json`."""
        values: dict[str, JsonValue] = {
            name: value.to_json() if isinstance(value, Text) else value for name, value in self.values.items()
        }
        return {"text": self.key, "values": values}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Text:
        """Return the Text that `to_json` wrote."""
        raw = data.get("values")
        values: dict[str, Value | Text] = {}
        for name, value in raw.items() if isinstance(raw, Mapping) else ():
            if isinstance(value, Mapping):
                values[name] = cls.from_json(value)
            elif value is None or isinstance(value, str | int | float | bool):
                values[name] = value
        return cls(str(data["text"]), values)


def text(key: str, /, **values: Value | Text) -> Text:
    """Return a Text, in short: `text("approval.expired")`."""
    return Text(key, values)


def with_values(message: Text, change: Callable[[str], str]) -> Text:
    """Return the same sentence with `change` applied to every string among its values, for example a redactor."""
    values: dict[str, Value | Text] = {}
    for name, value in message.values.items():
        if isinstance(value, Text):
            values[name] = with_values(value, change)
        else:
            values[name] = change(value) if isinstance(value, str) else value
    return Text(message.key, values)


def bilingual(en: str, es: str) -> Text:
    """Return a sentence that is data (a runbook's own words) and carries both languages itself."""
    return Text("data.bilingual", {"en": en, "es": es})


class Texts:
    """All sentences of all languages; built from the files by the composition root."""

    def __init__(self, catalogue: Mapping[Language, Mapping[str, str]]) -> None:
        self._catalogue = catalogue

    def keys(self, language: Language) -> set[str]:
        """Return every key that a language has."""
        return set(self._catalogue[language])

    def has(self, key: str) -> bool:
        """Return whether the sentence exists."""
        return key in self._catalogue["en"]

    def pattern(self, key: str, language: Language) -> str:
        """Return the sentence with its placeholders, falling back to English, then to the key itself."""
        return self._catalogue[language].get(key) or self._catalogue["en"].get(key, key)

    def render(self, text: Text | str, language: Language) -> str:
        """Return the sentence in `language`; a plain string is returned as it is."""
        if isinstance(text, str):
            return text
        if text.key == "data.bilingual":
            return str(text.values.get(language) or text.values.get("en") or "")
        values = {
            name: _ShownValues(self.render(value, language) if isinstance(value, Text) else _plain(value))
            for name, value in text.values.items()
        }
        return self.pattern(text.key, language).format_map(_Gaps(values))


class _ShownValues(str):
    """A value in a placeholder: `{count:service|services}` writes it with the noun that goes with that number."""

    __slots__ = ()

    def __format__(self, nouns: str) -> str:
        one, has_nouns, many = nouns.partition("|")
        return f"{self!s} {one if self == '1' else many}" if has_nouns else str(self)


class _Gaps(dict[str, _ShownValues]):
    def __missing__(self, name: str) -> _ShownValues:
        return _ShownValues("–")


def _plain(value: Value) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.1f}".rstrip("0").rstrip(".")
    return str(value)
