"""Notification channels: the custom one is how Dokploy tells us of builds and backups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, Unpack

from integrations.dokploy.client.endpoints.update_fields import wire
from integrations.dokploy.client.instance_models import Notification
from integrations.dokploy.client.transport import Patience, Transport


class Switches(TypedDict, total=False):
    """What a channel is told."""

    app_deploy: bool
    app_build_error: bool
    database_backup: bool
    volume_backup: bool
    dokploy_backup: bool
    dokploy_restart: bool
    docker_cleanup: bool
    server_threshold: bool


class Notifications:
    """Dokploy posts once, without a signature, a retry or a time limit; a secret can go into the headers."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def all(self) -> list[Notification]:
        """Every channel."""
        return await self._transport.get("notification.all", list[Notification])

    async def one(self, notification_id: str) -> Notification:
        """One channel."""
        return await self._transport.get("notification.one", Notification, {"notificationId": notification_id})

    async def create_custom(
        self, name: str, endpoint: str, headers: Mapping[str, str], **switches: Unpack[Switches]
    ) -> None:
        """Make a channel that posts to an address of ours; the answer holds no id, find it by name."""
        body = {"name": name, "endpoint": endpoint, "headers": dict(headers), **wire(switches)}
        await self._transport.order("notification.createCustom", body)

    async def update_custom(
        self, notification_id: str, custom_id: str, *, endpoint: str, headers: Mapping[str, str]
    ) -> None:
        """Change where a custom channel posts to."""
        body = {
            "notificationId": notification_id,
            "customId": custom_id,
            "endpoint": endpoint,
            "headers": dict(headers),
        }
        await self._transport.order("notification.updateCustom", body)

    async def test_custom(self, endpoint: str, headers: Mapping[str, str]) -> None:
        """Have Dokploy post a test message; CallFailed when it cannot reach the address."""
        body = {"endpoint": endpoint, "headers": dict(headers)}
        await self._transport.order("notification.testCustomConnection", body, patience=Patience.SLOW)

    async def remove(self, notification_id: str) -> None:
        """Remove a channel."""
        await self._transport.order("notification.remove", {"notificationId": notification_id})
