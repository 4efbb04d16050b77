"""Base of every answer of Dokploy: unknown fields are kept, secrets are hidden, no input is quoted."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainSerializer, model_validator
from pydantic.alias_generators import to_camel, to_pascal

from integrations.dokploy.client.secret_values import dump_undeclared, hide_secrets

UndeclaredValue = Annotated[Any, PlainSerializer(dump_undeclared)]
"""Value of a field that no model declares."""


class DokployRow(BaseModel):
    """Object of Dokploy's API, with Python's field names (Dokploy's in `raw_of`); unknown fields are kept beside them.

    A field that some call leaves out has a default: the same object comes with more or fewer fields.
    """

    __pydantic_extra__: dict[str, UndeclaredValue]
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
        """Hide secrets that no field declares, and replace null by the default where a field has one."""
        if not isinstance(data, dict):
            return data
        declared, never_null = _names_of(cls)
        return {
            key: value if key in declared else hide_secrets(str(key), value)
            for key, value in data.items()
            if value is not None or key not in never_null
        }


@cache
def _names_of(model: type[DokployRow]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the wire names of its fields, and those with a default other than None."""
    fields = model.model_fields.items()
    never_null = {name for name, field in fields if not field.is_required() and field.get_default() is not None}
    never_null |= {name for name, field in fields if field.default_factory is not None}
    aliases = {name: field.alias or name for name, field in fields}
    return (
        frozenset({*aliases, *aliases.values()}),
        frozenset({*never_null, *(aliases[name] for name in never_null)}),
    )


class DockerRow(DokployRow):
    """Object of Docker's that Dokploy passes on; its field names begin with a capital."""

    model_config = ConfigDict(alias_generator=to_pascal)


class LenientStrEnum(StrEnum):
    """Value of a fixed list; a value added by a newer Dokploy reads as `unknown` if the list has one."""

    @classmethod
    def _missing_(cls, value: object) -> LenientStrEnum | None:
        return cls.__members__.get("UNKNOWN")
