"""Log of a deployment: its last lines, the line that names the error, and the class of that error."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from core.redaction import MASK
from core.sanitize import sanitize

LINE_LIMIT = 300
"""Longest line kept, so that it fits on a phone."""
TAIL_LINES = 8
LINE_END_CHARS = 1000
"""Characters read from each end of a longer line: progress bars are written over and over into one line."""
READ_LIMIT = 256 * 1024
"""Bytes read from the end of a longer log."""

_ANSI = re.compile(r"\x1b(?:\[[0-9;?]{0,40}+[ -/]{0,4}+[@-~]|\][^\x07\x1b]{0,400}+(?:\x07|\x1b\\)|[@-Z\\-_])")
_BOX = re.compile(r"^\s*[╔║╚]")
_ECHOED_BASE64 = re.compile(r"\becho\s+[\"']?([A-Za-z0-9+/]{4,200000}+={0,2})[\"']?\s*\|\s*base64\b")
"""Command by which Dokploy writes the file and the environment; both may hold secrets."""
_BLOB = re.compile(r"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{48,200000}+={0,2}(?![A-Za-z0-9+/=])")
_STEP_OUTPUT = re.compile(r"^#\d+ (?:\d+\.\d+|\[)")
"""BuildKit's plain progress: the output of a build's own commands, and the titles of its steps."""
_DECORATION = re.compile(
    r"^\s*(?:#\d+ (?:ERROR: )?(?:\d+\.\d+ )?|❌\s*|\[ERROR\]\s*|Has occurred an error:\s*|Error:\s+(?=❌)"
    r"|time=\S+ level=\w+ msg=|Error response from daemon:\s*|ERROR:\s*|failed to deploy a stack:\s*)+"
)
_CLOSING = re.compile(
    r"Error occurred ❌|Docker command failed|Script execution failed|Fail to clone the repository"
    r"|Initializing deployment|^File '.*' created|^-{4,}$"
)
"""Closing phrases of every failed deployment, which do not name the error."""
_SOUNDS_BAD = re.compile(
    r"(?i)\berr(?:or)?\b|\bfail(?:ed|ure)?\b|\bfatal\b|\bcannot\b|\bdenied\b|\binvalid\b|\bnot found\b"
    r"|exception|panic|❌"
)
_STEP_TITLE = re.compile(r"^ > \[.{1,200}?\]")
_CODE_LISTING = re.compile(r"^\s*\d+ \|")


@dataclass(frozen=True, kw_only=True)
class _ErrorClass:
    """Class of error and its pattern; `is_anywhere`: output of a build's own commands counts too."""

    name: str
    pattern: re.Pattern[str]
    is_anywhere: bool = False


def _error_pattern(name: str, *spellings: str, is_anywhere: bool = False) -> _ErrorClass:
    return _ErrorClass(name=name, pattern=re.compile("|".join(spellings), re.IGNORECASE), is_anywhere=is_anywhere)


_ERROR_CLASSES = (
    _error_pattern("disk_full", r"no space left on device", r"\bENOSPC\b", r"disk quota exceeded", is_anywhere=True),
    _error_pattern(
        "engine_down",
        r"cannot connect to the docker daemon",
        r"is the docker daemon running",
        r"error during connect",
        r"this node is not a swarm manager",
    ),
    _error_pattern(
        "git_failed",
        r"^fatal: ",
        r"^error: (?:pathspec|rpc failed|could not)",
        r"remote branch \S+ not found",
        r"permission denied \(publickey",
        r"host key verification failed",
        r"could not read (?:username|password) for",
        r"^(?:error|remote): repository not found",
    ),
    _error_pattern(
        "registry_login",
        r"authentication required",
        r"no basic auth credentials",
        r"toomanyrequests",
        r"pull rate limit",
        r"incorrect username or password",
        r"401 unauthorized",
        r"403 forbidden",
        r"denied: (?:denied|access|permission|installation not allowed|authentication)",
        r"pull access denied for [\w-]+[.:][^\s,]*/",
    ),
    _error_pattern(
        "image_not_found",
        r"manifest unknown",
        r"manifest for \S+ not found",
        r"pull access denied",
        r"repository (?:name not known|does not exist)",
        r"no matching manifest for",
        r"failed to (?:resolve|load metadata for|copy).{0,300}: not found",
        r"no such image",
    ),
    _error_pattern(
        "domain_service_missing",
        r"service \S+ not found in the compose",
        r"service name not found",
        r"^domain \S+ .{0,200}\bservice\b",
    ),
    _error_pattern(
        "env_missing",
        r"required variable \S+ is missing",
        r"env file \S+ not found",
        r"invalid interpolation format",
    ),
    _error_pattern(
        "bad_yaml",
        r"yaml: ",
        r"at line \d+, column \d+",
        r"mapping values are not allowed",
        r"additional propert(?:y|ies) ",
        r"invalid compose project",
        r"undefined (?:service|network|volume|config|secret)",
        r"no such service",
        r"neither an image nor a build context",
        r"must be a (?:mapping|string|list|number|boolean|array)",
        r"(?:unsupported|unexpected) (?:config option|type)",
        r"contains an invalid type",
        r"validating \S+\.ya?ml",
        r"no configuration file provided",
        r"compose file (?:not found|is empty)",
        r"empty compose file",
        r"\.ya?ml: no such file or directory",
        r"no service selected",
    ),
    _error_pattern(
        "port_taken",
        r"port is already allocated",
        r"address already in use",
        r"ports are not available",
        r"bind for \S+ failed",
        r"port '?\d+'? is already in use",
    ),
    _error_pattern(
        "mount",
        r"invalid mount",
        r"error mounting",
        r"bind source path does not exist",
        r"mount a directory onto a file",
        r"invalid volume spec",
        r"external volume \S+ not found",
        r"mounts denied",
        r"error while (?:mounting|creating mount source)",
        r"failed to mount",
    ),
    _error_pattern(
        "network",
        r"network \S+ (?:was )?not found",
        r"network \S+ declared as external, but could not be found",
        r"non-overlapping ipv4 address pool",
        r"pool overlaps with other one",
        r"failed to create network",
        r"network \S+ was found but has incorrect label",
        r"no such host",
        r"i/o timeout",
        r"tls handshake timeout",
        r"dial tcp",
        r"temporary failure in name resolution",
    ),
    _error_pattern(
        "unhealthy_dependency",
        r"dependency failed to start",
        r"container \S+ (?:is unhealthy|exited \(\d+\))",
        r"didn't complete successfully: exit",
    ),
    _error_pattern(
        "build_failed",
        r"failed to solve",
        r"did not complete successfully: exit code",
        r"returned a non-zero code",
        r"(?:locate specified|read) dockerfile",
        r"failed to build",
        r"build failed",
        r"executor failed running",
        r"unable to prepare context",
    ),
)
_UNSET = re.compile(r"The \\?\"?(\w{1,100})\\?\"? variable is not set")
_UNSET_BREAKS = re.compile(
    r"(?i)invalid reference format|invalid hostport|invalid containerport|invalid proto|invalid spec"
)


def log_lines(text: str, redact: Callable[[str], str]) -> list[str]:
    """Return the log as lines fit to be shown: no colours, overwritten progress, banner, blobs or secrets.

    Redacted as a whole before it is split into lines: a private key spans many.
    """
    plain = _ANSI.sub("", "\n".join(map(_ends, text[-READ_LIMIT:].split("\n")))).replace("\r\n", "\n")
    hidden = _BLOB.sub(_masked, _ECHOED_BASE64.sub(_masked_echo, plain))
    lines = (_last_written(line).rstrip() for line in redact(hidden).split("\n"))
    return [line[:LINE_LIMIT] for line in lines if line.strip() and not _BOX.match(line)]


def last_lines(lines: Sequence[str], limit: int = TAIL_LINES) -> tuple[str, ...]:
    """Return the last lines, for a card."""
    return tuple(line.strip() for line in lines[-limit:])


def error_line(lines: Sequence[str]) -> str:
    """Return the line that names the error, without the decoration before it; empty if there is none."""
    return _find_error(lines)[1]


def error_class(lines: Sequence[str]) -> str:
    """Return the class of the error, a value of the evidence `deploy_error`; `other` if none is recognised."""
    return _find_error(lines)[0]


def _find_error(lines: Sequence[str]) -> tuple[str, str]:
    told = [_ANSI.sub("", line).rstrip() for line in lines]
    told = [line for line in told if line.strip() and not _BOX.match(line)]
    outside = _without_steps(told)
    said_anywhere, said_outside = _content_lines(told), _content_lines(outside)
    for kind in _ERROR_CLASSES:
        among = said_anywhere if kind.is_anywhere else said_outside
        named = next((bare for bare in among if kind.pattern.search(bare)), None)
        if named is not None:
            return kind.name, _build_error(told) or named if kind.name == "build_failed" else named
    broken = next((line for line in reversed(outside) if _UNSET_BREAKS.search(line)), None)
    if broken is not None:
        unset = next((_undecorated(line) for line in told if _UNSET.search(line)), None)
        return ("env_missing", unset) if unset is not None else ("image_not_found", _undecorated(broken))
    return "other", _likely_error(outside)


def _without_steps(lines: Sequence[str]) -> list[str]:
    """Drop the output of a build's commands, and its repetition at the end: it may contain anything."""
    kept: list[str] = []
    is_repeated = False
    for line in lines:
        if line.startswith("------") or _STEP_TITLE.match(line):
            is_repeated = not line.startswith("------")
        elif not is_repeated and not _STEP_OUTPUT.match(line):
            kept.append(line)
    return kept


def _content_lines(lines: Sequence[str]) -> list[str]:
    """Return the lines with content, the last one first, without decoration."""
    return [_undecorated(line) for line in reversed(lines) if _is_content(line)]


def _is_content(line: str) -> bool:
    """Return whether the line is neither a closing phrase nor a listing of the Dockerfile."""
    return _CODE_LISTING.match(line) is None and _CLOSING.search(line) is None


def _likely_error(lines: Sequence[str]) -> str:
    """Return the last line that sounds like an error; in a failed log without one, the last line with content."""
    speaking = [line for line in lines if not _CLOSING.search(line)]
    bad = [line for line in speaking if _SOUNDS_BAD.search(line) and not _UNSET.search(line)]
    has_failed = any("❌" in line for line in lines)
    return _undecorated((bad or (speaking if has_failed else []) or [""])[-1])


def _build_error(lines: Sequence[str]) -> str:
    """Return the last error-like line of the failing build step, whose output BuildKit repeats."""
    begin = next((index for index, line in enumerate(lines) if _STEP_TITLE.match(line)), None)
    if begin is None:
        return ""
    printed: list[str] = []
    for line in lines[begin + 1 :]:
        if line.startswith("------"):
            break
        printed.append(re.sub(r"^\s*\d+\.\d+\s", "", line))
    bad = [line for line in printed if _SOUNDS_BAD.search(line)]
    return bad[-1].strip()[:LINE_LIMIT] if bad else ""


def _undecorated(line: str) -> str:
    return _DECORATION.sub("", line).strip().rstrip(":").strip()[:LINE_LIMIT]


def _ends(line: str) -> str:
    return line if len(line) <= 2 * LINE_END_CHARS else f"{line[:LINE_END_CHARS]} … {line[-LINE_END_CHARS:]}"


def _last_written(line: str) -> str:
    """Return the line as a terminal shows it after its carriage returns."""
    parts: Iterable[str] = (sanitize(part) for part in line.split("\r"))
    return next((part for part in reversed(list(parts)) if part.strip()), "")


def _masked_echo(match: re.Match[str]) -> str:
    return match.group().replace(match.group(1), MASK)


def _masked(match: re.Match[str]) -> str:
    """Mask a long run of letters unless it is a plain hash or a path."""
    run = match.group()
    is_hash = re.fullmatch(r"[0-9a-f]+", run) is not None
    is_mixed = any(sign.isdigit() for sign in run) and any(sign.isupper() for sign in run)
    return run if is_hash or not is_mixed else MASK
