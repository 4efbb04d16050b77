"""The one aiohttp application on the one port: serves health from the start; other faces add their routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType

from aiohttp import web

from core.errors import SettingsError
from core.settings import WebSettings

BODY_LIMIT_BYTES = 1_000_000
"""More than any caller needs: a Telegram update is far smaller."""

HealthReport = Callable[[], Awaitable[dict[str, object]]]
"""Returns `{"ok": bool, …}` with one entry per part."""


class WebApp:
    """Web server that runs while it is entered; routes are added before."""

    def __init__(self, settings: WebSettings, health: HealthReport) -> None:
        self._settings = settings
        self._health = health
        self.application = web.Application(client_max_size=BODY_LIMIT_BYTES)
        self.application.router.add_get("/healthz", self._healthz)
        self._runner: web.AppRunner | None = None
        self.port = settings.port

    async def __aenter__(self) -> WebApp:
        self._runner = web.AppRunner(self.application, access_log=None, shutdown_timeout=2.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._settings.host, self._settings.port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise SettingsError(
                f"web.port {self._settings.port} on {self._settings.host!r} cannot be opened ({error.strerror}); "
                "set another one with INFRAGUARDIAN_WEB__PORT (0: any free port)"
            ) from error
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, request: web.Request) -> web.Response:
        report = await self._health()
        return web.json_response(report, status=200 if report.get("ok") else 503)
