"""The Docker SDK, used nowhere else: sends orders to an engine, each in a thread of its own pool."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import requests
import structlog
import urllib3
from docker import auth
from docker.api.client import APIClient
from docker.errors import APIError, DockerException
from docker.tls import TLSConfig

from core.errors import ActionFailed, GuardianError, NotFound, SystemUnavailable, TimeLimitExceeded
from integrations.docker_engine.refusals import (
    EngineNotFound,
    EngineRefused,
    RefusalReason,
    engine_refusal_reason,
    engine_refusal_sentence,
)

T = TypeVar("T")
log = structlog.get_logger(__name__)

HUB = "docker.io"
WAITING_ORDERS_LIMIT = 64
"""Orders that may wait for a thread; more are refused at once."""
SDK_MARGIN_S = 2.0
"""Time by which a thread outlasts its caller before its socket gives up and frees it."""
_START_FAILURE = re.compile(r"oci runtime|shim|executable|network", re.IGNORECASE)
"""Engines also answer 404 when a container lacks a program or network; that is no missing container."""


@dataclass(frozen=True, kw_only=True)
class TlsFiles:
    """TLS files: the CA that signed the engine's certificate, and a client certificate if the engine asks for one."""

    ca: Path | None
    cert: Path | None
    key: Path | None


class DockerSdkClient:
    """One SDK client, fixed to an API version; creating it sends nothing."""

    def __init__(self, url: str, api_version: str, *, tls: TlsFiles | None, timeout_s: float) -> None:
        self._api = APIClient(
            base_url=url,
            version=api_version,
            timeout=int(timeout_s + SDK_MARGIN_S),
            tls=_tls_config(tls) if tls is not None else False,
        )
        self._api.trust_env = False

    def close(self) -> None:
        """Close its connections."""
        self._api.close()

    def restart(self, container: str, grace_s: int) -> None:
        """Restart."""
        self._api.restart(container, timeout=grace_s)

    def start(self, container: str) -> None:
        """Start."""
        self._api.start(container)

    def stop(self, container: str, grace_s: int) -> None:
        """Stop."""
        self._api.stop(container, timeout=grace_s)

    def unpause(self, container: str) -> None:
        """Unpause."""
        self._api.unpause(container)

    def update_memory(self, container: str, limit_bytes: int, swap_bytes: int) -> None:
        """Set both limits in one request; swap -1: unlimited."""
        self._api.update_container(container, mem_limit=limit_bytes, memswap_limit=swap_bytes)


def registry_auth_header(registry: str) -> str | None:
    """Return the X-Registry-Auth header from Docker's own logins (DOCKER_CONFIG, ~/.docker); None: no login.

    Blocks: it may run a credential helper. Read again each time, so that a `docker login` takes effect at once.
    """
    try:
        found = auth.load_config().resolve_authconfig(None if registry == HUB else registry)
    except (DockerException, OSError, ValueError) as error:
        log.warning("the login for a registry cannot be read", registry=registry, error=type(error).__name__)
        return None
    return auth.encode_header(found).decode() if found else None


def _tls_config(tls: TlsFiles) -> TLSConfig:
    pair = (str(tls.cert), str(tls.key)) if tls.cert is not None and tls.key is not None else None
    return TLSConfig(client_cert=pair, ca_cert=str(tls.ca), verify=True)


class EngineThreadPool:
    """Bounded thread pool for one engine. Threads stuck in a hung engine are counted; when all are, calls fail fast.

    A call that times out leaves its thread busy until the SDK's socket gives up.
    """

    def __init__(self, system: str, threads: int) -> None:
        self._system = system
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"docker-{system}")
        self._open: set[Future[Any]] = set()
        self._stuck: set[Future[Any]] = set()

    @property
    def stuck(self) -> int:
        """Number of threads still waiting for an answer that nobody needs any more."""
        self._open = {future for future in self._open if not future.done()}
        self._stuck &= self._open
        return len(self._stuck)

    async def run(self, what: str, order: Callable[[], T], *, limit_s: float) -> T:
        """Run an order in a thread; `what` names it in errors ("stop 'api'").

        Raises the errors of `Engine`; TimeLimitExceeded: whether it took effect is unknown.
        """
        if self.stuck >= self._threads or len(self._open) >= self._threads + WAITING_ORDERS_LIMIT:
            raise SystemUnavailable(self._system, f"{self.stuck} calls to it are stuck; {what} was not sent")
        future = self._pool.submit(order)
        self._open.add(future)
        answer = asyncio.wrap_future(future)
        answer.add_done_callback(_look_at)
        try:
            await asyncio.wait({answer}, timeout=limit_s)
            if not answer.done():
                raise TimeLimitExceeded(self._system, f"{what} timed out after {limit_s:g} s")
            return answer.result()
        except (DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise translate_sdk_error(error, self._system, what) from error
        finally:
            if not future.done() and not future.cancel():
                self._stuck.add(future)

    def close(self) -> None:
        """Accept no more orders; threads end as soon as they can."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _look_at(answer: asyncio.Future[T]) -> None:
    """Read the exception of an abandoned call, so that asyncio does not complain."""
    if not answer.cancelled():
        answer.exception()


def translate_sdk_error(error: Exception, system: str, what: str) -> GuardianError:
    """Return the project's own error for an SDK error."""
    if isinstance(error, APIError):
        return error_for_status(error.status_code or 500, str(error.explanation or error), system, what)
    if isinstance(error, requests.Timeout | TimeoutError):
        return TimeLimitExceeded(system, f"{what} was not answered in time")
    return SystemUnavailable(system, f"{what} couldn't reach the engine: {error}")


def error_for_status(status: int, reason: str, system: str, what: str) -> GuardianError:
    """Return the error for an answer with a status of 400 or more."""
    reason = reason.strip() or f"HTTP {status}"
    trouble = engine_refusal_reason(status, reason)
    if trouble is RefusalReason.NO_CONTAINER:
        problem = f"{what}: {system} has nothing of that name ({reason})"
        return EngineNotFound(problem, engine_refusal_sentence(trouble, reason))
    if trouble is not None:
        return EngineRefused(f"{what}: {system} refused: {reason}", trouble, engine_refusal_sentence(trouble, reason))
    if status == 404 and not _START_FAILURE.search(reason):
        return NotFound(f"{what}: {system} has nothing of that name ({reason})")
    if status in (502, 503, 504):
        return SystemUnavailable(system, f"{what}: {reason}")
    return ActionFailed(f"{what}: {system} refused: {reason}")
