"""API of the chat page: a key in the address admits to it, a WebSocket carries the changes, actions are posted."""

import asyncio
import hmac
import json
from pathlib import Path

from aiohttp import WSCloseCode, web

from playground.api.backend import BotApiBackend
from playground.api.bot_api_wire import ApiError, Json
from playground.chats.change_feed import PageFeed
from playground.chats.chat_people import PlaygroundPerson
from playground.chats.chat_records import UserRecord
from playground.chats.shown_chats import NotShown
from playground.page import page_view

PAGE_FOLDER = Path(__file__).parent / "static"
STATUS_EVERY_S = 2.0
FILE_LIMIT = 20 * 1024 * 1024
_STATIC = {
    "style.css": "text/css",
    "texts.json": "application/json",
    "icon.svg": "image/svg+xml",
    **{f"{name}.js": "text/javascript" for name in ("app", "bubbles", "composer", "dom", "richtext", "live")},
}
_PICTURES = frozenset({"image/png", "image/jpeg", "image/gif"})


class PageApi:
    """HTTP routes below /chat."""

    def __init__(self, backend: BotApiBackend, key: str) -> None:
        self._backend = backend
        self.key = key

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self._to_page),
            web.get("/chat", self.page),
            web.get("/chat/static/{name}", self.static),
            web.get("/chat/live", self.live),
            web.post("/chat/act", self.act),
            web.post("/chat/upload", self.upload),
            web.get("/chat/file/{file_id}", self.file),
        ]

    def _cookie(self, request: web.Request) -> str:
        """Return the cookie's name, which holds the port: browsers share cookies between the ports of a host."""
        return f"playground_{request.host.rpartition(':')[2]}"

    def _admit(self, request: web.Request) -> None:
        """Refuse requests without the key, and other sites' pages even with it."""
        given = request.cookies.get(self._cookie(request), "")
        if not hmac.compare_digest(given.encode(), self.key.encode()):
            raise web.HTTPForbidden(
                text="Open the address that the bot printed at start: it carries this page's key.\n"
            )
        origin = request.headers.get("Origin")
        if (origin or request.method != "GET") and origin != f"http://{request.host}":
            raise web.HTTPForbidden(text="Requests from other sites are refused.\n")

    def _user(self, request: web.Request) -> UserRecord:
        raw = request.query.get("as", "")
        user = self._backend.world.users.get(int(raw)) if raw.lstrip("-").isdigit() else None
        people = [person for person in self._backend.world.users.values() if not person.is_bot]
        if user is None or user.is_bot:
            if not people:
                raise web.HTTPNotFound(text="The playground has no people yet.\n")
            return people[0]
        return user

    async def _to_page(self, request: web.Request) -> web.Response:
        raise web.HTTPSeeOther("/chat")

    async def page(self, request: web.Request) -> web.Response:
        """Serve the page; the key in the address becomes a cookie, and the page removes it from the address.

        No redirect: one that began on another site would arrive without the strict cookie.
        """
        key = request.query.get("key")
        is_new = key is not None and hmac.compare_digest(key.encode(), self.key.encode())
        if not is_new:
            self._admit(request)
        html = (PAGE_FOLDER / "index.html").read_text("utf-8")
        answer = web.Response(text=html, content_type="text/html", headers=_security(request.host))
        if is_new:
            answer.set_cookie(self._cookie(request), self.key, path="/chat", httponly=True, samesite="Strict")
        return answer

    async def static(self, request: web.Request) -> web.Response:
        self._admit(request)
        name = request.match_info["name"]
        if name not in _STATIC:
            raise web.HTTPNotFound
        text = (PAGE_FOLDER / name).read_text("utf-8")
        return web.Response(text=text, content_type=_STATIC[name], headers=_security(request.host))

    async def file(self, request: web.Request) -> web.Response:
        """Serve an uploaded file: pictures inline, everything else as a download."""
        self._admit(request)
        file = self._backend.world.files.get(request.match_info["file_id"])
        content = self._backend.world.store.file(file.file_id) if file else None
        if file is None or content is None:
            raise web.HTTPNotFound
        is_picture = file.path.startswith("photos/") and file.mime_type in _PICTURES
        headers = _security(request.host)
        if not is_picture:
            name = file.name.encode("ascii", "replace").decode().replace('"', "").replace("\\", "")
            headers["Content-Disposition"] = f'attachment; filename="{name}"'
        kind = file.mime_type if is_picture else "application/octet-stream"
        return web.Response(body=content, content_type=kind, headers=headers)

    async def live(self, request: web.Request) -> web.WebSocketResponse:
        """Send the whole state, then every change, until the page is closed."""
        self._admit(request)
        if request.headers.get("Origin") != f"http://{request.host}":
            raise web.HTTPForbidden(text="Requests from other sites are refused.\n")
        user = self._user(request)
        socket = web.WebSocketResponse(heartbeat=20.0)
        await socket.prepare(request)
        with self._backend.world.changes.feed() as feed:
            await socket.send_json(self._state(user))
            sender = asyncio.create_task(self._send_news(socket, feed, user), name="page news")
            try:
                async for _ in socket:
                    continue
            finally:
                sender.cancel()
                await asyncio.gather(sender, return_exceptions=True)
        return socket

    def _state(self, user: UserRecord) -> Json:
        chats = page_view.visible_chats(self._backend, user)
        messages = [view for chat in chats for view in page_view.history_view(self._backend, chat, user)]
        drafts = [draft for chat in chats if (draft := self._backend.ephemera.current(chat.id))]
        return {
            "type": "state",
            "frame": page_view.page_state(self._backend, user),
            "messages": messages,
            "drafts": [{"chat_id": d.chat_id, "text": d.text, "entities": d.entities} for d in drafts],
        }

    async def _send_news(self, socket: web.WebSocketResponse, feed: PageFeed, user: UserRecord) -> None:
        listening = self._backend.is_listening
        while not socket.closed:
            try:
                event = await asyncio.wait_for(feed.events.get(), STATUS_EVERY_S)
            except TimeoutError:
                event = {"type": "status"}
            if event is None:
                await socket.close(code=WSCloseCode.GOING_AWAY, message=b"reconnect")
                return
            if (view := self._news(event, user)) is not None:
                await socket.send_json(view)
            if self._backend.is_listening != listening:
                listening = self._backend.is_listening
                await socket.send_json({"type": "listening", "value": listening})

    def _news(self, event: Json, user: UserRecord) -> Json | None:
        """Return the event as this person's page shows it; None when it does not concern them."""
        kind = event["type"]
        if kind in {"people", "chats", "commands", "profile"}:
            return page_view.page_state(self._backend, user)
        if kind == "tap":
            is_answered = event["user_id"] == user.id and event["answer"] is not None
            return {"type": "tap", "id": event["id"], "answer": event["answer"]} if is_answered else None
        if kind not in {"message", "action", "draft"}:
            return None
        chat = self._backend.world.chats[event["chat_id"]]
        if user.id not in chat.members:
            return None
        if kind != "message":
            return event
        record = self._backend.world.messages[chat.id][event["message_id"]]
        return {"type": "message", "message": page_view.message_view(self._backend, record, user)}

    async def act(self, request: web.Request) -> web.Response:
        """Carry out an action of the person on the page."""
        self._admit(request)
        try:
            order = await request.json()
        except json.JSONDecodeError as error:
            raise web.HTTPBadRequest(text="the body is no JSON\n") from error
        person = PlaygroundPerson(self._backend, self._user(request).id)
        try:
            return web.json_response(await _act(person, order))
        except (ValueError, KeyError, TypeError, NotShown, ApiError) as error:
            return web.json_response({"error": str(error)}, status=400)

    async def upload(self, request: web.Request) -> web.Response:
        """Send a file as the person; the body is the file."""
        self._admit(request)
        content = await request.read()
        if not content or len(content) > FILE_LIMIT:
            return web.json_response({"error": "a file has between 1 byte and 20 MB"}, status=400)
        person = PlaygroundPerson(self._backend, self._user(request).id)
        name = request.query.get("name", "file")[:100]
        chat = int(request.query.get("chat", person.id))
        try:
            if request.content_type in {"image/png", "image/jpeg"}:
                message_id = await person.send_photo(content, chat=chat)
            else:
                message_id = await person.send_document(name, content, chat=chat, mime_type=request.content_type)
        except (ValueError, ApiError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({"id": message_id})


async def _act(person: PlaygroundPerson, order: Json) -> Json:
    chat = int(order.get("chat_id", person.id))
    kind = order.get("act")
    if kind == "say":
        reply = order.get("reply_to")
        thread = order.get("thread_id")
        return {"id": await person.say(str(order["text"]), chat=chat, reply_to=reply, thread_id=thread)}
    if kind == "edit":
        await person.edit(int(order["message_id"]), str(order["text"]), chat=chat)
        return {}
    if kind == "tap":
        tap = await person.tap(int(order["message_id"]), str(order["data"]), chat=chat)
        return {"id": tap.id}
    if kind == "react":
        await person.react(int(order["message_id"]), str(order["emoji"]), chat=chat)
        return {}
    if kind == "vote":
        await person.vote(int(order["message_id"]), [int(option) for option in order["options"]], chat=chat)
        return {}
    if kind == "language":
        await person.set_language(str(order["language"])[:8])
        return {}
    if kind == "block":
        await (person.block() if order["value"] else person.unblock())
        return {}
    raise ValueError(f"there is no act {kind!r}")


def _security(host: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
            f"connect-src 'self' ws://{host}; manifest-src 'none'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
