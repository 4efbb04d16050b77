"""Dokploy's HTTP: how calls come in, are checked, and are answered or refused."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.standins.dokploy import inbound
from tests.standins.dokploy.calls import HTTP_STATUS, Call, Json, Nothing, Procedure, Refusal
from tests.standins.dokploy.faults import Asked, Fault, Faults
from tests.standins.dokploy.keys import Key
from tests.standins.dokploy.procedures import PROCEDURES
from tests.standins.dokploy.shell import ShellFailed
from tests.standins.dokploy.stage import Stage

BODY_LIMIT = 1024 * 1024
JSON_TYPE = "application/json"
EARLY_TYPE = "application/json; charset=utf-8"
"""Of answers that come before tRPC: refused keys, health, deploy webhooks."""
TRPC = "trpc/"


class _Early(Exception):
    """An answer before the procedure is reached."""

    def __init__(self, answer: web.Response) -> None:
        super().__init__()
        self.answer = answer


def _unauthorized() -> web.Response:
    """No `code`: that is how a key's refusal differs from a missing right."""
    return as_json({"message": "Unauthorized"}, 401, EARLY_TYPE)


def as_json(content: object, status: int = 200, content_type: str = JSON_TYPE) -> web.Response:
    """Compact, as JavaScript writes it."""
    text = "" if isinstance(content, Nothing) else json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return web.Response(body=text.encode(), status=status, headers={"Content-Type": content_type})


def _text(said: str, status: int) -> web.Response:
    return web.Response(body=said.encode(), status=status, headers={"Content-Type": "text/plain"})


@dataclass(kw_only=True)
class Transport:
    """Answers every path below /api/."""

    stage: Stage
    faults: Faults

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """With the fault that was ordered for the call, if any."""
        name = request.path.removeprefix("/api/")
        raw = await request.read()
        given = _given(request, raw)
        asked = self.faults.came(name, request.method, given if isinstance(given, dict) else {})
        try:
            return await self._with_fault(request, name, raw, asked)
        finally:
            self.faults.under_way -= 1

    async def _with_fault(self, request: web.Request, name: str, raw: bytes, asked: Asked) -> web.StreamResponse:
        if self.faults.latency_s:
            await asyncio.sleep(self.faults.latency_s)
        fault = self.faults.next(name)
        if fault is Fault.HANG:
            await self.faults.is_released.wait()
        if fault is Fault.BAD_GATEWAY:
            asked.status = 502
            return _text("Bad Gateway", 502)
        if fault in (Fault.HANG, Fault.DROP):
            return _hang_up(request)
        answer = await self._answer(request, name, raw, asked)
        if fault is Fault.LOSE_ANSWER:
            return _hang_up(request)
        asked.status = answer.status
        return answer

    async def _answer(self, request: web.Request, name: str, raw: bytes, asked: Asked) -> web.Response:
        if name == "health":
            return as_json({"ok": True}, content_type=EARLY_TYPE)
        if name.startswith("deploy/"):
            status, body = inbound.deploy(self.stage, name.removeprefix("deploy/"), request.headers, raw)
            return as_json(body, status, EARLY_TYPE)
        if request.method == "HEAD":
            return web.Response(status=204, headers={"Content-Type": JSON_TYPE})
        is_trpc, name = name.startswith(TRPC), name.removeprefix(TRPC)
        try:
            if is_trpc and name == "settings.health":
                return as_json({"result": {"data": {"json": {"status": "ok"}}}})
            given = _read(request, raw)
            key = self._key(request)
            asked.key = key.name
            answer = await self._call(request, name, _unwrapped(given) if is_trpc else given, key)
        except _Early as early:
            return early.answer
        except Refusal as refusal:
            return as_json(refusal.body(_path(name, request.method)), HTTP_STATUS[refusal.code])
        return as_json({"result": {"data": {"json": answer}}} if is_trpc else answer)

    def _key(self, request: web.Request) -> Key:
        key = self.stage.state.keys.get(request.headers.get("x-api-key", ""))
        if key is None or not key.passes():
            raise _Early(_unauthorized())
        return key

    async def _call(self, request: web.Request, name: str, given: Json, key: Key) -> object:
        procedure = PROCEDURES.get(name)
        if procedure is None or procedure.method != request.method:
            raise Refusal("NOT_FOUND", "Not found")
        if request.method == "POST":
            _demand_json(request)
        call = Call(params=procedure.params(given), member=key.member)
        self._demand_rights(procedure, call)
        try:
            answer = await procedure.handler(self.stage, call)
        except ShellFailed as failure:
            raise failure.refusal() from failure
        # a copy of this moment: rows go on changing while an answer is written
        return answer if isinstance(answer, Nothing) else json.loads(json.dumps(answer, default=str))

    def _demand_rights(self, procedure: Procedure, call: Call) -> None:
        """Access to the service comes first, and only to one that exists."""
        if procedure.service and self.stage.state.service(str(call[procedure.service])) is not None:
            call.member.demand_service(str(call[procedure.service]))
        call.member.demand(procedure.right)


def _path(name: str, method: str) -> str | None:
    procedure = PROCEDURES.get(name)
    return name if procedure is not None and procedure.method == method else None


def _given(request: web.Request, raw: bytes) -> Any:
    """What was sent, for the log of requests."""
    if request.method == "GET":
        return dict(request.query)
    try:
        return json.loads(raw or b"{}")
    except ValueError:
        return {}


def _read(request: web.Request, raw: bytes) -> Json:
    """Query or body; the web framework refuses a long or broken body before anybody looks at the key."""
    if request.method == "GET":
        return dict(request.query)
    if len(raw) > BODY_LIMIT:
        raise _Early(_text("Body exceeded 1mb limit", 413))
    if _media_type(request) != JSON_TYPE:
        return {}
    try:
        body = json.loads(raw or b"{}")
    except ValueError:
        refused = web.Response(body=b"Invalid JSON", status=400)
        raise _Early(refused) from None
    return body if isinstance(body, dict) else {}


def _unwrapped(given: Json) -> Json:
    """superjson's envelope"""
    inner = json.loads(given["input"])["json"] if "input" in given else given.get("json", {})
    return dict(inner or {})


def _media_type(request: web.Request) -> str:
    return request.headers.get("Content-Type", "").partition(";")[0].strip().casefold()


def _demand_json(request: web.Request) -> None:
    kind = _media_type(request)
    if not kind:
        raise Refusal("UNSUPPORTED_MEDIA_TYPE", "Missing content-type header")
    if kind != JSON_TYPE:
        raise Refusal("UNSUPPORTED_MEDIA_TYPE", f'Unsupported content-type "{kind}')


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
