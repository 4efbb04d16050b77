"""The shell scripts of a deployment, word for word as Dokploy runs (and, when they fail, mails) them."""

from __future__ import annotations

import base64
import json
import textwrap
import unicodedata
from pathlib import Path

from tests.standins.dokploy.rows import Row

BOX_WIDTH = 76
RAW_FILE = "docker-compose.yml"


def file_of(compose: Row) -> str:
    """The compose file's path inside the code folder."""
    return RAW_FILE if compose["sourceType"] == "raw" else str(compose["composePath"])


def up_arguments(compose: Row) -> str:
    """`compose -p … up -d --build --remove-orphans`, or its own command."""
    if compose["command"]:
        return str(compose["command"])
    if compose["composeType"] == "stack":
        return f"stack deploy -c {file_of(compose)} {compose['appName']} --prune --with-registry-auth"
    return f"compose -p {compose['appName']} -f {file_of(compose)} up -d --build --remove-orphans"


def logged(script: str, log: Path) -> str:
    """As it is run: with its output at the end of the log."""
    return f"(set -e;{script}) >> {log} 2>&1"


def raw_source(compose: Row, code: Path) -> str:
    """Write the stored file."""
    encoded = _base64(compose["composeFile"])
    return (
        f'rm -rf {code};\n\tmkdir -p {code};\n\techo "{encoded}" | base64 -d > "{code}/{RAW_FILE}";\n'
        f"\techo \"File 'docker-compose.yml' created: ✅\";\n\t"
    )


def git_source(compose: Row, code: Path) -> str:
    """Clone a branch or a tag; a commit's hash fails, and the folder is empty then."""
    url, branch = compose["customGitUrl"], compose["customGitBranch"]
    modules = "--recurse-submodules" if compose["enableSubmodules"] else ""
    source = str(url).replace(":", "\\:")
    return (
        f"set -e;rm -rf {code};mkdir -p {code};echo 'Cloning Repo Custom {url} to {code}: ✅';"
        f"if ! git clone --branch {branch} --depth 1 {modules} --progress {source} {code}; then"
        f"\n\t\t\t\techo '❌ [ERROR] Fail to clone the repository {url}';\n\t\t\t\texit 1;\n\t\t\tfi\n\t\t\t"
    )


def build(compose: Row, code: Path, *, file: str | None, complaint: str, env: str, mounts: int) -> str:
    """Write the converted file and the environment, and bring everything up. `file` None: it is bad, and why."""
    target = code / file_of(compose)
    write = (
        f'echo "{_base64(file)}" | base64 -d > "{target}";'
        if file is not None
        else f"echo '❌ Has occurred an error: {complaint}';\nexit 1;\n\t\t"
    )
    folder = target.parent
    write_env = f'touch {folder}/.env;\necho "{_base64(env)}" | base64 -d > {folder}/.env;' if env else ""
    network = _isolated_network(compose)
    return (
        f'\n\tset -e\n\t{{\n\t\techo "{_box(compose, mounts)}";\n\n\t\t{write}\n\n\t\t\n{write_env}\n\t\n\n'
        f'\t\tcd "{code}";\n\n\t\t{network}\n\t\tenv -i PATH="$PATH" HOME="$HOME"  docker {up_arguments(compose)} 2>&1 '
        '|| { echo "Error: ❌ Docker command failed"; exit 1; }\n\t\t\n\n\t\techo "Docker Compose Deployed: ✅";\n'
        '\t} || {\n\t\techo "Error: ❌ Script execution failed";\n\t\texit 1\n\t}\n\t'
    )


def _isolated_network(compose: Row) -> str:
    if not compose["isolatedDeployment"]:
        return ""
    name = compose["suffix"] or compose["appName"]
    return (
        f"docker network inspect {name} >/dev/null 2>&1 || docker network create "
        f"--label com.docker.compose.project={compose['appName']} --attachable {name}\n"
    )


def environment(compose: Row, docker_config: str) -> str:
    """The .env file: APP_NAME and COMPOSE_PROJECT_NAME first, then the stored lines, each value in quotes."""
    if not compose["createEnvFile"]:
        return ""
    name = compose["appName"]
    lines = [f"APP_NAME={name}", f"COMPOSE_PROJECT_NAME={name}", *str(compose["env"] or "").splitlines()]
    if not any(line.startswith("DOCKER_CONFIG") for line in lines):
        lines.append(f"DOCKER_CONFIG={docker_config}")
    pairs = (line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return "\n".join(f"{key.strip()}={_quoted(value)}" for key, _, value in pairs)


def _quoted(value: str) -> str:
    bare = value.strip()
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'":
        bare = bare[1:-1]
    return json.dumps(bare, ensure_ascii=False)


def _box(compose: Row, mounts: int) -> str:
    source = f"docker {compose['sourceType']}" if compose["sourceType"] == "raw" else compose["sourceType"]
    told = [
        f"App Name: {compose['appName']}",
        "Build Compose 🐳",
        f"Detected: {mounts} mounts 📂",
        f"Command: docker {up_arguments(compose)}",
        f"Source Type: {source} ✅",
        f"Compose Type: {compose['composeType']} ✅",
    ]
    wrapped = [piece for line in told for piece in textwrap.wrap(line, BOX_WIDTH, break_on_hyphens=False)]
    edge = "═" * (BOX_WIDTH + 2)
    inner = "\n".join(f"║ {line}{' ' * (BOX_WIDTH - _width(line))} ║" for line in ["", *wrapped, ""])
    return f"╔{edge}╗\n{inner}\n╚{edge}╝"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) == "W" else 1 for letter in text)


def _base64(text: str | None) -> str:
    return base64.b64encode((text or "").encode()).decode()
