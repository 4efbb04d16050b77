"""Notes which of the program's files run between two signals; loaded by Python itself from PYTHONPATH.

SIGUSR1 begins a window, SIGUSR2 writes the files of that window to FLOW_TRACE_OUTPUT, one a line.
"""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

ROOT = os.environ.get("FLOW_TRACE_ROOT", "")
OUTPUT = os.environ.get("FLOW_TRACE_OUTPUT", "")
OUTSIDE = tuple(f"{ROOT}/{name}" for name in ("tests/", "bench/", ".venv/", "playground/", "bot/playground/"))
seen: set[str] = set()


def _note(frame: FrameType, event: str, argument: Any) -> None:
    if event == "call" and not frame.f_code.co_name.startswith("<module"):
        seen.add(frame.f_code.co_filename)


def _begin(number: int, frame: FrameType | None) -> None:
    seen.clear()


def _write(number: int, frame: FrameType | None) -> None:
    own = sorted(path for path in set(seen) if path.startswith(ROOT) and not path.startswith(OUTSIDE))
    draft = f"{OUTPUT}.new"
    with open(draft, "w", encoding="utf-8") as file:
        file.write("\n".join(own))
    os.replace(draft, OUTPUT)


if ROOT and OUTPUT:
    signal.signal(signal.SIGUSR1, _begin)
    signal.signal(signal.SIGUSR2, _write)
    threading.setprofile(_note)
    sys.setprofile(_note)
