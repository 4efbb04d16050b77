"""Set the whole bed up, give its addresses, take it down again."""

import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

from tests.testbed import compose, engine, image, machine, postgres
from tests.testbed.state import Bed, BedError, forget_state, only_one, read_state, write_state

Say = Callable[[str], None]
LEFTOVER_AGE = timedelta(minutes=30)
WORKING_DIR = "com.docker.compose.project.working_dir"
DEPLOYED = "/dokploy/compose/"  # what the stand-in for Dokploy deploys cannot carry our label


def is_alive(bed: Bed) -> bool:
    """Say whether every part still answers and the image is the one of this checkout."""
    named = os.environ.get("DOCKER_HOST")
    if named and named != bed.docker_host:
        return False
    if bed.image != image.name() or shutil.which(bed.chromium) is None or not compose.plugin().exists():
        return False
    if shutil.which("docker-registry") is None or shutil.which("nginx") is None:
        return False
    if not engine.answers(bed.docker_host) or not postgres.answers(bed.postgres_url):
        return False
    with engine.connect(bed.docker_host) as client:
        return image.is_there(client, bed.image)


def ensure(say: Say = lambda line: None) -> Bed:
    """Return a living bed; whatever is missing or has died is set up first."""
    bed = read_state()
    if bed is not None and is_alive(bed):
        return bed
    with only_one():
        bed = read_state()
        if bed is not None and is_alive(bed):
            return bed
        return _set_up(bed, say)


def _set_up(known: Bed | None, say: Say) -> Bed:
    _timed(say, "packages", _install_missing)
    with ThreadPoolExecutor(4, thread_name_prefix="testbed") as pool:
        tar = pool.submit(_timed, say, "rootfs", _rootfs_if_needed)
        plugin = pool.submit(_timed, say, "compose", lambda: str(compose.ensure()))
        database = pool.submit(_timed, say, "postgres", lambda: postgres.ensure(known.postgres_url if known else None))
        host = _timed(say, "engine", lambda: engine.find() or engine.start_private())
        tag = _timed(say, "image", lambda: _build(host, tar))
        bed = Bed(
            docker_host=host,
            image=tag,
            postgres_url=database.result(),
            chromium=_chromium(),
            compose_config=plugin.result(),
        )
    _remove_leftovers(host)
    write_state(bed)
    return bed


def _timed(say: Say, part: str, work: Callable[[], str]) -> str:
    began = time.monotonic()
    result = work()
    shown = result.rpartition("@")[2]  # never a password
    say(f"{part:<9} {time.monotonic() - began:5.1f} s  {shown}")
    return result


def _install_missing() -> str:
    missing = machine.missing_packages(engine_answers=engine.find() is not None)
    missing = [
        name for name in missing if name != "docker-cli" or "docker.io" not in missing or machine.is_debian_root()
    ]
    if not missing:
        return "all there"
    if not machine.is_debian_root():
        raise BedError(
            f"missing here: {', '.join(missing)}; they are installed by themselves only as root on Debian or Ubuntu. "
            "Install them (and start Docker), then try again"
        )
    return "installed " + ", ".join(machine.install(missing))


def _rootfs_if_needed() -> str:
    host = engine.find()
    if host is not None:
        with engine.connect(host) as client:
            if image.is_there(client, image.base_name()):
                return "not needed"
    return str(image.rootfs())


def _build(host: str, tar: Future[str]) -> str:
    tar.result()
    with engine.connect(host, timeout_s=120) as client:
        return image.build(client)


def _chromium() -> str:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise BedError("Chromium is missing: install the package `chromium`, then try again")
    return path


def _remove_leftovers(host: str) -> None:
    """Remove containers and networks of test runs that were killed before they could clean up."""
    oldest = datetime.now(UTC) - LEFTOVER_AGE
    with engine.connect(host) as client:
        made = client.containers.list(all=True, ignore_removed=True, filters={"label": engine.LABEL})
        composed = client.containers.list(all=True, ignore_removed=True, filters={"label": WORKING_DIR})
        deployed = [one for one in composed if DEPLOYED in one.labels[WORKING_DIR]]
        for container in (*made, *deployed):
            if datetime.fromisoformat(container.attrs["Created"][:19] + "+00:00") < oldest:
                engine.remove(partial(container.remove, force=True, v=True))
        engine.remove(partial(client.networks.prune, filters={"label": engine.LABEL, "until": "30m"}))


def take_down(say: Say) -> None:
    """Stop the parts that we started; what was there before stays."""
    with only_one():
        say(f"engine    {'stopped' if engine.stop_private() else 'not ours, or not running'}")
        say(f"postgres  {'stopped' if postgres.stop() else 'not running'}")
        forget_state()
