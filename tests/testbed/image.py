"""Build the one image of the tests from Debian packages; no registry is asked."""

import hashlib
import io
import shutil
import tarfile
import tempfile
from pathlib import Path

import docker
from docker.errors import ImageNotFound

from tests.testbed import machine
from tests.testbed.state import BedError, cache_dir

SERVICES = Path(__file__).parent / "services"
REPOSITORY = "infraguardian/testbed"
INCLUDED = ("python3", "ca-certificates", "curl", "procps")
NEEDLESS = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man")
CHANGES = ("ENV PYTHONUNBUFFERED=1", "WORKDIR /srv", 'CMD ["python3", "/srv/web.py"]')
RECIPE = 1  # raise it when the way the image is built changes


def _digest(*parts: bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8, "big") + part)
    return whole.hexdigest()[:12]


def base_name() -> str:
    """Return the tag of the bare Debian image, a hash of how it is made."""
    suite = machine.release().get("VERSION_CODENAME", "none")
    return f"{REPOSITORY}-base:{_digest(str((RECIPE, suite, INCLUDED, NEEDLESS)).encode())}"


def name() -> str:
    """Return the tag of the image with the service programs, a hash of everything in it."""
    programs = [path.name.encode() + b"\0" + path.read_bytes() for path in sorted(SERVICES.glob("*.py"))]
    return f"{REPOSITORY}:{_digest(base_name().encode(), str(CHANGES).encode(), *programs)}"


def is_there(client: docker.DockerClient, tag: str) -> bool:
    """Say whether the engine holds an image of that name."""
    try:
        client.images.get(tag)
    except ImageNotFound:
        return False
    return True


def rootfs() -> Path:
    """Return the tar of a minimal Debian; built with debootstrap once per user and recipe.

    Raises:
        BedError: it takes root and Debian or Ubuntu.
    """
    tar = cache_dir() / f"rootfs-{base_name().rpartition(':')[2]}.tar"
    if tar.exists():
        return tar
    if not machine.is_debian_root():
        raise BedError("the image of the tests is built by debootstrap: run once as root on Debian or Ubuntu")
    source = machine.mirror()
    with tempfile.TemporaryDirectory(prefix="infraguardian-rootfs-", dir="/var/tmp") as work:
        tree = Path(work) / "tree"
        options = ["--variant=minbase", f"--include={','.join(INCLUDED)}"]
        machine.run(["debootstrap", *options, source.suite, str(tree), source.uri], timeout_s=400)
        for needless in NEEDLESS:
            shutil.rmtree(tree / needless, ignore_errors=True)
        draft = Path(work) / "rootfs.tar"
        machine.run(["tar", "-C", str(tree), "--exclude=./dev/*", "-cf", str(draft), "."], timeout_s=120)
        shutil.move(draft, tar.with_suffix(".part"))
        tar.with_suffix(".part").replace(tar)
    return tar


def build(client: docker.DockerClient) -> str:
    """Make sure that the engine holds the image, and return its tag."""
    tag = name()
    if is_there(client, tag):
        return tag
    if not is_there(client, base_name()):
        repository, _, version = base_name().partition(":")
        with rootfs().open("rb") as tar:
            client.api.import_image_from_data(tar, repository=repository, tag=version)
    container = client.containers.create(base_name(), ["true"])
    try:
        container.put_archive("/", _programs())
        repository, _, version = tag.partition(":")
        container.commit(repository=repository, tag=version, changes=list(CHANGES))
    finally:
        container.remove(force=True)
    return tag


def _programs() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path in sorted(SERVICES.glob("*.py")):
            entry = tarfile.TarInfo(f"srv/{path.name}")
            body = path.read_bytes()
            entry.size, entry.mode = len(body), 0o644
            tar.addfile(entry, io.BytesIO(body))
    return out.getvalue()
