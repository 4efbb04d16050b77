"""HTTP side of the Bot API: reads arguments in all four forms, applies faults, answers as the server does."""

import asyncio
import json
import re
import socket
import struct
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from aiohttp import BodyPartReader, web

from playground.api.backend import BotApiBackend
from playground.api.bot_api_wire import ApiError, CallArguments, Upload, as_argument, bad_request
from playground.api.faults import Fault, FaultPlan

CALLS_KEPT = 20_000
UPLOAD_LIMIT = 50 * 1024 * 1024
_TOKEN = re.compile(r"\d+:[A-Za-z0-9_-]+")
BAD_GATEWAY = "<html>\r\n<head><title>{0} {1}</title></head>\r\n<body>\r\n<center><h1>{0} {1}</h1></center>\r\n</body>\r\n</html>\r\n"  # noqa: E501


@dataclass(frozen=True, kw_only=True)
class ApiCall:
    """One call the bot made; `status` 0: the connection was broken on purpose."""

    method: str
    params: Mapping[str, str]
    status: int
    at: float
    error: str = ""
    took_s: float = 0.0

    @property
    def chat_id(self) -> int | None:
        return _chat_id(self.params)


def _chat_id(params: Mapping[str, str]) -> int | None:
    try:
        return int(params["chat_id"])
    except (KeyError, ValueError):
        return None


class HttpApi:
    """HTTP routes of one bot token."""

    def __init__(self, backend: BotApiBackend, faults: FaultPlan, token: str) -> None:
        self._backend = backend
        self._faults = faults
        self._token = token
        self.calls: deque[ApiCall] = deque(maxlen=CALLS_KEPT)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.route("*", r"/bot{token:[^/]+}/{method:[^/]+}", self.handle),
            web.get(r"/file/bot{token:[^/]+}/{path:.+}", self.download),
        ]

    def _refuse_token(self, raw: str) -> web.Response | None:
        token = unquote(raw)
        if token == self._token:
            return None
        known_form = _TOKEN.fullmatch(token) is not None
        return _answer_error(ApiError(401, "Unauthorized") if known_form else ApiError(404, "Not Found"))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one Bot API call and log it."""
        if (refusal := self._refuse_token(request.match_info["token"])) is not None:
            return refusal
        method, started_at = request.match_info["method"], time.monotonic()
        params: Mapping[str, str] = {}
        status, error = 0, ""
        try:
            arguments = await read_arguments(request)
            params = arguments.values
            fault = self._faults.take(method, _chat_id(params))
            response = await self._with_fault(request, method, arguments, fault)
            status = response.status
        except ApiError as refusal_error:
            response, status, error = _answer_error(refusal_error), refusal_error.code, refusal_error.description
        except ConnectionResetError:
            response, error = web.Response(status=400), "the caller hung up"  # nobody reads it any more
        except _ConnectionBroken:
            response, error = web.Response(status=500), "connection broken on purpose"
        took_s = time.monotonic() - started_at
        self.calls.append(
            ApiCall(method=method, params=params, status=status, at=started_at, error=error, took_s=took_s)
        )
        self._backend.world.changes.publish({"type": "call", "method": method})
        return response

    async def _with_fault(
        self, request: web.Request, method: str, arguments: CallArguments, fault: Fault | None
    ) -> web.Response:
        if fault is not None and fault.stage == "before":
            await _suffer(request, fault)
            if fault.html_status:
                return _answer_html(fault.html_status)
        self._faults.check_rate(method, _chat_id(arguments.values))
        result = await self._backend.call(method, arguments)
        if fault is not None and fault.stage == "after":
            await _suffer(request, fault)
            if fault.html_status:
                return _answer_html(fault.html_status)
        return web.json_response({"ok": True, "result": result})

    async def download(self, request: web.Request) -> web.Response:
        """Serve a file at the path that getFile returned."""
        if (refusal := self._refuse_token(request.match_info["token"])) is not None:
            return refusal
        path = request.match_info["path"]
        file = next((file for file in self._backend.world.files.values() if file.path == path), None)
        content = self._backend.world.store.file(file.file_id) if file else None
        if file is None or content is None:
            return _answer_error(ApiError(404, "Not Found"))
        return web.Response(body=content, content_type="application/octet-stream")


class _ConnectionBroken(Exception):
    """Raised once a fault has closed the connection; nobody is there to answer."""


async def _suffer(request: web.Request, fault: Fault) -> None:
    if fault.delay_s:
        await asyncio.sleep(fault.delay_s)
    if fault.is_reset:
        _reset(request)
        raise _ConnectionBroken
    if fault.error is not None:
        raise fault.error


def _reset(request: web.Request) -> None:
    """Close the connection with a TCP reset."""
    transport = request.transport
    if transport is None:
        return
    peer: socket.socket | None = transport.get_extra_info("socket")
    if peer is not None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _answer_error(error: ApiError) -> web.Response:
    headers = {}
    if error.parameters and "retry_after" in error.parameters:
        headers["Retry-After"] = str(error.parameters["retry_after"])
    return web.json_response(error.body(), status=error.code, headers=headers)


def _answer_html(status: int) -> web.Response:
    reason = {502: "Bad Gateway", 504: "Gateway Time-out"}.get(status, "Internal Server Error")
    return web.Response(status=status, text=BAD_GATEWAY.format(status, reason), content_type="text/html")


async def read_arguments(request: web.Request) -> CallArguments:
    """Collect the arguments from the query and from the body, whatever its type."""
    values = dict(request.query)
    uploads: dict[str, Upload] = {}
    if request.content_type == "application/json" and request.can_read_body:
        values |= await _read_json(request)
    elif request.content_type == "multipart/form-data":
        await _read_multipart(request, values, uploads)
    elif request.content_type == "application/x-www-form-urlencoded":
        form = await request.post()
        values |= {key: value for key, value in form.items() if isinstance(value, str)}
    return CallArguments(values, uploads)


async def _read_json(request: web.Request) -> dict[str, str]:
    raw = await request.read()
    try:
        body = json.loads(raw or b"{}")
    except ValueError as error:
        raise bad_request("can't parse JSON encoded request body") from error
    if not isinstance(body, dict):
        raise bad_request("can't parse JSON encoded request body: expected an Object")
    return {str(key): as_argument(value) for key, value in body.items() if value is not None}


async def _read_multipart(request: web.Request, values: dict[str, str], uploads: dict[str, Upload]) -> None:
    reader = await request.multipart()
    total = 0
    async for part in reader:
        if not isinstance(part, BodyPartReader) or part.name is None:
            continue
        content = bytes(await part.read(decode=True))
        total += len(content)
        if total > UPLOAD_LIMIT:
            raise ApiError(413, "Request Entity Too Large")
        if part.filename is None:
            values[part.name] = content.decode("utf-8", "replace")
            continue
        kind = part.headers.get("Content-Type", "application/octet-stream")
        uploads[part.name] = Upload(filename=part.filename, content_type=kind, content=content)
