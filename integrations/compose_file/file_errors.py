"""Errors in a Compose file, worded so that they never quote a value: values may be secret."""

from __future__ import annotations

import re
from collections.abc import Iterable

from core.errors import ActionFailed, closest
from core.redaction import redact
from core.text import Text, text

_NAME = re.compile(r"[A-Za-z0-9_./<-][A-Za-z0-9_. /<-]{0,63}")


class ComposeFileError(ActionFailed):
    """The Compose file cannot be read, or not be changed as asked; nothing was changed."""

    def __init__(
        self,
        problem: str,
        *,
        message: Text,
        line: int | None = None,
        column: int | None = None,
        variable: str | None = None,
    ) -> None:
        """`says`: the problem for people; line and column are put before it."""
        self.problem = problem
        """The problem and the next step, without line and column."""
        self.line = line
        """Counted from 1."""
        self.column = column
        """Counted from 1."""
        self.variable = variable
        """The environment variable that holds the value: change it there."""
        where = f", line {line}, column {column}" if line is not None else ""
        super().__init__(f"the compose file{where}: {problem}", message=_placed(message, line, column))


def _placed(message: Text, line: int | None, column: int | None) -> Text:
    if line is None:
        return text("compose_error.somewhere", problem=message)
    return text("compose_error.at", line=line, column=column, problem=message)


def quoted_name(name: str) -> str:
    """Return the name of a key or service for a message; left out when it looks like a secret or is no valid name."""
    return repr(name) if _NAME.fullmatch(name) and redact(name) == name else "(a name not shown here)"


def name_for_people(name: str) -> Text | str:
    """Return the name for a message to people, hidden in the same cases."""
    return name if quoted_name(name) == repr(name) else text("compose_error.name_hidden")


def unknown_service_error(name: str, known: Iterable[str]) -> ComposeFileError:
    """Return the error for a service that the file does not have, with the nearest name."""
    names = sorted(known)
    near = closest(name, names)
    if near is not None:
        hint = f"did you mean {quoted_name(near)}?"
        message = text("compose_error.no_service_near", service=name_for_people(name), near=name_for_people(near))
    elif names:
        known = f"{', '.join(quoted_name(one) for one in names[:8])}{', …' if len(names) > 8 else ''}"
        hint = f"it has {known}"
        message = text("compose_error.no_service", service=name_for_people(name), known=known.replace("'", ""))
    else:
        hint = "it has none"
        message = text("compose_error.no_services", service=name_for_people(name))
    return ComposeFileError(f"there is no service {quoted_name(name)}; {hint}", message=message)
