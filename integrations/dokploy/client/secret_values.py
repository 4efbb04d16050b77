"""Values that must not be shown by accident: Dokploy sends environments, files, tokens and keys in clear."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Generic, TypeVar, get_args, overload

from pydantic import BaseModel, GetCoreSchemaHandler, SerializationInfo
from pydantic_core import CoreSchema, core_schema

from core.redaction import MASK, is_secret_name, redact

T = TypeVar("T")

_REVEALED = object()
"""Context under which `raw_of` writes a row; no other code can ask for it."""

_SECRET_FIELDS = frozenset(
    {"env", "previewenv", "buildargs", "previewbuildargs", "composefile", "errormessage", "fullcontext", "content"}
    | {"github", "gitlab", "bitbucket", "gitea", "headers", "webhookurl", "customgiturl"}
    | {"command", "args", "cmd", "entrypoint", "script"}
)
"""Fields of Dokploy and of `docker inspect` that hold secrets though their names do not show it."""
_SECRET_LABEL = re.compile(r"basicauth|digestauth", re.IGNORECASE)


class Secret(Generic[T]):
    """Value that shows as [secret] wherever it is printed, logged or dumped; `reveal` returns it.

    What is empty shows as empty: that there is nothing is no secret.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def __repr__(self) -> str:
        return f"Secret({self._shown()!r})"

    def __str__(self) -> str:
        return str(self._shown())

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and bool(self._value == other._value)

    def __hash__(self) -> int:
        return hash(repr(self._value))

    def __copy__(self) -> Secret[T]:
        return self

    def __deepcopy__(self, memo: object) -> Secret[T]:
        return self

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not written down; reveal it where it is needed")

    def _shown(self) -> object:
        return MASK if self._value else self._value

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        (inner,) = get_args(source) or (Any,)

        def wrapped(value: Any, validate: core_schema.ValidatorFunctionWrapHandler) -> Secret[Any]:
            return cls(validate(reveal(value) if isinstance(value, Secret) else value))

        return core_schema.no_info_wrap_validator_function(
            wrapped,
            handler.generate_schema(inner),
            serialization=core_schema.plain_serializer_function_ser_schema(_written, info_arg=True),
        )


@overload
def reveal(secret: Secret[T]) -> T: ...


@overload
def reveal(secret: Secret[T] | None) -> T | None: ...


def reveal(secret: Secret[T] | None) -> T | None:
    """Return the value itself. The caller is responsible for where it goes."""
    return None if secret is None else secret._value


def unmasked(row: BaseModel) -> dict[str, Any]:
    """Return the row as Dokploy sent it: its own names, unknown fields, and every secret in clear."""
    dumped = row.model_dump(by_alias=True, exclude_unset=True, context={"reveal": _REVEALED})
    return {name: _as_sent(value) for name, value in dumped.items()}


def _as_sent(value: Any) -> Any:
    """Return the value as JSON had it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, dict):
        return {name: _as_sent(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_sent(item) for item in value]
    return value


@lru_cache(maxsize=4096)
def is_secret_field(name: str) -> bool:
    """Return whether a field of that name is hidden if no model declares it. Ids never are."""
    if name.endswith(("Id", "Ids", "_id")):
        return False
    return name.casefold() in _SECRET_FIELDS or is_secret_name(name) or bool(_SECRET_LABEL.search(name))


def hide_secrets(name: str, value: Any) -> Any:
    """Return the value of an undeclared field with every secret in it hidden, recognised by name or form."""
    if value is None or isinstance(value, bool | Secret) or value in ("", [], {}):
        return value
    if is_secret_field(name):
        return Secret(value)
    if isinstance(value, dict):
        return {key: hide_secrets(str(key), item) for key, item in value.items()}
    if isinstance(value, list):
        return [hide_secrets("", item) for item in value]
    if isinstance(value, str) and len(value) >= 8 and redact(value) != value:
        return Secret(value)
    return value


def dump_undeclared(value: Any, info: SerializationInfo) -> Any:
    """Dump an undeclared value, with [secret] where `hidden` wrapped it."""
    if isinstance(value, Secret):
        return _written(value, info)
    if isinstance(value, dict):
        return {key: dump_undeclared(item, info) for key, item in value.items()}
    if isinstance(value, list):
        return [dump_undeclared(item, info) for item in value]
    return value


def _written(secret: Secret[Any], info: SerializationInfo) -> Any:
    is_revealed = isinstance(info.context, dict) and info.context.get("reveal") is _REVEALED
    return reveal(secret) if is_revealed else secret._shown()
