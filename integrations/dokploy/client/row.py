"""What every answer of Dokploy has in common: unknown fields are kept, secrets are hidden, no input is quoted."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainSerializer, model_validator
from pydantic.alias_generators import to_camel, to_pascal

from integrations.dokploy.client.secret_values import hidden, written

Kept = Annotated[Any, PlainSerializer(written)]
"""A value no model declares."""


class Row(BaseModel):
    """An object of Dokploy's. Fields have Python's names here and Dokploy's in `raw_of`; others are kept beside them.

    Everything that some call leaves out has a default: the same thing comes with more or fewer fields.
    """

    __pydantic_extra__: dict[str, Kept]
    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
        coerce_numbers_to_str=True,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )

    @model_validator(mode="before")
    @classmethod
    def _hide_undeclared(cls, data: Any) -> Any:
        """Wrap secrets that no field declares; a null where a field has a default means the default."""
        if not isinstance(data, dict):
            return data
        declared, never_null = _names_of(cls)
        return {
            key: value if key in declared else hidden(str(key), value)
            for key, value in data.items()
            if value is not None or key not in never_null
        }


@cache
def _names_of(model: type[Row]) -> tuple[frozenset[str], frozenset[str]]:
    """The names under which its fields come, and those of them that have a default other than None."""
    fields = model.model_fields.items()
    never_null = {name for name, field in fields if not field.is_required() and field.get_default() is not None}
    never_null |= {name for name, field in fields if field.default_factory is not None}
    aliases = {name: field.alias or name for name, field in fields}
    return (
        frozenset({*aliases, *aliases.values()}),
        frozenset({*never_null, *(aliases[name] for name in never_null)}),
    )


class DockerRow(Row):
    """An object of Docker's that Dokploy passes on; its names begin with a capital."""

    model_config = ConfigDict(alias_generator=to_pascal)


class Word(StrEnum):
    """A word of a fixed list; a newer Dokploy's new word reads as `unknown` where the list has one."""

    @classmethod
    def _missing_(cls, value: object) -> Word | None:
        return cls.__members__.get("UNKNOWN")
