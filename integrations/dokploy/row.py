"""What every answer of Dokploy has in common: unknown fields are kept, secrets are hidden, no input is quoted."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainSerializer, model_validator
from pydantic.alias_generators import to_camel, to_pascal

from integrations.dokploy.secret import hidden, written

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
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )

    @model_validator(mode="before")
    @classmethod
    def _hide_undeclared(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        declared = cls._declared()
        return {key: value if key in declared else hidden(str(key), value) for key, value in data.items()}

    @classmethod
    def _declared(cls) -> set[str]:
        return {*cls.model_fields, *(field.alias or name for name, field in cls.model_fields.items())}


class DockerRow(Row):
    """An object of Docker's that Dokploy passes on; its names begin with a capital."""

    model_config = ConfigDict(alias_generator=to_pascal)


class Word(StrEnum):
    """A word of a fixed list; a newer Dokploy's new word reads as `unknown` where the list has one."""

    @classmethod
    def _missing_(cls, value: object) -> Word | None:
        return cls.__members__.get("UNKNOWN")
