"""Writes the core's dataclasses as plain JSON and reads them back strictly."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from core.errors import GuardianError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")


class RecordUnreadable(GuardianError):
    """A stored record does not have the shape that this version writes; the message names the record and the field."""


_adapters: dict[type, TypeAdapter[object]] = {}  # built once each: it costs some ten milliseconds


def _adapter(kind: type) -> TypeAdapter[object]:
    from pydantic import TypeAdapter

    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def build_adapters(*kinds: type) -> None:
    """Build the adapters of these kinds; blocks some ten milliseconds each, so call it in a thread."""
    for kind in kinds:
        _adapter(kind)


def encode_record(value: object) -> str:
    """Encode a dataclass of the core as JSON text."""
    return _adapter(type(value)).dump_json(value).decode()


def decode_record(kind: type[T], raw: str, *, what: str) -> T:
    """Decode the text of `pack`; raises RecordUnreadable, naming `what`, if a field is missing or has another type."""
    from pydantic import ValidationError

    try:
        return cast("T", _adapter(kind).validate_json(raw, strict=True))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RecordUnreadable(
            f"the record of {what} cannot be read: {where or 'it'}: {first['msg'].lower()}; "
            "was it written by a newer version? Restore a backup or use that version"
        ) from error
