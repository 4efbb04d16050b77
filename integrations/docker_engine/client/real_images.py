"""Images, build cache and networks of a real engine, and the registries it asks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Protocol, TypeVar

from core.deployments.platform import StackNames
from core.errors import GuardianError, NotFound, SystemUnavailable, TimeLimitExceeded
from integrations.docker_engine import image_models, image_references
from integrations.docker_engine.actions.published_ports import port_bindings
from integrations.docker_engine.client import pull_progress
from integrations.docker_engine.client.docker_sdk import EngineThreadPool, registry_auth_header
from integrations.docker_engine.client.engine_http import EngineHttp, container_path
from integrations.docker_engine.client.engine_link import EngineConnector, EngineLink
from integrations.docker_engine.client.json_fields import JsonAnswer, json_int, json_list, json_object, json_string
from integrations.docker_engine.image_references import ImageReference
from integrations.docker_engine.image_store import (
    PULL_LIMIT_S,
    REGISTRY_LIMIT_S,
    Image,
    Network,
    OnPullProgress,
    PortBinding,
    StoredSpace,
)
from integrations.docker_engine.models import parse_container
from integrations.docker_engine.refusals import (
    EngineRefused,
    RefusalReason,
    registry_refusal_error,
    registry_refusal_reason,
)

T = TypeVar("T")

PULLS_AT_ONCE = 2
PULLS_WAITING = 8
INSPECTS_AT_ONCE = 8
LOGIN_LIMIT_S = 10.0
IMAGE_NAMES_LIMIT = 100
"""Names of an image to be removed; one with more stays."""
DISK_LIMIT_S = 60.0
REMOVAL_LIMIT_S = 60.0
CACHE_PRUNE_LIMIT_S = 240.0
PARTIAL_DISK_USAGE_API = (1, 42)
"""The API version from which `/system/df` can leave out volumes, which take longest to measure."""


class LinkQuery(Protocol):
    """Runs a query over the engine's link, once more when the link turns out broken."""

    async def __call__(self, question: Callable[[EngineLink], Awaitable[T]], *, may_take_long: bool = False) -> T:
        """Return the answer."""
        ...


class RealImageStore:
    """See `ImageStore`."""

    def __init__(
        self,
        connector: EngineConnector,
        pool: EngineThreadPool,
        ask: LinkQuery,
        *,
        timeout_s: float,
        names: StackNames | None = None,
    ) -> None:
        self._connector = connector
        self._pool = pool
        self._ask = ask
        self._timeout_s = timeout_s
        self._names = names or StackNames()
        self._pulls = asyncio.Semaphore(PULLS_AT_ONCE)
        self._waiting = 0

    # -- images ----------------------------------------------------------------------------------------------------

    async def images(self) -> list[Image]:
        """Return all images with their users."""

        async def read(link: EngineLink) -> list[Image]:
            listed = await link.wire.get("/images/json", limit_s=self._timeout_s, what="list images")
            users = await self._users(link.wire)
            return [
                image_models.parse_image(self._connector.name, json_object(one), users) for one in json_list(listed)
            ]

        return await self._ask(read)

    async def _users(self, wire: EngineHttp) -> dict[str, list[str]]:
        listed = await wire.get("/containers/json", {"all": "1"}, limit_s=self._timeout_s, what="list")
        return image_models.containers_by_image(listed)

    async def image(self, reference: str) -> Image | None:
        """Return the image of a name, digest reference or id."""
        asked = _image_path_part(reference)

        async def read(link: EngineLink) -> Image:
            what = f"inspect image {reference!r}"
            raw = await link.wire.get(f"/images/{asked}/json", limit_s=self._timeout_s, what=what)
            return image_models.parse_image(self._connector.name, json_object(raw), await self._users(link.wire))

        try:
            found = await self._ask(read)
        except NotFound:
            return None
        return found if _is_asked_image(found, asked) else None

    async def tag(self, image_id: str, reference: str) -> None:
        """Point a name at that image."""
        name, what = image_references.parse_image_reference(reference), f"tag {image_id!r} as {reference!r}"
        path = f"/images/{_image_path_part(image_id)}/tag"
        query = {"repo": name.name, "tag": name.tag or image_references.DEFAULT_TAG}
        await self._ask(lambda link: link.wire.order("POST", path, query, limit_s=self._timeout_s, what=what))

    async def remove_image(self, image_id: str) -> bool:
        """Remove an image with its names, never by force; its parent images stay."""
        taken: list[str] = []
        for _ in range(IMAGE_NAMES_LIMIT):
            found = await self.image(image_id)
            if found is None:
                return bool(taken)
            name = next(iter((*found.tags, *found.digests, found.id)))
            path = f"/images/{_image_path_part(name)}"
            if found.used_by or not await self._removed(path, f"remove image {name!r}", {"noprune": "1"}):
                break
            taken.append(name)
        for name in taken:
            if "@" not in name:
                await self.tag(image_id, name)
        return False

    async def _removed(self, path: str, what: str, query: Mapping[str, str] | None = None) -> bool:
        try:
            await self._ask(lambda link: link.wire.order("DELETE", path, query, limit_s=REMOVAL_LIMIT_S, what=what))
        except NotFound:
            return False
        except EngineRefused as error:
            if error.trouble in (RefusalReason.CONFLICT, RefusalReason.NO_NETWORK):
                return False
            raise
        return True

    # -- registries ------------------------------------------------------------------------------------------------

    async def pull(
        self, reference: str, on_step: OnPullProgress | None = None, *, time_limit_s: float = PULL_LIMIT_S
    ) -> Image:
        """Pull the image that the registry has under that name now."""
        name = image_references.parse_image_reference(reference)
        if self._waiting >= PULLS_WAITING:
            raise SystemUnavailable(
                self._connector.title, f"{self._waiting} pulls are already waiting; {reference!r} was not started"
            )
        self._waiting += 1
        try:
            async with asyncio.timeout(time_limit_s):
                await self._pulls.acquire()
        except TimeoutError:
            raise TimeLimitExceeded(self._connector.title, f"pull {reference!r} never got its turn") from None
        finally:
            self._waiting -= 1
        try:
            await self._pull(name, on_step, time_limit_s)
        finally:
            self._pulls.release()
        found = await self.image(name.full)
        if found is None:
            raise NotFound(f"pull {reference!r}: it was pulled, then removed again; something deletes images there")
        return found

    async def _pull(self, name: ImageReference, on_step: OnPullProgress | None, limit_s: float) -> None:
        headers, what, refuse = await self._login(name), f"pull {name.full!r}", partial(_registry_error, name)
        query = {"fromImage": name.name, "tag": name.what}

        async def read(link: EngineLink) -> str:
            reader = pull_progress.PullProgressReader()
            async with link.wire.stream(
                "POST", "/images/create", query, headers=headers, limit_s=limit_s, what=what, refuse=refuse
            ) as response:
                async for chunk in response.content.iter_any():
                    step = reader.feed(chunk)
                    if step is not None and on_step is not None:
                        on_step(step)
            reader.feed(b"\n")
            return reader.problem

        problem = await self._ask(read, may_take_long=True)
        if problem:
            raise _registry_error(name, 500, problem, self._connector.title, what)

    async def distribution(self, reference: str, *, time_limit_s: float = REGISTRY_LIMIT_S) -> str:
        """Return the registry's present digest of that name."""
        name = image_references.parse_image_reference(reference)
        headers, what, refuse = await self._login(name), f"ask for {name.full!r}", partial(_registry_error, name)

        async def read(link: EngineLink) -> JsonAnswer:
            path = f"/distribution/{name.full}/json"
            try:
                async with link.wire.stream(
                    "GET", path, headers=headers, limit_s=time_limit_s, what=what, refuse=refuse
                ) as response:
                    return json_object(json.loads(await response.read()))
            except TimeLimitExceeded as error:
                raise refuse(504, f"no answer within {time_limit_s:g} s", "", what) from error
            except ValueError as error:
                raise refuse(500, "the answer isn't JSON", "", what) from error

        answer = await self._ask(read, may_take_long=True)
        digest = json_string(json_object(answer.get("Descriptor")).get("digest"))
        if not digest:
            raise _registry_error(name, 500, "the registry gave no digest", "", what)
        return digest

    async def _login(self, name: ImageReference) -> Mapping[str, str]:
        what = f"read the login for {name.registry!r}"
        found = await self._pool.run(what, lambda: registry_auth_header(name.registry), limit_s=LOGIN_LIMIT_S)
        return {"X-Registry-Auth": found} if found else {}

    # -- space -----------------------------------------------------------------------------------------------------

    async def space(self) -> StoredSpace:
        """Return images and build cache with the size that each takes alone."""

        async def read(link: EngineLink) -> StoredSpace:
            is_new = tuple(json_int(part) for part in link.api_version.split(".")) >= PARTIAL_DISK_USAGE_API
            path = "/system/df?type=image&type=build-cache" if is_new else "/system/df"
            raw = await link.wire.get(path, limit_s=DISK_LIMIT_S, what="disk usage")
            return image_models.parse_stored_space(self._connector.name, json_object(raw), await self._users(link.wire))

        return await self._ask(read, may_take_long=True)

    async def prune_build_cache(self, unused_for_h: float) -> int:
        """Remove build cache unused for this long."""
        filters = {"until": [f"{max(1, int(unused_for_h * 3600))}s"]}
        query = {"all": "1", "filters": json.dumps(filters)}

        async def order(link: EngineLink) -> object:
            return await link.wire.order(
                "POST", "/build/prune", query, limit_s=CACHE_PRUNE_LIMIT_S, what="prune build cache"
            )

        return json_int(json_object(await self._ask(order, may_take_long=True)).get("SpaceReclaimed"))

    async def networks(self) -> list[Network]:
        """Return all networks."""

        async def read(link: EngineLink) -> object:
            return await link.wire.get("/networks", limit_s=self._timeout_s, what="list networks")

        return [image_models.parse_network(json_object(one)) for one in json_list(await self._ask(read))]

    async def remove_network(self, network_id: str) -> bool:
        """Remove a network; an engine refuses to remove one in use."""
        path, what = f"/networks/{_image_path_part(network_id)}", f"remove network {network_id!r}"
        return await self._removed(path, what)

    async def bindings(self) -> list[PortBinding]:
        """Return every published port of every container, including those that stopped ones would publish."""
        return await self._ask(self._read_bindings)

    async def _read_bindings(self, link: EngineLink) -> list[PortBinding]:
        listed = await link.wire.get("/containers/json", {"all": "1"}, limit_s=self._timeout_s, what="list")
        gate = asyncio.Semaphore(INSPECTS_AT_ONCE)

        async def inspect(found: str) -> list[PortBinding]:
            try:
                async with gate:
                    raw = await link.wire.get(container_path(found, "/json"), limit_s=self._timeout_s, what="inspect")
            except NotFound:
                return []
            container = parse_container(self._connector.name, json_object(raw), self._names)
            return list(port_bindings(container, json_object(raw)))

        ids = [json_string(json_object(one).get("Id")) for one in json_list(listed)]
        return [one for found in await asyncio.gather(*map(inspect, ids)) for one in found]


def _registry_error(name: ImageReference, status: int, reason: str, system: str, what: str) -> GuardianError:
    """Return the error for a request that needed a registry."""
    return registry_refusal_error(registry_refusal_reason(status, reason), name.full, name.registry, reason, what)


def _image_path_part(text: str) -> str:
    """Return an id or a name if it is a possible one; raises NotFound otherwise."""
    return text if image_references.is_image_id(text) else image_references.parse_image_reference(text).full


def _is_asked_image(found: Image, asked: str) -> bool:
    """Return False when the engine took a name for the start of an id."""
    is_same = found.id.removeprefix("sha256:").startswith(
        asked.removeprefix("sha256:")
    ) and image_references.is_image_id(asked)
    return is_same or asked in found.tags or asked in found.digests
