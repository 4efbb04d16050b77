"""Data on the Bot API wire: JSON objects, arguments of a call, and errors in the server's own words."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
"""A Bot API object as documented at https://core.telegram.org/bots/api; the protocol defines its shape."""


class ApiError(Exception):
    """Refusal of a call by the Bot API: status code, description, and the optional `parameters` object."""

    def __init__(self, code: int, description: str, parameters: Json | None = None) -> None:
        super().__init__(f"{code} {description}")
        self.code = code
        self.description = description
        self.parameters = parameters

    def body(self) -> Json:
        """Return the JSON body that goes with status `code`."""
        body: Json = {"ok": False, "error_code": self.code, "description": self.description}
        if self.parameters:
            body["parameters"] = self.parameters
        return body


def bad_request(description: str, parameters: Json | None = None) -> ApiError:
    """Return the 400 refusal with Telegram's prefix before `description`."""
    return ApiError(400, f"Bad Request: {description}", parameters)


def forbidden(description: str) -> ApiError:
    """Return the 403 refusal with Telegram's prefix before `description`."""
    return ApiError(403, f"Forbidden: {description}")


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file that arrived as a multipart part."""

    filename: str
    content_type: str
    content: bytes


class CallArguments:
    """Arguments of one call, however they were sent: query, form, multipart or JSON."""

    def __init__(self, values: Mapping[str, str], uploads: Mapping[str, Upload] | None = None) -> None:
        self.values = dict(values)
        self.uploads = dict(uploads or {})

    def text(self, name: str, default: str = "") -> str:
        return self.values.get(name, default)

    def integer(self, name: str, default: int = 0) -> int:
        """Return the argument as a number; like the real server, treat anything that is no number as absent."""
        try:
            return int(self.values.get(name, ""))
        except ValueError:
            return default

    def flag(self, name: str) -> bool:
        return self.values.get(name, "").lower() in {"true", "1", "yes", "t", "y"}

    def parsed(self, name: str, what: str = "") -> Any:
        """Return the JSON value of an argument, or None when it is absent or empty."""
        raw = self.values.get(name, "")
        if not raw:
            return None
        try:
            return json.loads(raw)
        except ValueError as error:
            raise bad_request(f"can't parse {what or name} JSON object") from error

    def objects(self, name: str, what: str = "") -> list[Json]:
        """Return a JSON array of objects, [] when absent."""
        value = self.parsed(name, what)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise bad_request(f"can't parse {what or name}: expected an Array of Objects")
        return value

    def object(self, name: str, what: str = "") -> Json | None:
        """Return a JSON object, None when absent."""
        value = self.parsed(name, what)
        if value is not None and not isinstance(value, dict):
            raise bad_request(f"can't parse {what or name}: expected an Object")
        return value


def as_argument(value: object) -> str:
    """Return a value of a JSON body as a form would have carried it."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
