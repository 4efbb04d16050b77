"""Schedules, backups and channels: their rows, and what happens when one is due."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from pathlib import Path

from tests.standins.dokploy import jobs, rows
from tests.standins.dokploy.rows import Row
from tests.standins.dokploy.shell import ShellFailed
from tests.standins.dokploy.stage import Stage
from tests.standins.dokploy.state import State


def add_channel(state: State, name: str, endpoint: str, headers: dict[str, str], switches: dict[str, bool]) -> Row:
    """A custom channel."""
    custom_id = rows.new_id()
    row = rows.notification_row(
        name=name,
        customId=custom_id,
        organizationId=state.organization_id,
        custom={"customId": custom_id, "endpoint": endpoint, "headers": headers},
        **switches,
    )
    state.notifications[row["notificationId"]] = row
    return row


def tell_threshold(stage: Stage, server: str, given: Row) -> None:
    """CPU or memory above its threshold."""
    told = {"message": given["Message"], "serverName": server, "type": given["Type"], "currentValue": given["Value"]}
    kind = {"threshold": given["Threshold"], "status": "alert", "alertType": "server-threshold"}
    stage.notifier.tell("serverThreshold", f"Server {given['Type']} Alert", **told, **kind)


def add_schedule(state: State, **values: object) -> Row:
    """A schedule of a service."""
    row = rows.blank("schedule.create", **{"scheduleId": rows.new_id(), "appName": "", "enabled": True, **values})
    row["appName"] = rows.suffixed("schedule-parse-open-card")
    state.schedules[row["scheduleId"]] = row
    return row


def _open(stage: Stage, column: str, owner_id: str, folder: str, name: str, title: str) -> Row:
    moment = datetime.now(UTC).strftime("%Y-%m-%d:%H:%M:%S")
    log = stage.home / folder / name / f"{name}-{moment}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(f"Initializing {folder.removesuffix('s')}\n", encoding="utf-8")
    return stage.state.open_deployment(column, owner_id, title=title, description=title, logPath=str(log))


async def run_schedule(stage: Stage, row: Row) -> Row:
    """Run its command inside its service's container, to its end."""
    deployment = _open(stage, "scheduleId", row["scheduleId"], "schedules", row["appName"], "Schedule")
    compose = stage.state.compose(row["composeId"])
    labels = {
        "com.docker.compose.project": compose["appName"],
        "com.docker.compose.service": row["serviceName"] or "",
    }
    found = await stage.engine.listed(labels, is_all=False)
    container = found[0]["Id"][:12] if found else "none"
    inside = f"docker exec {container} {row['shellType']} -c {shlex.quote(row['command'])}"
    try:
        await stage.shell.run(f"({inside}) >> {deployment['logPath']} 2>&1")
    except ShellFailed as failure:
        jobs.end(deployment, "error")
        raise failure.refusal() from failure
    jobs.end(deployment, "done")
    return {"status": "done", "deploymentId": deployment["deploymentId"], "logPath": deployment["logPath"]}


def backup_row(**values: object) -> Row:
    """A planned backup of a database or of a compose's database; columns of v0.30.2's table."""
    first: Row = {
        "backupId": rows.new_id(),
        "appName": rows.suffixed("backup-parse-open-card"),
        "schedule": "0 3 * * *",
        "enabled": True,
        "database": "app",
        "prefix": "/",
        "serviceName": None,
        "destinationId": None,
        "keepLatestCount": None,
        "backupType": "database",
        "databaseType": "postgres",
        "composeId": None,
        "postgresId": None,
        "mariadbId": None,
        "mysqlId": None,
        "mongoId": None,
        "libsqlId": None,
        "userId": None,
        "metadata": None,
    }
    return {**first, **values}


def volume_backup_row(**values: object) -> Row:
    """A planned backup of a volume; columns of v0.30.2's table."""
    first: Row = {
        "volumeBackupId": rows.new_id(),
        "name": "",
        "volumeName": "",
        "prefix": "/",
        "serviceType": "compose",
        "appName": rows.suffixed("volumeBackup-parse-open-card"),
        "serviceName": None,
        "turnOff": False,
        "cronExpression": "0 4 * * *",
        "keepLatestCount": None,
        "enabled": True,
        "applicationId": None,
        "composeId": None,
        "createdAt": rows.now(),
        "destinationId": None,
    }
    return {**first, **values}


async def run_backup(stage: Stage, row: Row) -> str | None:
    """Make a backup, or fail with what `backup_errors` says; the error, or None."""
    error = stage.backup_errors.get(row["backupId"])
    deployment = _open(stage, "backupId", row["backupId"], "backups", row["appName"], f"{row['databaseType']} Backup")
    _close(deployment, error)
    owner = backup_owner(stage.state, row)
    word = "Failed" if error else "Successful"
    told = {
        "message": f"Database backup {'failed' if error else 'completed successfully'}",
        "projectName": stage.state.project_of(owner)["name"] if owner else "",
        "applicationName": owner["name"] if owner else "",
        "databaseType": row["databaseType"],
        "databaseName": row["database"],
        **_outcome(error),
    }
    stage.notifier.tell("databaseBackup", f"Database Backup {word}", **told)
    return error


def _outcome(error: str | None) -> Row:
    kind = "error" if error else "success"
    return {"type": kind, "errorMessage": error or "", "status": kind}


def _close(deployment: Row, error: str | None) -> None:
    text = f"{error}\n❌ Error: backup failed\n" if error else "Backup completed successfully ✅\n"
    with Path(deployment["logPath"]).open("a", encoding="utf-8") as log:
        log.write(text)
    jobs.end(deployment, "error" if error else "done")


def backup_owner(state: State, row: Row) -> Row | None:
    """The compose or database a backup is of; None for Dokploy itself."""
    own = (row.get(column) for column in row if column.endswith("Id") and column not in ("backupId", "destinationId"))
    return next((found for one in own if one and (found := state.service(one))), None)


async def run_volume_backup(stage: Stage, row: Row) -> str | None:
    """As `run_backup`, of a volume."""
    backup_id = row["volumeBackupId"]
    error = stage.backup_errors.get(backup_id)
    deployment = _open(stage, "volumeBackupId", backup_id, "volume-backups", row["appName"], "Volume Backup")
    _close(deployment, error)
    owner = stage.state.service(row["composeId"] or row["applicationId"] or "")
    word = "Failed" if error else "Successful"
    told = {
        "message": f"Volume backup {'failed' if error else 'completed successfully'}",
        "projectName": stage.state.project_of(owner)["name"] if owner else "",
        "applicationName": owner["name"] if owner else "",
        "volumeName": row["volumeName"],
        "serviceType": row["serviceType"],
        "backupSize": "" if error else "12 MB",
        **_outcome(error),
    }
    stage.notifier.tell("volumeBackup", f"Volume Backup {word}", **told)
    return error
