"""Compare what the stand-in answers with what a real Dokploy answered: status, content type, shape, fixed text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.integrations.dokploy.replay import FOLDER, Recording, recordings
from tests.standins.dokploy.caller import Answer, Caller

RECORDINGS = recordings()
OPEN = ("Attributes", "Labels")
"""Keys in these are data of the containers, not part of the form."""


@dataclass(kw_only=True)
class Names:
    """The laboratory's ids and names → the stand-in's."""

    known: dict[str, str] = field(default_factory=dict)

    def add(self, old: str, new: str) -> None:
        """From now on `old` stands for `new`."""
        self.known[old] = new

    def here(self, value: Any) -> Any:
        """The value with the stand-in's names."""
        text = json.dumps(value, ensure_ascii=False)
        for old, new in self.known.items():
            text = text.replace(old, new)
        return json.loads(text)


def raw_request(name: str) -> Mapping[str, Any]:
    """A recorded request word for word."""
    request: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["request"]
    return request


async def replay(caller: Caller, name: str, names: Names) -> Answer:
    """Send a recorded request with the stand-in's names."""
    request = names.here(raw_request(name))
    query = {key: str(value) for key, value in (request.get("query") or {}).items()}
    headers = {key: value for key, value in request.get("headers", {}).items() if key.casefold() != "x-api-key"}
    body = request.get("rawBody")
    if body is None and request["method"] == "POST":
        body = json.dumps(request.get("body") or {})
    path = request["path"]
    return await caller.send(request["method"], path, query=query, body=body, headers=headers)


def differences(name: str, answer: Answer, names: Names, *, is_text_free: bool = False) -> list[str]:
    """How the answer differs; nothing when it is like the recorded one."""
    recording = RECORDINGS[name]
    found = []
    if answer.status != recording.status:
        found.append(f"{name}: status {answer.status}, recorded {recording.status}: {answer.text[:300]}")
    if recording.content_type not in ("text/plain", answer.content_type):
        found.append(f"{name}: content type {answer.content_type!r}, recorded {recording.content_type!r}")
    expected = names.here(_body(recording))
    if recording.status >= 400 and not is_text_free:
        return found if answer.body == expected else [*found, f"{name}: {answer.body!r}, recorded {expected!r}"]
    return [*found, *(f"{name}: {one}" for one in unlike(expected, answer.body, is_text_free=is_text_free))]


def _body(recording: Recording) -> Any:
    answer = recording.answer
    if isinstance(answer, dict) and set(answer) == {"_text"}:
        return answer["_text"] or None
    return answer


def unlike(expected: Any, got: Any, path: str = "$", *, is_text_free: bool = False) -> Iterator[str]:
    """Keys that are missing or too many, other types, and at the top other text. Null is like anything below it."""
    if path == "$" and isinstance(expected, str | bool) and not is_text_free:
        if expected != got:
            yield f"{got!r}, recorded {expected!r}"
    elif path.endswith(OPEN):
        return
    elif isinstance(expected, dict) and isinstance(got, dict):
        yield from _unlike_keys(expected, got, path)
    elif isinstance(expected, list) and isinstance(got, list):
        yield from _unlike_items(expected, got, path)
    elif (expected is None or got is None) and path != "$":
        return
    elif _kind(expected) != _kind(got):
        yield f"{path} is {got!r}, recorded {expected!r}"


def _unlike_keys(expected: dict[str, Any], got: dict[str, Any], path: str) -> Iterator[str]:
    for missing in expected.keys() - got.keys():
        yield f"{path} has no {missing!r}"
    for extra in got.keys() - expected.keys():
        yield f"{path} has {extra!r} which was not recorded"
    for key in expected.keys() & got.keys():
        yield from unlike(expected[key], got[key], f"{path}.{key}")


def _unlike_items(expected: list[Any], got: list[Any], path: str) -> Iterator[str]:
    if bool(expected) != bool(got) and path == "$":
        yield f"{len(got)} items, recorded {len(expected)}"
    for index, item in enumerate(got if expected else []):
        complaints = [list(unlike(one, item, f"{path}[{index}]")) for one in expected]
        yield from min(complaints, key=len)


def _kind(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return type(value).__name__
    return "number" if isinstance(value, int | float) else type(value).__name__
