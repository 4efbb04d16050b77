"""Table of error classes of log lines, most specific first, with the values to extract from each line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

LINE_LIMIT = 1_000
"""Maximum number of characters read of a line."""
LINES_LIMIT = 5_000
"""Maximum number of lines read, from the end."""

NAME_PATTERN = r"[A-Za-z0-9_.-]{1,100}"
VARIABLE_PATTERN = r"[A-Z][A-Z0-9_]{2,60}"


@dataclass(frozen=True, kw_only=True)
class LogClass:
    """A class of errors. Its patterns are tried only on lines with one of its hints, which keeps plain lines cheap."""

    name: str
    hints: tuple[str, ...]
    """In lower case."""
    patterns: tuple[re.Pattern[str], ...] = ()
    """Named groups become values; without patterns a hint is enough."""


@dataclass(frozen=True, kw_only=True)
class LogFinding:
    """An error class found in the log, with its last line."""

    name: str
    line: str
    at: int
    """Index of that line among those read."""
    count: int
    fields: Mapping[str, str] = field(default_factory=dict)


def _class(name: str, hints: str, *patterns: str) -> LogClass:
    return LogClass(
        name=name,
        hints=tuple(hint.strip() for hint in hints.split("|")),
        patterns=tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns),
    )


def _exact(name: str, hints: str, *patterns: str) -> LogClass:
    """Make a class whose patterns are case-sensitive."""
    return LogClass(
        name=name,
        hints=tuple(hint.strip() for hint in hints.split("|")),
        patterns=tuple(re.compile(pattern) for pattern in patterns),
    )


LOG_CLASSES: tuple[LogClass, ...] = (
    # memory
    _class(
        "child_killed",
        "sigkill|signal 9|exited with -9|killed process|out of memory?",
        r"worker[^\n]{0,60}sigkill",
        r"signal 9(?:: killed| \(sigkill\))",
        r"exited with -9",
        r"out of memory: killed process",
    ),
    _class("heap_out_of_memory", "heap out of memory|outofmemoryerror: java heap|gc overhead limit exceeded"),
    _class("redis_out_of_memory", "command not allowed when used memory"),
    _class(
        "out_of_memory",
        "memoryerror|outofmemoryerror|cannot allocate memory|out of memory",
        r"\bmemoryerror\b",
        r"outofmemoryerror",
        r"cannot allocate memory",
        r"\bout of memory\b(?!\?)",
    ),
    # configuration
    _exact(
        "missing_variable",
        "keyerror|environment variable|env var|missing required env|must be set|variable is not set|"
        "superuser password is not specified|missing environment",
        rf"KeyError: ['\"](?P<missing_variable>{VARIABLE_PATTERN})['\"]",
        r"[Mm]issing (?:required )?env(?:ironment)?(?: var(?:iable)?s?)?:? ?['\"`]?"
        rf"(?P<missing_variable>{VARIABLE_PATTERN})?",
        rf"(?:[Ee]nvironment|ENV|[Ee]nv) var(?:iable)?s? ['\"`]?(?P<missing_variable>{VARIABLE_PATTERN})",
        rf"(?P<missing_variable>{VARIABLE_PATTERN})['\"`]? (?:environment variable )?(?:must be|is not|not) set",
        rf"[Tt]he ['\"](?P<missing_variable>{VARIABLE_PATTERN})['\"] variable is not set",
        r"superuser (?P<missing_variable>password) is not specified",
    ),
    _class(
        "config_error",
        "fatal config file error|unknown directive|unrecognized configuration parameter|bad directive|"
        "invalid configuration|configuration error",
    ),
    _class(
        "module_missing", "no module named|cannot find module|importerror", r"no module named", r"cannot find module"
    ),
    _class(
        "exec_format",
        "exec format error|no such file or directory",
        r"exec format error",
        r"exec \S{1,200}: no such file",
    ),
    _class(
        "data_version",
        "database files are incompatible|invalid featurecompatibilityversion|cannot be downgraded",
    ),
    _class("encryption_key", "credentials could not be decrypted|missing encryption key"),
    # what it depends on
    _class(
        "name_resolution",
        "could not translate host name|getaddrinfo|failed to resolve|nameresolutionerror|name or service not known|"
        "temporary failure in name resolution|no such host|unknownhostexception|host not found in upstream|"
        "nodename nor servname",
        rf"could not translate host name \"(?P<unresolved_host>{NAME_PATTERN})\"",
        rf"getaddrinfo (?:EAI_AGAIN|ENOTFOUND) (?P<unresolved_host>{NAME_PATTERN})",
        rf"failed to resolve '(?P<unresolved_host>{NAME_PATTERN})'",
        rf"lookup (?P<unresolved_host>{NAME_PATTERN})(?: on \S{{1,60}})?: (?:no such host|server misbehaving)",
        rf"unknownhostexception: (?P<unresolved_host>{NAME_PATTERN})",
        rf"host not found in upstream \"(?P<unresolved_host>{NAME_PATTERN})(?::\d{{1,5}})?\"",
        rf"error -\d{{1,2}} connecting to (?P<unresolved_host>{NAME_PATTERN}):\d{{1,5}}\b",
        rf"host='(?P<unresolved_host>{NAME_PATTERN})'.{{0,200}}(?:name resolution|name or service)",
        r"getaddrinfo|name or service not known|name resolution|no such host|nodename nor servname|nameresolution",
    ),
    _class(
        "connection_refused",
        "connection refused|econnrefused",
        rf"to server at \"(?P<refused_host>{NAME_PATTERN})\"(?: \([^)]{{0,60}}\))?, port (?P<refused_port>\d{{1,5}})",
        r"econnrefused (?P<refused_host>[0-9a-z_.:-]{1,60}):(?P<refused_port>\d{1,5})",
        rf"error 111 connecting to (?P<refused_host>{NAME_PATTERN}):(?P<refused_port>\d{{1,5}})",
        r"dial tcp (?P<refused_host>[0-9a-z_.\[\]:-]{1,60}):(?P<refused_port>\d{1,5})",
        rf"upstream: \"[a-z]{{2,8}}://(?P<refused_host>{NAME_PATTERN}):(?P<refused_port>\d{{1,5}})",
        rf"host='(?P<refused_host>{NAME_PATTERN})', port=(?P<refused_port>\d{{1,5}})",
        rf"connect(?:ing)? to [a-z]{{2,10}}://(?:[^@\s/]{{0,60}}@)?(?P<refused_host>{NAME_PATTERN}):(?P<refused_port>\d{{1,5}})",
        r"connection refused|econnrefused",
    ),
    _class(
        "auth_failed",
        "password authentication failed|access denied for user|wrongpass|noauth|invalid username-password|"
        "authentication failed|authentication required",
        r"password authentication failed for user \"(?P<auth_user>[^\"]{1,60})\"",
        r"access denied for user '(?P<auth_user>[^']{1,60})'",
        r"wrongpass|noauth|invalid username-password|authentication (?:failed|required)",
    ),
    _class(
        "too_many_connections",
        "too many clients|remaining connection slots|too many connections|queuepool limit|"
        "max number of clients reached",
    ),
    _class(
        "database_starting",
        "database system is starting up|database system is in recovery|not yet accepting connections",
    ),
    _class(
        "connection_timed_out",
        "timed out|etimedout|timeout expired",
        rf"connection to server at \"(?P<timed_out_host>{NAME_PATTERN})\".{{0,100}}(?:timed out|timeout expired)",
        rf"host='(?P<timed_out_host>{NAME_PATTERN})'.{{0,200}}timed out",
        r"(?:connection|connect|upstream|operation) (?:\(?to [^)\n]{1,60}\)? )?timed out|etimedout|timeout expired",
    ),
    _class(
        "connection_lost",
        "closed the connection unexpectedly|connection reset by peer|econnreset|broken pipe|"
        "terminating connection|lost connection to",
    ),
    # ports, disk, rights
    _class(
        "port_taken",
        "address already in use|eaddrinuse|port is already allocated",
        r"eaddrinuse:? (?:address already in use )?[0-9a-f.:*\[\]]{0,40}:(?P<port_taken>\d{1,5})\b",
        r":(?P<port_taken>\d{1,5})\b.{0,80}(?:address already in use|port is already allocated)",
        r"address already in use|eaddrinuse|port is already allocated",
    ),
    _class("shared_memory", "could not resize shared memory segment"),
    _class("disk_full", "no space left on device|enospc|disk quota exceeded"),
    _class("read_only", "read-only file system|erofs|store is read-only|read-only-allow-delete"),
    _class(
        "permission_denied",
        "permission denied|eacces|operation not permitted|has invalid permissions",
        r"permission denied: ['\"](?P<denied_path>/[^'\"]{1,200})['\"]",
        r"eacces: permission denied, \w{1,20} '(?P<denied_path>[^']{1,200})'",
        r"(?P<denied_path>/[^\s:'\"]{1,200})['\"]?: (?:operation not permitted|permission denied)",
        r"permission denied|eacces|operation not permitted|has invalid permissions",
    ),
    _class("is_a_directory", "is a directory|eisdir"),
    _class("too_many_files", "too many open files|emfile"),
    _class("too_many_processes", "resource temporarily unavailable|cannot fork|can't start new thread"),
    # programs and data
    _class("worker_timeout", "worker timeout"),
    _class("redis_cannot_save", "misconf redis|write error saving db|background saving error"),
    _class(
        "schema_mismatch",
        "does not exist|already exists|can't locate revision|unknown column|no such table|no such column",
        r"(?:column|relation|table) [\"'`]?[\w.]{1,100}[\"'`]? (?:does not exist|already exists)",
        r"can't locate revision|unknown column|no such table|no such column",
    ),
    _class("deadlock", "deadlock detected|deadlock found"),
    _class("statement_timeout", "canceling statement due to"),
    _class(
        "data_corrupt",
        "bad file format reading the append only|checksum mismatch|invalid page in block|"
        "database disk image is malformed",
    ),
    _class(
        "certificate",
        "certificate_verify_failed|certificate has expired|cert_has_expired|certificate is not yet valid|"
        "certificate verify locations|unable to obtain acme",
    ),
    _class("rate_limited", "too many requests|ratelimited|rate limit exceeded"),
    _class("segfault", "segmentation fault|sigsegv|core dumped"),
)


def find_log_classes(lines: Iterable[str]) -> list[LogFinding]:
    """Return the error classes in these lines, most specific first, each with its last line and values.

    Takes time linear in the size of the input, whatever its content.
    """
    last: dict[str, int] = {}
    counts: dict[str, int] = {}
    fields: dict[str, dict[str, str]] = {}
    looked_at = [line[:LINE_LIMIT] for line in list(lines)[-LINES_LIMIT:]]
    everything = "\n".join(looked_at).lower()
    possible = [one for one in LOG_CLASSES if any(hint in everything for hint in one.hints)]
    for number, line in enumerate(looked_at if possible else ()):
        folded = line.lower()
        for known in possible:
            read = _read(known, line, folded)
            if read is not None:
                last[known.name] = number
                counts[known.name] = counts.get(known.name, 0) + 1
                fields.setdefault(known.name, {}).update(read)
    return [
        LogFinding(
            name=known.name,
            line=looked_at[last[known.name]],
            at=last[known.name],
            count=counts[known.name],
            fields=fields[known.name],
        )
        for known in LOG_CLASSES
        if known.name in last
    ]


def _read(known: LogClass, line: str, folded: str) -> dict[str, str] | None:
    """Return the values of the line as one of this class, or None."""
    if not any(hint in folded for hint in known.hints):
        return None
    if not known.patterns:
        return {}
    for pattern in known.patterns:
        found = pattern.search(line)
        if found:
            return {name: value for name, value in found.groupdict().items() if value}
    return None
