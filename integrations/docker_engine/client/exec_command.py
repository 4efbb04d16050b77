"""Runs a command inside a container and collects its output, up to a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from core.errors import ActionFailed
from integrations.docker_engine.client.engine_http import EngineHttp, container_path
from integrations.docker_engine.client.json_fields import json_int, json_object, json_string
from integrations.docker_engine.client.log_reader import Demultiplexer, clean_log_text
from integrations.docker_engine.engine import ExecResult

OUTPUT_LIMIT = 1_000_000
"""Bytes kept of both streams together; the rest is read and dropped, so that the command is not blocked."""
STEP_LIMIT_S = 10.0
CODE_TRIES = 40
CODE_PAUSE_S = 0.05


async def run_in_container(wire: EngineHttp, container: str, argv: Sequence[str], *, limit_s: float) -> ExecResult:
    """Run the command; raises TimeLimitExceeded when it does not end within `limit_s` (it may still be running)."""
    what = f"exec in {container!r}"
    body = {"Cmd": list(argv), "AttachStdout": True, "AttachStderr": True, "Tty": False}
    made = json_object(await wire.post(container_path(container, "/exec"), body, limit_s=STEP_LIMIT_S, what=what))
    path = f"/exec/{json_string(made.get('Id'))}"
    kept = {"stdout": bytearray(), "stderr": bytearray()}
    demultiplexer, was_cut, room = Demultiplexer(), False, OUTPUT_LIMIT
    async with wire.stream(
        "POST", f"{path}/start", body={"Detach": False, "Tty": False}, limit_s=limit_s, what=what
    ) as response:
        async for chunk in response.content.iter_any():
            for stream, piece, _ in demultiplexer.feed(chunk):
                kept[stream] += piece[:room]
                was_cut = was_cut or len(piece) > room
                room = max(0, room - len(piece))
    return ExecResult(
        exit_code=await _exit_code(wire, path, what),
        stdout=clean_log_text(bytes(kept["stdout"])),
        stderr=clean_log_text(bytes(kept["stderr"])),
        was_cut=was_cut,
    )


async def _exit_code(wire: EngineHttp, path: str, what: str) -> int:
    """Return the exit code; an engine may know it only a moment after the end of the stream."""
    for _ in range(CODE_TRIES):
        state = json_object(await wire.get(f"{path}/json", limit_s=STEP_LIMIT_S, what=what))
        if state.get("Running") is not True and state.get("ExitCode") is not None:
            return json_int(state.get("ExitCode"))
        await asyncio.sleep(CODE_PAUSE_S)
    raise ActionFailed(f"{what}: it closed its output but kept running; whether it finished is unknown")
