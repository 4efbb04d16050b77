"""Translates Dokploy's refusals into this program's errors: the call, the fault, the next step.

SystemUnavailable: it does not answer, or something else does.
├── BreakerOpen, LineFull   not tried
├── AnswerUnreadable        it answered 200, and not what the call is known to answer
└── TimeLimitExceeded
    └── AnswerLost          sent, and no answer came: whether it acted is unknown. Look; do not repeat
Refused
├── KeyRejected             the key itself (401 without a code)
│   └── KeyLimited          … which worked before: the limit of requests a day
└── RightMissing            the key's role lacks the right (401 with a code, 403)
ActionFailed
├── NotSent                 nothing reached Dokploy, so nothing was done
├── ProcedureMissing        this Dokploy does not know the call
└── CallFailed              it refused or failed the call; `detail` is its own text, which may hold secrets
NotFound                    there is no such thing, or not in the key's organization
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Literal

from core.errors import ActionFailed, GuardianError, NotFound, Refused, SystemUnavailable, TimeLimitExceeded
from core.redaction import redact
from core.text import Text, text
from integrations.dokploy.client.error_causes import KNOWN_CAUSES, NEXT_STEPS
from integrations.dokploy.client.secret_values import Secret

SYSTEM = "Dokploy"
BODY_LIMIT_BYTES = 1024 * 1024
"""Largest body Dokploy accepts (otherwise 413)."""
DEFAULT_KEY_CALLS = 5
"""Calls in 24 hours with a key made without `rateLimitEnabled: false`: 10 checks, and each call checks twice."""
GATEWAY_STATUSES = frozenset({502, 503, 504, *range(520, 528)})
"""Statuses of a proxy that cannot reach Dokploy; 520 and up are Cloudflare's."""
NOT_FORWARDED_STATUSES = frozenset({503, 521, 522, 523, 525, 526})
"""Statuses of a proxy that certainly passed nothing on."""
QUOTE_LIMIT = 200


@dataclass(frozen=True, kw_only=True)
class Request:
    """Call of Dokploy's API."""

    method: Literal["GET", "POST"]
    procedure: str
    """Name of the procedure, such as `compose.deploy`."""
    what: str
    """Call and its object, for messages; never holds more of the body."""
    query: dict[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class HttpResponse:
    """Answer of the server, success or not."""

    status: int
    content: bytes = field(repr=False)
    content_type: str = ""
    location: str = ""
    retry_after: str = ""
    is_login_wanted: bool = False
    date: str = ""
    """Time of the answer by the server's clock (RFC 9110, `Date`)."""


class BreakerOpen(SystemUnavailable):
    """Not tried: several calls in a row failed, so the server is left alone for a moment."""


class AnswerUnreadable(SystemUnavailable):
    """Answer with status 200 whose content is not the one known for this call."""


class AnswerLost(TimeLimitExceeded):
    """Call that was sent and not answered: unknown if it took effect. Look, do not repeat."""


class KeyRejected(Refused):
    """Key rejected by Dokploy."""


class KeyLimited(KeyRejected):
    """Key rejected after it worked: its limit of requests is used up."""


class RightMissing(Refused):
    """Right missing: the key is valid, but its user's role does not allow this."""


class NotSent(ActionFailed):
    """Nothing reached Dokploy, so nothing was done."""


class ProcedureMissing(ActionFailed):
    """This Dokploy does not know the call by that name and method."""


class CallFailed(ActionFailed):
    """Call refused or failed by Dokploy."""

    def __init__(self, problem: str, *, status: int, detail: str = "", message: Text | None = None) -> None:
        super().__init__(problem, message=message)
        self.status = status
        self.detail = Secret(detail)
        """Dokploy's own text: may be the whole shell command with its secrets."""


@dataclass(frozen=True, kw_only=True)
class _ErrorBody:
    """Error body as Dokploy writes it."""

    message: str
    code: str | None
    path: str | None
    fields: tuple[str, ...]
    """Invalid fields, each with the expected type."""


_PLAIN_WORDS = re.compile(r"[A-Za-z][A-Za-z ,.:;'()/-]{1,150}")
"""Refusal that may be quoted. Others may be the output of a program that Dokploy ran, secrets included."""


def answer_lost(problem: str, message: Text) -> AnswerLost:
    """Return the error for an order that was sent and not answered; `says` describes the fault."""
    unknown = text("dokploy_error.unknown_outcome", problem=message)
    return AnswerLost(SYSTEM, f"{problem}; whether it was done is unknown, look before repeating it", message=unknown)


def error_from_reply(reply: HttpResponse, request: Request, *, url: str, accepted: int) -> GuardianError:
    """Return the error for a failed answer. `accepted`: calls the same key passed since it was last refused."""
    problem = _problem_in(reply.content)
    if 300 <= reply.status < 400:
        where = re.match(r"https?://[^/?#@\s]+(?=[/?#]|$)", reply.location)
        target = f"to {where.group()}" if where else "elsewhere"
        told = where.group() if where else text("dokploy_error.elsewhere")
        return _wrong_place(request, f"it redirects {target}", url, text("dokploy_error.redirects", target=told))
    if reply.status in GATEWAY_STATUSES:
        return _gateway(reply, request)
    if reply.status == 429:
        return _too_many(reply, request)
    if reply.status == 413:
        return CallFailed(
            f"{request.what}: the request is too large; Dokploy takes 1 MB, make the file smaller",
            status=413,
            message=text("dokploy_error.too_large"),
        )
    if problem is None:
        return _not_dokploy(reply, request, url)
    if reply.status == 401 and problem.code is None:
        return _key_rejected(accepted, url)
    return _dokploys_own(reply.status, problem, request)


def _dokploys_own(status: int, problem: _ErrorBody, request: Request) -> GuardianError:
    message = _quoted(problem.message)
    if status in (401, 403):
        return RightMissing(
            f"{request.what}: the key's user may not do that ({message}); give its role the right in Dokploy, "
            "or use the key of a user who has it",
            message=text("dokploy_error.right_missing"),
        )
    if status == 404 and problem.path is None:
        return ProcedureMissing(
            f"this Dokploy does not know {request.method} {request.procedure}; the call is known from v0.30.2, "
            "see which version runs (settings.getDokployVersion)",
            message=text("dokploy_error.no_procedure", call=request.procedure),
        )
    name, step = NEXT_STEPS.get(problem.message, (None, None))
    if status == 404:
        step = step or "look whether it was deleted, or whether the key belongs to another organization"
        return NotFound(f"{request.what}: {message}; {step}", message=text(f"dokploy_error.{name or 'gone'}"))
    if status == 415:
        return CallFailed(
            f"{request.what}: Dokploy was sent no JSON content type; a proxy before it takes the header away",
            status=status,
            message=text("dokploy_error.no_json"),
        )
    if status == 409:
        return CallFailed(
            f"{request.what}: it conflicts with what is there ({message}); choose another name or port",
            status=status,
            detail=problem.message,
            message=text("dokploy_error.conflict"),
        )
    if problem.fields:
        return CallFailed(
            f"{request.what}: Dokploy does not take these values: {'; '.join(problem.fields)}",
            status=status,
            detail=problem.message,
            message=text("dokploy_error.values", fields="; ".join(problem.fields)),
        )
    return _failed(status, problem.message, request)


def _failed(status: int, message: str, request: Request) -> GuardianError:
    for cause in KNOWN_CAUSES:
        found = cause.pattern.search(message)
        if found is not None:
            words = cause.message.format(found.group(), *found.groups())
            gaps = dict(zip(("first", "second"), found.groups(), strict=False))
            told = Text(f"dokploy_error.cause.{cause.name}", gaps)
            if cause.is_missing:
                return NotFound(f"{request.what}: {words}; look which containers there are now", message=told)
            return CallFailed(f"{request.what}: {words}", status=status, detail=message, message=told)
    if status < 500 and _PLAIN_WORDS.fullmatch(message):
        words, told = f"Dokploy refused it ({_quoted(message)})", text("dokploy_error.says_no", words=_quoted(message))
        if message in NEXT_STEPS:
            name, step = NEXT_STEPS[message]
            words, told = f"{words}; {step}", text(f"dokploy_error.{name}")
    else:
        words = (
            "a command of Dokploy's failed; its text is kept back because it may hold secrets, "
            "look at the log of the deployment or of Dokploy"
        )
        told = text("dokploy_error.failed")
    return CallFailed(f"{request.what}: {words}", status=status, detail=message, message=told)


def _key_rejected(accepted: int, url: str) -> KeyRejected:
    cure = "make one without a limit (`rateLimitEnabled: false`) and set `dokploy.api_key`"
    told = text("dokploy_error.key_cure")
    if accepted == 0:
        return KeyRejected(
            f"Dokploy at {url} does not take the key: it is wrong, expired, of no organization, or over its limit "
            f"(by default 10 checks a day, which is {DEFAULT_KEY_CALLS} calls); {cure}",
            message=text("dokploy_error.key_rejected", calls=DEFAULT_KEY_CALLS, cure=told),
        )
    if accepted <= DEFAULT_KEY_CALLS:
        return KeyLimited(
            f"Dokploy at {url} took the key for {accepted} calls and does not any more: keys are by default limited "
            f"to 10 checks a day, which is {DEFAULT_KEY_CALLS} calls; {cure}",
            message=text("dokploy_error.key_limited", count=accepted, calls=DEFAULT_KEY_CALLS, cure=told),
        )
    return KeyRejected(
        f"Dokploy at {url} took the key for {accepted} calls and does not any more: it is over its limit, has expired "
        f"or was deleted; {cure}",
        message=text("dokploy_error.key_lost", cure=told),
    )


def _gateway(reply: HttpResponse, request: Request) -> GuardianError:
    problem = (
        f"{request.what}: the proxy before Dokploy answers {reply.status}; Dokploy is down, restarting or overloaded"
    )
    message = text("dokploy_error.gateway", status=reply.status)
    if request.method == "GET":
        return SystemUnavailable(SYSTEM, problem, message=message)
    if reply.status in NOT_FORWARDED_STATUSES:
        nothing_done = text("dokploy_error.nothing_done", problem=message)
        return NotSent(f"{problem}; nothing was done, try again once it is back", message=nothing_done)
    return answer_lost(problem, message)


def _too_many(reply: HttpResponse, request: Request) -> GuardianError:
    is_told = reply.retry_after.isdigit()
    after = f" for {reply.retry_after} s" if is_told else ""
    problem = f"{request.what}: what stands before Dokploy refuses more requests{after}; ask less often"
    message = (
        text("dokploy_error.too_many_for", seconds=reply.retry_after) if is_told else text("dokploy_error.too_many")
    )
    if request.method == "GET":
        return SystemUnavailable(SYSTEM, problem, message=message)
    return NotSent(problem, message=text("dokploy_error.nothing_done", problem=message))


def _not_dokploy(reply: HttpResponse, request: Request, url: str) -> GuardianError:
    """Return the error for an answer that does not come from Dokploy's API."""
    if reply.status == 400 and b"Invalid JSON" in reply.content:
        problem = f"{request.what}: what arrived at Dokploy was no JSON; a proxy changed it"
        return CallFailed(problem, status=400, message=text("dokploy_error.no_json"))
    if reply.status == 401 or reply.is_login_wanted:
        return _wrong_place(request, "something before Dokploy wants a login", url, text("dokploy_error.wants_login"))
    if reply.status == 403:
        problem = "something before Dokploy forbids it (a firewall or access list)"
        return _wrong_place(request, problem, url, text("dokploy_error.forbidden"))
    if reply.status < 500:
        problem = f"what answers there ({reply.status}) is not Dokploy's API"
        return _wrong_place(request, problem, url, text("dokploy_error.not_dokploy", status=reply.status))
    broke, message = f"{request.what}: it broke ({reply.status})", text("dokploy_error.broke", status=reply.status)
    if request.method == "GET":
        return SystemUnavailable(SYSTEM, f"{broke}; look at the log of Dokploy", message=message)
    return answer_lost(broke, message)


def _wrong_place(request: Request, words: str, url: str, what: Text) -> GuardianError:
    problem = f"{request.what}: {words}; set `dokploy.url` (now {url}) to the address of Dokploy itself"
    message = text("dokploy_error.wrong_place", problem=what, url=url)
    return (
        SystemUnavailable(SYSTEM, problem, message=message)
        if request.method == "GET"
        else NotSent(problem, message=message)
    )


def answer_unreadable(reply: HttpResponse, request: Request, url: str, wrong: str) -> GuardianError:
    """Return the error for a success with unknown content. An order has taken effect all the same."""
    if "html" in reply.content_type:
        problem = "what answers there is a web page, not Dokploy's API"
        return _wrong_place(request, problem, url, text("dokploy_error.web_page"))
    done = " It was carried out all the same." if request.method == "POST" else ""
    return AnswerUnreadable(
        SYSTEM,
        f"{request.what} was answered in a form that is not known: {wrong}; which version runs?{done}",
        message=text("dokploy_error.unreadable_done" if done else "dokploy_error.unreadable"),
    )


def _problem_in(content: bytes) -> _ErrorBody | None:
    try:
        raw = json.loads(content)
    except ValueError:
        return None
    if not isinstance(raw, dict) or not isinstance(raw.get("message"), str):
        return None
    code, data = raw.get("code"), raw.get("data")
    path = data.get("path") if isinstance(data, dict) else None
    return _ErrorBody(
        message=raw["message"],
        code=code if isinstance(code, str) else None,
        path=path if isinstance(path, str) else None,
        fields=tuple(_fields_in(raw.get("issues"))),
    )


def _fields_in(issues: Any) -> list[str]:
    found = []
    for issue in issues if isinstance(issues, list) else []:
        if isinstance(issue, dict) and isinstance(issue.get("path"), list):
            name = ".".join(str(part) for part in issue["path"])
            found.append(f"{name}: {_quoted(str(issue.get('message', 'does not fit')))}")
    return found


def _quoted(message: str) -> str:
    line = " ".join(redact(message).split())
    return line if len(line) <= QUOTE_LIMIT else f"{line[:QUOTE_LIMIT]}…"
