"""The command line of the test-bed: `python -m tests.testbed up|env|down|status`."""

import argparse
import shlex
import sys
import time

from tests.testbed import bring_up
from tests.testbed.state import BedError, read_state


def main() -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.testbed", description=__doc__)
    parser.add_argument("command", choices=["up", "env", "down", "status"])
    command = parser.parse_args().command
    try:
        return {"up": _up, "env": _env, "down": _down, "status": _status}[command]()
    except BedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1


def _say(line: str) -> None:
    print(f"testbed: {line}", file=sys.stderr, flush=True)


def _up() -> int:
    began = time.monotonic()
    bring_up.ensure(_say)
    _say(f"ready     {time.monotonic() - began:5.1f} s")
    return 0


def _env() -> int:
    for name, value in bring_up.ensure(_say).exports().items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _down() -> int:
    bring_up.take_down(_say)
    return 0


def _status() -> int:
    bed = read_state()
    if bed is None:
        _say("not set up; run `python -m tests.testbed up`")
        return 1
    alive = bring_up.is_alive(bed)
    _say("alive" if alive else "stale; run `python -m tests.testbed up`")
    for name, value in bed.exports().items():
        print(f"{name}={value.rpartition('@')[2]}")
    return 0 if alive else 1


if __name__ == "__main__":
    sys.exit(main())
