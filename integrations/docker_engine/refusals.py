"""Common refusals by engines and registries, each with a sentence for people in their language."""

from __future__ import annotations

import re
from enum import StrEnum

from core.errors import ActionFailed, GuardianError, NotFound
from core.text import Text, text


class RefusalReason(StrEnum):
    """Reason of a refusal; `docker.trouble.<value>` is its sentence."""

    NO_CONTAINER = "no_container"
    NO_HOST = "no_host"
    NOTHING_TO_DO = "nothing_to_do"
    """Each action has its own sentence for it."""
    WHICH = "which"
    """The name is ambiguous; its sentences are `which_host` and `which_container`."""
    NAME_TAKEN = "name_taken"
    CONFLICT = "conflict"
    PORT_TAKEN = "port_taken"
    NO_SPACE = "no_space"
    NO_NETWORK = "no_network"
    NOT_RUNNING = "not_running"
    IMAGE_NOT_FOUND = "image_not_found"
    REGISTRY_LOGIN = "registry_login"
    REGISTRY_UNREACHABLE = "registry_unreachable"
    RATE_LIMITED = "rate_limited"
    WRONG_PLATFORM = "wrong_platform"
    REGISTRY_OTHER = "registry_other"


class EngineRefused(ActionFailed):
    """An engine or registry refused, for a known reason."""

    message: Text

    def __init__(self, problem: str, trouble: RefusalReason, message: Text) -> None:
        self.trouble = trouble
        super().__init__(problem, message=message)


class EngineNotFound(NotFound):
    """The engine or registry does not have the thing asked for; carries a sentence for people."""

    message: Text

    def __init__(self, problem: str, message: Text, trouble: RefusalReason = RefusalReason.NO_CONTAINER) -> None:
        self.trouble = trouble
        super().__init__(problem, message=message)


_ANYWHERE = re.IGNORECASE
# first match counts: a full disk while a layer is unpacked is a full disk, whatever else the sentence says
_OF_ENGINE = (
    (RefusalReason.NO_SPACE, re.compile(r"no space left on device|disk quota exceeded", _ANYWHERE)),
    (RefusalReason.PORT_TAKEN, re.compile(r"port is already allocated|address already in use", _ANYWHERE)),
    (RefusalReason.NAME_TAKEN, re.compile(r"name .*is already in use", _ANYWHERE)),
    (RefusalReason.NO_CONTAINER, re.compile(r"no such container", _ANYWHERE)),
    (RefusalReason.NO_NETWORK, re.compile(r"network \S+ not found|could not find a network", _ANYWHERE)),
    (RefusalReason.CONFLICT, re.compile(r"has active endpoints", _ANYWHERE)),
    (RefusalReason.NOT_RUNNING, re.compile(r"is not running|is not paused|is already paused", _ANYWHERE)),
)
_OF_REGISTRY = (
    (RefusalReason.NO_SPACE, re.compile(r"no space left on device|disk quota exceeded", _ANYWHERE)),
    (RefusalReason.RATE_LIMITED, re.compile(r"toomanyrequests|too many requests|rate limit", _ANYWHERE)),
    (
        RefusalReason.WRONG_PLATFORM,
        re.compile(r"no matching manifest for|does not match the specified platform", _ANYWHERE),
    ),
    (
        RefusalReason.REGISTRY_LOGIN,
        re.compile(
            r"access denied|access to the resource is denied|unauthorized|authentication required|no basic auth"
            r"|incorrect username or password|denied:|403 forbidden",
            _ANYWHERE,
        ),
    ),
    (
        RefusalReason.IMAGE_NOT_FOUND,
        re.compile(r"manifest unknown|manifest for .* not found|name unknown|not found|no such image", _ANYWHERE),
    ),
    (
        RefusalReason.REGISTRY_UNREACHABLE,
        re.compile(
            r"dial tcp|no such host|connection refused|connection reset|i/o timeout|timeout|tls|x509|\beof\b"
            r"|server gave http response|request canceled|unavailable|bad gateway|network is unreachable"
            r"|service unavailable|internal server error|http status: 5\d\d",
            _ANYWHERE,
        ),
    ),
)
_PORT = re.compile(r":(\d{1,5})(?::| failed)")


def engine_refusal_reason(status: int, reason: str) -> RefusalReason | None:
    """Return the reason of an engine's refusal; None when it is not a known one."""
    for trouble, pattern in _OF_ENGINE:
        if pattern.search(reason):
            return trouble
    return RefusalReason.CONFLICT if status == 409 else None


def engine_refusal_sentence(trouble: RefusalReason, reason: str) -> Text:
    """Return the sentence for people."""
    if trouble is RefusalReason.PORT_TAKEN:
        port = _PORT.search(reason)
        return text("docker.trouble.port_taken", port=port[1] if port else None)
    return text(f"docker.trouble.{trouble}")


def registry_refusal_reason(status: int, reason: str) -> RefusalReason:
    """Return the reason that an engine could not get something from a registry."""
    for trouble, pattern in _OF_REGISTRY:
        if pattern.search(reason):
            return trouble
    by_status = {
        401: RefusalReason.REGISTRY_LOGIN,
        403: RefusalReason.REGISTRY_LOGIN,
        404: RefusalReason.IMAGE_NOT_FOUND,
    }
    return by_status.get(
        status, RefusalReason.REGISTRY_UNREACHABLE if status in (502, 503, 504) else RefusalReason.REGISTRY_OTHER
    )


def registry_refusal_error(trouble: RefusalReason, image: str, registry: str, reason: str, what: str) -> GuardianError:
    """Return the error for a registry's refusal, with its sentence for people."""
    message = text(f"docker.trouble.{trouble}", image=image, registry=registry)
    problem = f"{what}: {reason.strip() or 'no reason was given'}"
    if trouble is RefusalReason.IMAGE_NOT_FOUND:
        return EngineNotFound(problem, message, trouble)
    return EngineRefused(problem, trouble, message)
