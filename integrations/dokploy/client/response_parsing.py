"""Parses Dokploy's answers into the models, without quoting content that does not fit."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, TypeVar, cast

import structlog
from pydantic import TypeAdapter, ValidationError

from integrations.dokploy.client.dokploy_errors import AnswerUnreadable, HttpResponse, Request, answer_unreadable

T = TypeVar("T")
log = structlog.get_logger(__name__)
_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
NAMED_FIELDS_LIMIT = 5
"""Most invalid fields named in an error."""


def parse_reply(reply: HttpResponse, request: Request, answer: type[T], url: str) -> T:
    """Return the content as the model; AnswerUnreadable names the invalid fields."""
    if not reply.content.strip():
        raise answer_unreadable(reply, request, url, "nothing came")
    try:
        return cast(T, _adapter(cast(Any, answer)).validate_python(_parsed(reply.content)))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        places = {".".join(str(part) for part in one["loc"]) or "all of it" for one in found}
        wrong = f"{', '.join(sorted(places)[:NAMED_FIELDS_LIMIT])} in place of {_name(answer)}"
    except ValueError:
        wrong = "no JSON"
    # Outside of the handler: the error in hand quotes what it did not like, and that may be a secret.
    raise answer_unreadable(reply, request, url, wrong)


def parse_rows(reply: HttpResponse, request: Request, row: type[T], url: str) -> list[T]:
    """Return the rows of a list that fit the model; raises AnswerUnreadable if none does, or if it is no list."""
    try:
        return parse_reply(reply, request, list[row], url)  # type: ignore[valid-type]
    except AnswerUnreadable:
        found = _listed(reply.content)
        fitting = [one for raw in found if (one := _fitting(raw, row)) is not None]
        if not fitting:
            raise
    log.warning("rows of an answer do not fit", procedure=request.procedure, left_out=len(found) - len(fitting))
    return fitting


def _listed(content: bytes) -> list[Any]:
    try:
        found = _parsed(content)
    except ValueError:
        return []
    return found if isinstance(found, list) else []


def _fitting(raw: Any, row: type[T]) -> T | None:
    try:
        return cast(T, _adapter(cast(Any, row)).validate_python(raw))
    except ValidationError:
        return None


def _parsed(content: bytes) -> Any:
    """Parse the content; a lone surrogate (half of a cut emoji) becomes a question mark: no text can hold it."""
    try:
        found = json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if _LONE_SURROGATE.search(content):
        found = json.loads(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))
    return found


@cache
def _adapter(answer: Any) -> TypeAdapter[Any]:
    return TypeAdapter(answer)


def _name(answer: Any) -> str:
    return str(answer).rpartition(".")[2].removesuffix("'>").removesuffix("]")
