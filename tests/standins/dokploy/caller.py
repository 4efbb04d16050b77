"""A bare caller of the API for the stand-in's own tests; the product has its own client."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any

import aiohttp

LIMIT_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    content_type: str
    text: str

    @property
    def body(self) -> Any:
        """Its JSON; the text when it is none, None when it is empty."""
        if not self.text:
            return None
        try:
            return json.loads(self.text)
        except ValueError:
            return self.text


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Calls with one key."""

    url: str
    key: str | None

    async def get(self, procedure: str, **params: Any) -> Answer:
        """A query."""
        query = {name: str(value) for name, value in params.items()}
        return await self.send("GET", f"/api/{procedure}", query=query)

    async def post(self, procedure: str, **body: Any) -> Answer:
        """A mutation."""
        return await self.send("POST", f"/api/{procedure}", body=json.dumps(body))

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Any request; JSON unless `headers` are given."""
        own = {"x-api-key": self.key} if self.key is not None else {}
        kind = {"Content-Type": "application/json"} if headers is None and body is not None else {}
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LIMIT_S)) as session,
            session.request(
                method,
                f"{self.url}{path}",
                params=query,
                data=io.BytesIO(body.encode()) if body is not None else None,
                headers={**own, **kind, **(headers or {})},
                skip_auto_headers=("Content-Type",),
            ) as answer,
        ):
            text = await answer.text()
            return Answer(status=answer.status, content_type=answer.headers.get("Content-Type", ""), text=text)

    async def one(self, compose_id: str) -> dict[str, Any]:
        """A compose."""
        found: dict[str, Any] = (await self.get("compose.one", composeId=compose_id)).body
        return found

    async def deployments(self, compose_id: str) -> list[dict[str, Any]]:
        """Newest first."""
        found: list[dict[str, Any]] = (await self.get("deployment.allByCompose", composeId=compose_id)).body
        return found

    async def log(self, deployment_id: str) -> str:
        """Of a deployment."""
        return str((await self.get("deployment.readLogs", deploymentId=deployment_id, tail=1000)).body)
