"""What is wrong with a Compose file, in words that never quote a value: values may be secret."""

from __future__ import annotations

import re
from collections.abc import Iterable

from core.errors import ActionFailed, closest
from core.redaction import redact

_NAME = re.compile(r"[A-Za-z0-9_./<-][A-Za-z0-9_. /<-]{0,63}")


class ComposeFileError(ActionFailed):
    """The Compose file cannot be read, or not be changed as asked; nothing was changed."""

    def __init__(
        self, problem: str, *, line: int | None = None, column: int | None = None, variable: str | None = None
    ) -> None:
        self.problem = problem
        """What is wrong and the next step, without the place."""
        self.line = line
        """Counted from 1."""
        self.column = column
        """Counted from 1."""
        self.variable = variable
        """The environment variable that holds what was to be changed: change it there."""
        where = f", line {line}, column {column}" if line is not None else ""
        super().__init__(f"the compose file{where}: {problem}")


def named(name: str) -> str:
    """The name of a key or service for a message; one that looks like a secret or like no name is left out."""
    return repr(name) if _NAME.fullmatch(name) and redact(name) == name else "(a name not shown here)"


def no_service(name: str, known: Iterable[str]) -> ComposeFileError:
    """The error for a service that the file does not have, with the nearest name."""
    names = sorted(known)
    near = closest(name, names)
    if near is not None:
        hint = f"did you mean {named(near)}?"
    elif names:
        hint = f"it has {', '.join(named(one) for one in names[:8])}{', …' if len(names) > 8 else ''}"
    else:
        hint = "it has none"
    return ComposeFileError(f"there is no service {named(name)}; {hint}")
