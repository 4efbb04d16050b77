"""Reads what Dokploy answered into the models, quoting nothing of it when it does not fit."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from integrations.dokploy.failures import Reply, Request, unreadable

T = TypeVar("T")
NAMED_PLACES = 5
"""Fields that do not fit and are named in an error."""


def read(reply: Reply, request: Request, answer: type[T], url: str) -> T:
    """The content as the model; AnswerUnreadable names the fields that do not fit."""
    if not reply.content.strip():
        raise unreadable(reply, request, url, "nothing came")
    try:
        return cast(T, _adapter(cast(Any, answer)).validate_python(json.loads(reply.content)))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        places = {".".join(str(part) for part in one["loc"]) or "all of it" for one in found}
        wrong = f"{', '.join(sorted(places)[:NAMED_PLACES])} in place of {_name(answer)}"
    except ValueError:
        wrong = "no JSON"
    # Outside of the handler: the error in hand quotes what it did not like, and that may be a secret.
    raise unreadable(reply, request, url, wrong)


@cache
def _adapter(answer: Any) -> TypeAdapter[Any]:
    return TypeAdapter(answer)


def _name(answer: Any) -> str:
    return str(answer).rpartition(".")[2].removesuffix("'>").removesuffix("]")
