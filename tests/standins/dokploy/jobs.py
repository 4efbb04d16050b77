"""What a job of the queue does, from the first row to the notification."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from datetime import UTC, datetime
from pathlib import Path

from tests.standins.dokploy import applications, notify, scripts, swarm
from tests.standins.dokploy.convert import BadFile, converted, parsed
from tests.standins.dokploy.queue import Job
from tests.standins.dokploy.rows import Row, now
from tests.standins.dokploy.shell import ShellFailed
from tests.standins.dokploy.stage import Stage

TITLES = {"deploy": "Manual deployment", "redeploy": "Rebuild deployment"}
SORRY = "\nError occurred ❌, check the logs for details.\n"


async def run(stage: Stage, job: Job) -> None:
    """Work a job off; its service may have been deleted meanwhile."""
    if job.application_type == "application":
        await applications.run_job(stage, job)
        return
    compose = stage.state.composes.get(job.service_id)
    if compose is None:
        return
    compose["composeStatus"] = "running"
    await asyncio.sleep(0.005)  # the row comes after the status, in a step of its own
    deployment = begin(stage, compose, "composeId", job)
    await stage.may_run.wait()
    try:
        if job.kind == "deploy" or compose["sourceType"] == "raw":
            await _fetch(stage, compose, Path(deployment["logPath"]))
        await _build(stage, compose, Path(deployment["logPath"]))
    except ShellFailed as failure:
        _failed(stage, job, compose, deployment, failure)
    else:
        _succeeded(stage, job, compose, deployment)
    if compose["sourceType"] != "raw":
        await _name_after_commit(stage, compose, deployment)


def begin(stage: Stage, row: Row, column: str, job: Job) -> Row:
    """Open the deployment and its log."""
    name = row["appName"]
    moment = datetime.now(UTC).strftime("%Y-%m-%d:%H:%M:%S")
    log = stage.home / "logs" / name / f"{name}-{moment}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("Initializing deployment\n", encoding="utf-8")
    return stage.state.open_deployment(
        column, row[column], title=job.title, description=job.description, logPath=str(log), serverId=job.server_id
    )


def end(deployment: Row, status: str) -> None:
    """Close the row."""
    deployment.update(status=status, finishedAt=now())


def append(deployment: Row, text: str) -> None:
    """Write to its log, unless somebody has removed that."""
    with contextlib.suppress(FileNotFoundError), Path(deployment["logPath"]).open("a", encoding="utf-8") as log:
        log.write(text)


def _succeeded(stage: Stage, job: Job, compose: Row, deployment: Row) -> None:
    end(deployment, "done")
    compose["composeStatus"] = "done"
    if job.kind == "deploy":
        hosts = ", ".join(row["host"] for row in stage.state.domains_of(compose["composeId"]))
        told = {"message": "Build completed successfully", "status": "success", "domains": hosts}
        about = notify.build_body(stage.state, compose, stage.public_url, **told)
        stage.notifier.tell("appDeploy", "Build Success", **about)


def _failed(stage: Stage, job: Job, compose: Row, deployment: Row, failure: ShellFailed) -> None:
    append(deployment, SORRY)
    end(deployment, "error")
    compose["composeStatus"] = "error"
    if job.kind == "deploy":
        text = f"Command execution failed: {failure.text}"
        told = {"message": "Build failed with errors", "status": "error", "errorMessage": text}
        about = notify.build_body(stage.state, compose, stage.public_url, **told)
        stage.notifier.tell("appBuildError", "Build Error", **about)


async def _fetch(stage: Stage, compose: Row, log: Path) -> None:
    await stage.shell.run(scripts.logged(source_script(stage, compose), log))


def source_script(stage: Stage, compose: Row) -> str:
    """Write the file, or clone."""
    make = scripts.raw_source if compose["sourceType"] == "raw" else scripts.git_source
    return make(compose, stage.code_of(compose))


async def _build(stage: Stage, compose: Row, log: Path) -> None:
    file, complaint = None, ""
    try:
        text = stage.compose_file(compose).read_text(encoding="utf-8")
        file = converted(text, compose, stage.state.domains_of(compose["composeId"]))
        if "dokploy-network" in file:
            await stage.engine.ensure_shared_network()
    except FileNotFoundError:
        complaint = "Compose file not found"
    except BadFile as error:
        complaint = str(error)
    script = scripts.build(
        compose,
        stage.code_of(compose),
        file=file,
        complaint=complaint.replace("'", "'\\''"),
        env=scripts.environment(compose, stage.shell.docker_config),
        mounts=len(stage.mounts_of(compose)),
    )
    if compose["composeType"] == "stack" and file is not None:
        await _deploy_stack(stage, compose, log, script, file)
    else:
        await stage.shell.run(scripts.logged(script, log))


async def _deploy_stack(stage: Stage, compose: Row, log: Path, script: str, file: str) -> None:
    """There is no Swarm: the script runs without its docker command, and the engine's API takes that one's place."""
    head, _, rest = script.partition("env -i ")
    quiet = f"{head}true; " + rest.partition("\n")[2].replace('echo "Docker Compose Deployed: ✅";', "true;")
    await stage.shell.run(scripts.logged(quiet, log))
    name = compose["appName"]
    said = [f"Creating network {name}_default"]
    try:
        await swarm.remove_stack(stage.engine, name)
        for service in swarm.services_of(name, parsed(file)):
            said.append(f"Creating service {service.name}")
            await swarm.deploy(stage.engine, service)
    except swarm.SwarmFailed as error:
        said += [f"Error response from daemon: {error}", "Error: ❌ Docker command failed"]
        raise ShellFailed(scripts.logged(script, log), "") from error
    else:
        said.append("Docker Compose Deployed: ✅")
    finally:
        with log.open("a", encoding="utf-8") as out:
            out.write("\n".join(said) + "\n")


async def _name_after_commit(stage: Stage, compose: Row, deployment: Row) -> None:
    """Overwrite the title; a failed clone has left nothing to name it after."""
    code = stage.code_of(compose)
    if not (code / ".git").exists():
        return
    told = await stage.shell.run(f"git -C {shlex.quote(str(code))} log -1 --pretty=format:'%H%n%B'")
    commit, _, message = told.partition("\n")
    deployment.update(title=message.strip(), description=f"Commit: {commit}")


async def start(stage: Stage, compose: Row) -> None:
    """`up -d` with the file of the last deploy; nothing at all for a stack."""
    if compose["composeType"] == "stack":
        compose["composeStatus"] = "done"
        return
    arguments = f"-p {compose['appName']} -f {scripts.file_of(compose)}"
    try:
        await stage.shell.run(f'env -i PATH="$PATH" docker compose {arguments} up -d', cwd=stage.code_of(compose))
    except Exception:
        compose["composeStatus"] = "idle"
        raise
    compose["composeStatus"] = "done"


async def stop(stage: Stage, compose: Row) -> None:
    """Stop the containers, whatever is in the queue; a stack is removed."""
    try:
        if compose["composeType"] == "stack":
            await swarm.remove_stack(stage.engine, compose["appName"])
        else:
            command = f'env -i PATH="$PATH" docker compose -p {compose["appName"]} stop'
            await stage.shell.run(command, cwd=stage.code_of(compose))
    except Exception:
        compose["composeStatus"] = "error"
        raise
    compose["composeStatus"] = "idle"
