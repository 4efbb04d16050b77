"""What a procedure is: its name, its fields, the right it takes, and how it refuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    from tests.standins.dokploy.keys import Member
    from tests.standins.dokploy.stage import Stage

Json = dict[str, Any]
Kind = Literal["string", "number", "boolean", "any"]
HTTP_STATUS = {
    "BAD_REQUEST": 400,
    "UNAUTHORIZED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "CONFLICT": 409,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "INTERNAL_SERVER_ERROR": 500,
}


class Nothing:
    """An answer of 200 without a body; `None` is the answer `null`."""


NOTHING = Nothing()


class Refusal(Exception):
    """An answer that is an error, in tRPC's form."""

    def __init__(self, code: str, message: str, *, issues: list[Json] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.issues = issues

    def body(self, path: str | None) -> Json:
        """As Dokploy sends it; an unknown procedure has no path."""
        zod: Json | None = None
        if self.issues is not None:
            fields: dict[str, list[str]] = {}
            for issue in self.issues:
                fields.setdefault(str(issue["path"][0]), []).append(issue["message"])
            zod = {"formErrors": [], "fieldErrors": fields}
        data: Json = {"code": self.code, "httpStatus": HTTP_STATUS[self.code]}
        if path is not None:
            data["path"] = path
        whole: Json = {"message": self.message, "code": self.code, "data": {**data, "zodError": zod}}
        return whole if self.issues is None else {**whole, "issues": self.issues}


def not_found(what: str) -> Refusal:
    """`Compose not found`"""
    return Refusal("NOT_FOUND", f"{what} not found")


def no_right(resource: str) -> Refusal:
    """The key is good, its user may not."""
    return Refusal("UNAUTHORIZED", f'unauthorized to access resource "{resource}"')


def failed(command_and_error: str) -> Refusal:
    """A shell command failed: Dokploy answers with the whole of it."""
    return Refusal("INTERNAL_SERVER_ERROR", f"Command execution failed: {command_and_error}")


@dataclass(frozen=True, kw_only=True)
class Field:
    """One input; what is not declared is dropped silently."""

    name: str
    kind: Kind = "string"
    is_required: bool = True
    choices: tuple[str, ...] = ()
    missing: str = "string"
    """What the complaint about its absence says was expected."""

    def taken(self, given: Json, issues: list[Json]) -> Any:
        """The value in its type; a complaint goes into `issues`."""
        value = given.get(self.name)
        if self.name not in given or (value is None and self.choices):
            if self.is_required:
                issues.append(self._complaint(f"expected {self.missing}, received undefined"))
            return None
        if self.choices and value not in self.choices:
            issues.append(self._wrong_choice())
        elif value is not None and self.kind == "number":
            return self._number(value, issues)
        elif value is not None and self.kind == "boolean" and isinstance(value, str):
            return value == "true"
        elif value is not None and self.kind == "string" and not isinstance(value, str):
            issues.append(self._complaint(f"expected string, received {type(value).__name__}"))
        return value

    def _number(self, value: object, issues: list[Json]) -> int | None:
        try:
            return int(str(value))
        except ValueError:
            issues.append(self._complaint("expected number, received NaN"))
            return None

    def _complaint(self, text: str) -> Json:
        expected = {"expected": self.missing, "code": "invalid_type"}
        return {**expected, "path": [self.name], "message": f"Invalid input: {text}"}

    def _wrong_choice(self) -> Json:
        listed = "|".join(f'"{choice}"' for choice in self.choices)
        message = f"Invalid option: expected one of {listed}"
        return {"code": "invalid_value", "values": list(self.choices), "path": [self.name], "message": message}


def needs(name: str, kind: Kind = "string", *, missing: str = "string") -> Field:
    """A required field."""
    return Field(name=name, kind=kind, missing=missing)


def may(name: str, kind: Kind = "string") -> Field:
    """A field that may be left out."""
    return Field(name=name, kind=kind, is_required=False)


def one_of(name: str, *choices: str, is_required: bool = True) -> Field:
    """An enumeration."""
    return Field(name=name, choices=choices, is_required=is_required)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One accepted call."""

    params: Json
    member: Member

    def __getitem__(self, name: str) -> Any:
        return self.params.get(name)


Handler = Callable[["Stage", Call], Awaitable[object]]
HandlerT = TypeVar("HandlerT", bound=Handler)


class Declare(Protocol):
    """A decorator that leaves its function as it is."""

    def __call__(self, handler: HandlerT) -> HandlerT: ...


@dataclass(frozen=True, kw_only=True)
class Procedure:
    """One entry of the API."""

    method: str
    name: str
    handler: Handler
    fields: tuple[Field, ...] = ()
    right: str | None = None
    """docker, notification, server, service … : what a member must have been given; `owner`: never a member."""
    service: str | None = None
    """The field with the id of a service that the member must have access to."""
    takes_all: bool = False
    """Undeclared fields reach the handler, which picks those that are columns of the row."""

    def params(self, given: Json) -> Json:
        """The declared fields; Refusal when one is missing or wrong."""
        issues: list[Json] = []
        taken = {one.name: one.taken(given, issues) for one in self.fields}
        if issues:
            raise Refusal("BAD_REQUEST", "Input validation failed", issues=issues)
        present = {name: value for name, value in taken.items() if name in given}
        return {**given, **present} if self.takes_all else present


@dataclass(kw_only=True)
class Catalogue:
    """Procedures by name; each file of procedures fills one."""

    procedures: dict[str, Procedure] = field(default_factory=dict)

    def get(self, name: str, *fields: Field, right: str | None = None, service: str | None = None) -> Declare:
        """Declare a query."""
        return self._declare("GET", name, fields, right, service, takes_all=False)

    def post(
        self,
        name: str,
        *fields: Field,
        right: str | None = None,
        service: str | None = None,
        takes_all: bool = False,
    ) -> Declare:
        """Declare a mutation."""
        return self._declare("POST", name, fields, right, service, takes_all=takes_all)

    def _declare(
        self,
        method: str,
        name: str,
        fields: tuple[Field, ...],
        right: str | None,
        service: str | None,
        *,
        takes_all: bool,
    ) -> Declare:
        def declare(handler: HandlerT) -> HandlerT:
            self.procedures[name] = Procedure(
                method=method,
                name=name,
                handler=handler,
                fields=fields,
                right=right,
                service=service,
                takes_all=takes_all,
            )
            return handler

        return declare
