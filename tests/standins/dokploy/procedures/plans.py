"""notification.*, schedule.*, backup.*, volumeBackups.* and destination.*"""

from __future__ import annotations

from typing import Any

import aiohttp

from tests.standins.dokploy import notify, plans
from tests.standins.dokploy.calls import NOTHING, Call, Catalogue, Refusal, may, needs, not_found, one_of
from tests.standins.dokploy.rows import Row
from tests.standins.dokploy.stage import Stage
from tests.standins.dokploy.state import find, pick

catalogue = Catalogue()
SWITCHES = (
    "appDeploy",
    "appBuildError",
    "databaseBackup",
    "volumeBackup",
    "dokployBackup",
    "dokployRestart",
    "dockerCleanup",
    "serverThreshold",
)
CHANNEL = (needs("endpoint"), may("headers", "any"), *(may(name, "boolean") for name in SWITCHES))


@catalogue.get("notification.all", right="notification")
async def notifications(stage: Stage, call: Call) -> list[Row]:
    return list(stage.state.notifications.values())


@catalogue.get("notification.one", needs("notificationId"), right="notification")
async def notification(stage: Stage, call: Call) -> Row:
    return find(stage.state.notifications, call["notificationId"], "Notification")


@catalogue.post("notification.createCustom", needs("name"), *CHANNEL, right="notification")
async def create_custom(stage: Stage, call: Call) -> object:
    """The answer holds no id."""
    switches = {name: bool(call[name]) for name in SWITCHES}
    plans.add_channel(stage.state, call["name"], call["endpoint"], call["headers"] or {}, switches)
    return NOTHING


@catalogue.post(
    "notification.updateCustom",
    needs("notificationId"),
    needs("customId"),
    may("endpoint"),
    may("headers", "any"),
    may("name"),
    *(may(name, "boolean") for name in SWITCHES),
    right="notification",
)
async def update_custom(stage: Stage, call: Call) -> Row:
    row = find(stage.state.notifications, call["notificationId"], "Notification")
    row["custom"].update({name: call[name] for name in ("endpoint", "headers") if call[name] is not None})
    row.update({name: call[name] for name in (*SWITCHES, "name") if call[name] is not None})
    return row


@catalogue.post("notification.testCustomConnection", needs("endpoint"), may("headers", "any"), right="notification")
async def test_custom(stage: Stage, call: Call) -> bool:
    text = notify.body("Test Notification", message="Hi, From Dokploy 👋")
    try:
        await stage.notifier.post(call["endpoint"], call["headers"] or {}, text)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Refusal("BAD_REQUEST", "Error testing the notification") from error
    return True


@catalogue.post("notification.remove", needs("notificationId"), right="notification")
async def remove_notification(stage: Stage, call: Call) -> Row:
    find(stage.state.notifications, call["notificationId"], "Notification")
    return stage.state.notifications.pop(call["notificationId"])


@catalogue.post(
    "notification.receiveNotification",
    one_of("ServerType", "Dokploy", "Remote"),
    one_of("Type", "CPU", "Memory"),
    needs("Value", "any"),
    needs("Threshold", "any"),
    needs("Message"),
    needs("Timestamp"),
    needs("Token"),
)
async def receive(stage: Stage, call: Call) -> object:
    """What a monitoring agent posts; that of the Dokploy host itself reaches nobody."""
    if call["ServerType"] == "Dokploy":
        if call["Token"] != stage.state.settings["metricsConfig"]["server"]["token"]:
            raise Refusal("BAD_REQUEST", "Error sending the notification")
        return NOTHING
    tokens = {row["metricsConfig"]["server"]["token"]: row for row in stage.state.servers.values()}
    if call["Token"] not in tokens:
        raise Refusal("BAD_REQUEST", "Error sending the notification")
    plans.tell_threshold(stage, tokens[call["Token"]]["name"], call.params)
    return NOTHING


# -- schedules -------------------------------------------------------------------------------------------------------


def _schedule(stage: Stage, row: Row) -> Row:
    state = stage.state
    compose = state.composes.get(row["composeId"] or "")
    application = state.applications.get(row["applicationId"] or "")
    return {
        **row,
        "application": pick(application, "applicationId", "appName", "name", "serverId") if application else None,
        "server": None,
        "compose": pick(compose, "composeId", "appName", "name", "serverId") if compose else None,
        "deployments": state.deployments_of("scheduleId", row["scheduleId"]),
    }


@catalogue.get(
    "schedule.list", needs("id"), one_of("scheduleType", "application", "compose", "server", "dokploy-server")
)
async def schedules(stage: Stage, call: Call) -> list[Row]:
    column = {"application": "applicationId", "compose": "composeId"}.get(call["scheduleType"], "serverId")
    return [_schedule(stage, row) for row in stage.state.schedules.values() if row[column] == call["id"]]


@catalogue.get("schedule.one", needs("scheduleId"))
async def schedule(stage: Stage, call: Call) -> Row:
    return _schedule(stage, find(stage.state.schedules, call["scheduleId"], "Schedule"))


@catalogue.post("schedule.create", needs("name"), needs("cronExpression"), needs("command"), takes_all=True)
async def create_schedule(stage: Stage, call: Call) -> Row:
    return plans.add_schedule(stage.state, **call.params)


@catalogue.post("schedule.runManually", needs("scheduleId"))
async def run_schedule(stage: Stage, call: Call) -> Row:
    """Answers when the command has ended."""
    return await plans.run_schedule(stage, find(stage.state.schedules, call["scheduleId"], "Schedule"))


# -- backups ---------------------------------------------------------------------------------------------------------


@catalogue.get("backup.one", needs("backupId"))
async def backup(stage: Stage, call: Call) -> Row:
    row = find(stage.state.backups, call["backupId"], "Backup")
    return {**row, "deployments": stage.state.deployments_of("backupId", row["backupId"])}


def _declare_runs() -> None:
    for run in ("Postgres", "MySql", "Mariadb", "Mongo", "Libsql", "Compose", "WebServer"):

        async def make(stage: Stage, call: Call) -> Any:
            row = find(stage.state.backups, call["backupId"], "Backup")
            if await plans.run_backup(stage, row) is not None:
                raise Refusal("BAD_REQUEST", "Error running manual backup")
            return True

        catalogue.post(f"backup.manualBackup{run}", needs("backupId"))(make)


_declare_runs()


@catalogue.get("backup.listBackupFiles", needs("destinationId"), needs("search"), may("serverId"))
async def backup_files(stage: Stage, call: Call) -> list[Row]:
    find(stage.state.destinations, call["destinationId"], "Destination")
    return stage.backup_files.get(call["destinationId"], [])


@catalogue.get("destination.all", right="destination")
async def destinations(stage: Stage, call: Call) -> list[Row]:
    return list(stage.state.destinations.values())


@catalogue.get("volumeBackups.list", needs("id"), needs("volumeBackupType"))
async def volume_backups(stage: Stage, call: Call) -> list[Row]:
    column = f"{call['volumeBackupType']}Id"
    found = [row for row in stage.state.volume_backups.values() if row.get(column) == call["id"]]
    return [_volume_backup(stage, row) for row in found]


def _volume_backup(stage: Stage, row: Row) -> Row:
    return {**row, "deployments": stage.state.deployments_of("volumeBackupId", row["volumeBackupId"])}


@catalogue.get("volumeBackups.one", needs("volumeBackupId"))
async def volume_backup(stage: Stage, call: Call) -> Row:
    return _volume_backup(stage, find(stage.state.volume_backups, call["volumeBackupId"], "Volume backup"))


@catalogue.post("volumeBackups.runManually", needs("volumeBackupId"))
async def run_volume_backup(stage: Stage, call: Call) -> bool:
    """`false` in place of an error."""
    row = stage.state.volume_backups.get(call["volumeBackupId"])
    if row is None:
        raise not_found("Volume backup")
    return await plans.run_volume_backup(stage, row) is None
