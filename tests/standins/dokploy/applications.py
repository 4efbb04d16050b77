"""Applications and databases: each a Swarm service, here plain containers with a service's names."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path

from tests.standins.dokploy import jobs, notify, rows, scripts, swarm
from tests.standins.dokploy.queue import Job
from tests.standins.dokploy.rows import Row
from tests.standins.dokploy.shell import ShellFailed
from tests.standins.dokploy.stage import Stage


async def run_job(stage: Stage, job: Job) -> None:
    """Deploy or rebuild an application."""
    row = stage.state.applications.get(job.service_id)
    if row is None:
        return
    row["applicationStatus"] = "running"
    deployment = jobs.begin(stage, row, "applicationId", job)
    await stage.may_run.wait()
    try:
        if job.kind == "deploy":
            await _pull(stage, row, Path(deployment["logPath"]))
        await run_service(stage, row)
    except (ShellFailed, swarm.SwarmFailed) as failure:
        jobs.append(deployment, f"{failure}\n{jobs.SORRY}" if isinstance(failure, swarm.SwarmFailed) else jobs.SORRY)
        jobs.end(deployment, "error")
        row["applicationStatus"] = "error"
        _tell_failure(stage, job, row, str(failure))
        return
    await _keep_for_rollback(stage, row, deployment)
    jobs.end(deployment, "done")
    row["applicationStatus"] = "done"
    told = {"message": "Build completed successfully", "status": "success", "domains": ""}
    about = notify.build_body(stage.state, row, stage.public_url, **told)
    stage.notifier.tell("appDeploy", "Build Success", **about)


def _tell_failure(stage: Stage, job: Job, row: Row, text: str) -> None:
    if job.kind == "deploy":
        told = {"message": "Build failed with errors", "status": "error", "errorMessage": text}
        about = notify.build_body(stage.state, row, stage.public_url, **told)
        stage.notifier.tell("appBuildError", "Build Error", **about)


async def _pull(stage: Stage, row: Row, log: Path) -> None:
    """Pull; what stands in no registry but on the engine counts as pulled."""
    image = str(row["dockerImage"] or "")
    registry = image.partition("/")[0]
    is_local = "." not in registry and ":" not in registry and await stage.engine.has_image(image)
    pull = f"echo {shlex.quote(image)}" if is_local else f"docker pull {shlex.quote(image)}"
    script = (
        f'\necho "Pulling {image}";\n{pull} 2>&1 || {{ \n  echo "❌ Pulling image failed";\n  exit 1;\n}}\n'
        'echo "✅ Pulling image completed.";\n'
    )
    await stage.shell.run(scripts.logged(script, log))


async def run_service(stage: Stage, row: Row, *, image: str | None = None, replicas: int | None = None) -> None:
    """Run its tasks anew."""
    command = row.get("command")
    service = swarm.Service(
        name=row["appName"],
        image=image or str(row["dockerImage"] or ""),
        command=shlex.split(command) if command else None,
        environment=[line for line in str(row["env"] or "").splitlines() if line],
        replicas=replicas if replicas is not None else int(row.get("replicas") or 1),
    )
    await swarm.deploy(stage.engine, service)


async def scale(stage: Stage, row: Row, replicas: int) -> None:
    """To one or to none. A failure is swallowed, as Dokploy's stop does."""
    if replicas == 0:
        await swarm.scale_to_none(stage.engine, row["appName"])
    else:
        await run_service(stage, row, replicas=replicas)


async def _keep_for_rollback(stage: Stage, row: Row, deployment: Row) -> None:
    """Tag the image and note it, where a registry for rollbacks is set."""
    if not (row["rollbackActive"] and row["rollbackRegistryId"]):
        return
    versions = [
        one["version"] for one in stage.state.rollbacks.values() if one["applicationId"] == row["applicationId"]
    ]
    version = max(versions, default=0) + 1
    tag = f"{row['appName']}:v{version}"
    image = await asyncio.to_thread(stage.engine.client.images.get, str(row["dockerImage"]))
    await asyncio.to_thread(image.tag, row["appName"], f"v{version}")
    kept = {
        "rollbackId": rows.new_id(),
        "deploymentId": deployment["deploymentId"],
        "version": version,
        "image": tag,
        "createdAt": rows.now(),
        "fullContext": _context(full(stage, row)),
    }
    stage.state.rollbacks[kept["rollbackId"]] = {**kept, "applicationId": row["applicationId"]}
    deployment["rollbackId"] = kept["rollbackId"]


def _context(whole: Row) -> Row:
    """The application as it was, without what hangs on it by other tables."""
    left_out = ("github", "gitlab", "gitea", "bitbucket", "deployments")
    return {name: value for name, value in rows.copied(whole).items() if name not in left_out}


def rollback_row(kept: Row) -> Row:
    """As the API shows it."""
    return {name: value for name, value in kept.items() if name != "applicationId"}


def full(stage: Stage, row: Row, *, is_one: bool = False) -> Row:
    """An application with everything that hangs on it; only `application.one` says two things more."""
    recorded: Row = rows.recorded("application.one" if is_one else "application.start")
    extra = {name: value for name, value in recorded.items() if name not in row}
    state, own_id = stage.state, row["applicationId"]
    environment = state.environments[row["environmentId"]]
    registry = state.registries.get(row["rollbackRegistryId"] or "")
    return {
        **row,
        **extra,
        "environment": {**environment, "project": state.projects[environment["projectId"]]},
        "domains": [one for one in state.domains.values() if one["applicationId"] == own_id],
        "deployments": state.deployments_of("applicationId", own_id),
        "server": state.servers.get(row.get("serverId") or ""),
        "rollbackRegistry": registry,
    }
