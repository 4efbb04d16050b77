"""Says Dokploy's refusals in this program's errors: what was asked, what went wrong, what to do next.

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
from integrations.dokploy.secret import Secret

SYSTEM = "Dokploy"
BODY_LIMIT_BYTES = 1024 * 1024
"""Dokploy takes no larger body (answer 413)."""
DEFAULT_KEY_CALLS = 5
"""What a key made without `rateLimitEnabled: false` lets through in 24 hours: 10 checks, and each call checks twice."""
GATEWAY_STATUSES = frozenset({502, 503, 504, *range(520, 528)})
"""A proxy's word for a Dokploy that it cannot reach; 520 and up are Cloudflare's."""
NEVER_REACHED = frozenset({503, 521, 522, 523, 525, 526})
"""… and the ones that say it passed nothing on."""
QUOTE_LIMIT = 200


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call."""

    method: Literal["GET", "POST"]
    procedure: str
    """compose.deploy"""
    what: str
    """The call and its object, for messages; never holds more of the body."""
    query: dict[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer, whatever it is."""

    status: int
    content: bytes = field(repr=False)
    content_type: str = ""
    location: str = ""
    retry_after: str = ""
    is_login_wanted: bool = False


class AnswerUnreadable(SystemUnavailable):
    """It answered 200, but not what this call is known to answer."""


class AnswerLost(TimeLimitExceeded):
    """It was sent and no answer came; whether it acted is unknown. Look, do not repeat."""


class KeyRejected(Refused):
    """Dokploy does not take the key."""


class KeyLimited(KeyRejected):
    """Dokploy does not take the key any more: its limit of requests is used up."""


class RightMissing(Refused):
    """The key is good; the role of its user does not allow this."""


class NotSent(ActionFailed):
    """Nothing reached Dokploy, so nothing was done."""


class ProcedureMissing(ActionFailed):
    """This Dokploy does not know the call by that name and method."""


class CallFailed(ActionFailed):
    """Dokploy refused or failed the call."""

    def __init__(self, message: str, *, status: int, detail: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.detail = Secret(detail)
        """Dokploy's own text: may be the whole shell command with its secrets."""


@dataclass(frozen=True, kw_only=True)
class _Problem:
    """An error as Dokploy writes it."""

    message: str
    code: str | None
    path: str | None
    fields: tuple[str, ...]
    """The fields that do not fit, each with what was expected."""


@dataclass(frozen=True, kw_only=True)
class _Cause:
    """A text of Dokploy's that is understood without showing it; `{1}` stands for the pattern's first group."""

    pattern: re.Pattern[str]
    says: str
    is_missing: bool = False


def _cause(pattern: str, says: str, *, is_missing: bool = False) -> _Cause:
    return _Cause(pattern=re.compile(pattern), says=says, is_missing=is_missing)


_CAUSES = (
    _cause(r"No such container", "there is no such container on that server", is_missing=True),
    _cause(r"spawn /bin/sh ENOENT", "it was never deployed, so it has no folder on the server; deploy it first"),
    _cause(
        r"code/\S*: no such file or directory",
        "its folder holds no compose file (a clone that failed empties it); deploy it, a start or redeploy cannot help",
    ),
    _cause(r"yaml: line (\d+)", "the compose file is no valid YAML at line {1}; correct it, then deploy"),
    _cause(r"at line (\d+), column (\d+)", "the compose file is no valid YAML at line {1}, column {2}; correct it"),
    _cause(r"Cannot connect to the Docker daemon", "Docker does not answer on that server; look at the Docker service"),
    _cause(r"no space left on device", "the disk of that server is full; free some space"),
    _cause(r"port is already allocated|address already in use", "a port it needs is taken; find who holds it"),
    _cause(
        r"manifest unknown|pull access denied|repository does not exist|manifest for \S+ not found",
        "an image cannot be pulled: its name or tag is wrong, or the registry wants a login",
    ),
    _cause(
        r"\bfetch failed",
        "Dokploy found nobody at that address; set its monitoring up in Dokploy, or check the address",
    ),
    _cause(r"only available in cloud version", "only Dokploy Cloud can do that; a self-hosted one cannot"),
)
_PLAIN_WORDS = re.compile(r"[A-Za-z][A-Za-z ,.:;'()/-]{1,150}")
"""A refusal that may be quoted. Others may be an error of a program that Dokploy ran, secrets and all."""
_NEXT_STEPS = {
    "Services not found": "it was never deployed nor fetched; deploy it once, or load with type `fetch`",
    "Deployment is not running": "Dokploy knows no process of it to end",
    "Error input: Rolling back": "the stored image or its registry is gone, or there is no such rollback",
}


def translate(reply: Reply, request: Request, *, url: str, accepted: int) -> GuardianError:
    """What an answer that is no success means. `accepted`: calls the same key has passed since it was last refused."""
    problem = _problem_in(reply.content)
    if 300 <= reply.status < 400:
        where = re.match(r"https?://[^/?#@\s]+(?=[/?#]|$)", reply.location)
        target = f"to {where.group()}" if where else "elsewhere"
        return _wrong_place(request, f"it redirects {target}", url)
    if reply.status in GATEWAY_STATUSES:
        return _gateway(reply, request)
    if reply.status == 429:
        after = f" for {reply.retry_after} s" if reply.retry_after.isdigit() else ""
        says = f"{request.what}: what stands before Dokploy refuses more requests{after}; ask less often"
        return SystemUnavailable(SYSTEM, says) if request.method == "GET" else NotSent(says)
    if reply.status == 413:
        return CallFailed(
            f"{request.what}: the request is too large; Dokploy takes 1 MB, make the file smaller", status=413
        )
    if problem is None:
        return _foreign(reply, request, url)
    if reply.status == 401 and problem.code is None:
        return _key_rejected(accepted, url)
    return _dokploys_own(reply.status, problem, request)


def _dokploys_own(status: int, problem: _Problem, request: Request) -> GuardianError:
    says = _quoted(problem.message)
    if status in (401, 403):
        return RightMissing(
            f"{request.what}: the key's user may not do that ({says}); give its role the right in Dokploy, "
            "or use the key of a user who has it"
        )
    if status == 404 and problem.path is None:
        return ProcedureMissing(
            f"this Dokploy does not know {request.method} {request.procedure}; the call is known from v0.30.2, "
            "see which version runs (settings.getDokployVersion)"
        )
    step = _NEXT_STEPS.get(problem.message)
    if status == 404:
        step = step or "look whether it was deleted, or whether the key belongs to another organization"
        return NotFound(f"{request.what}: {says}; {step}")
    if status == 415:
        return CallFailed(
            f"{request.what}: Dokploy was sent no JSON content type; a proxy before it takes the header away",
            status=status,
        )
    if status == 409:
        return CallFailed(
            f"{request.what}: it conflicts with what is there ({says}); choose another name or port",
            status=status,
            detail=problem.message,
        )
    if problem.fields:
        return CallFailed(
            f"{request.what}: Dokploy does not take these values: {'; '.join(problem.fields)}",
            status=status,
            detail=problem.message,
        )
    return _failed(status, problem.message, step, request)


def _failed(status: int, message: str, step: str | None, request: Request) -> GuardianError:
    for cause in _CAUSES:
        found = cause.pattern.search(message)
        if found is not None:
            says = cause.says.format(found.group(), *found.groups())
            if cause.is_missing:
                return NotFound(f"{request.what}: {says}; look which containers there are now")
            return CallFailed(f"{request.what}: {says}", status=status, detail=message)
    if status < 500 and _PLAIN_WORDS.fullmatch(message):
        says = f"Dokploy refused it ({_quoted(message)})" + (f"; {step}" if step else "")
    else:
        says = (
            "a command of Dokploy's failed; its text is kept back because it may hold secrets, "
            "look at the log of the deployment or of Dokploy"
        )
    return CallFailed(f"{request.what}: {says}", status=status, detail=message)


def _key_rejected(accepted: int, url: str) -> KeyRejected:
    cure = "make one without a limit (`rateLimitEnabled: false`) and set `dokploy.api_key`"
    if accepted == 0:
        return KeyRejected(
            f"Dokploy at {url} does not take the key: it is wrong, expired, of no organization, or over its limit "
            f"(by default 10 checks a day, which is {DEFAULT_KEY_CALLS} calls); {cure}"
        )
    if accepted <= DEFAULT_KEY_CALLS:
        return KeyLimited(
            f"Dokploy at {url} took the key for {accepted} calls and does not any more: keys are by default limited "
            f"to 10 checks a day, which is {DEFAULT_KEY_CALLS} calls; {cure}"
        )
    return KeyRejected(
        f"Dokploy at {url} took the key for {accepted} calls and does not any more: it is over its limit, has expired "
        f"or was deleted; {cure}"
    )


def _gateway(reply: Reply, request: Request) -> GuardianError:
    says = f"{request.what}: the proxy before Dokploy answers {reply.status}; Dokploy is down, restarting or overloaded"
    if request.method == "GET":
        return SystemUnavailable(SYSTEM, says)
    if reply.status in NEVER_REACHED:
        return NotSent(f"{says}; nothing was done, try again once it is back")
    return AnswerLost(SYSTEM, f"{says}; whether it was done is unknown, look before repeating it")


def _foreign(reply: Reply, request: Request, url: str) -> GuardianError:
    """An answer that Dokploy's API does not give."""
    if reply.status == 400 and b"Invalid JSON" in reply.content:
        return CallFailed(f"{request.what}: what arrived at Dokploy was no JSON; a proxy changed it", status=400)
    if reply.status == 401 or reply.is_login_wanted:
        return _wrong_place(request, "something before Dokploy wants a login", url)
    if reply.status == 403:
        return _wrong_place(request, "something before Dokploy forbids it (a firewall or access list)", url)
    if reply.status < 500:
        return _wrong_place(request, f"what answers there ({reply.status}) is not Dokploy's API", url)
    if request.method == "GET":
        return SystemUnavailable(SYSTEM, f"{request.what}: it broke ({reply.status}); look at the log of Dokploy")
    return AnswerLost(
        SYSTEM, f"{request.what}: it broke ({reply.status}); whether it was done is unknown, look before repeating it"
    )


def _wrong_place(request: Request, says: str, url: str) -> GuardianError:
    problem = f"{request.what}: {says}; set `dokploy.url` (now {url}) to the address of Dokploy itself"
    return SystemUnavailable(SYSTEM, problem) if request.method == "GET" else NotSent(problem)


def unreadable(reply: Reply, request: Request, url: str, wrong: str) -> GuardianError:
    """A success whose content is not what the call answers. What changes something has changed it all the same."""
    if "html" in reply.content_type:
        return _wrong_place(request, "what answers there is a web page, not Dokploy's API", url)
    done = " It was carried out all the same." if request.method == "POST" else ""
    return AnswerUnreadable(
        SYSTEM, f"{request.what} was answered in a form that is not known: {wrong}; which version runs?{done}"
    )


def _problem_in(content: bytes) -> _Problem | None:
    try:
        raw = json.loads(content)
    except ValueError:
        return None
    if not isinstance(raw, dict) or not isinstance(raw.get("message"), str):
        return None
    code, data = raw.get("code"), raw.get("data")
    path = data.get("path") if isinstance(data, dict) else None
    return _Problem(
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
